"""From labeled photos to a bundle."""
