"""Labeled photos: read from wherever they lie, checked, and split."""
