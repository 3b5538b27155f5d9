"""Decode the bytes of a photo: detect its format, read its size, decode it, and detect damage."""
