"""Labeled photos: read from any source, checked, and split."""
