"""What one photo shows on its own: size, brightness, format."""
