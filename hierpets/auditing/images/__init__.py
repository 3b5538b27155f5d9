"""Checks of single photos: size, brightness, format."""
