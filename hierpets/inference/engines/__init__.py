"""What runs a network: one protocol, one module for each runtime."""
