"""Sufficient statistics of classes, from which linear discriminants are fitted without the photos."""
