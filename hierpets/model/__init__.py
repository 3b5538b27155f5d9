"""The network of a bundle, written and read."""
