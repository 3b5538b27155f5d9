"""Sufficient statistics of classes: what linear discriminants are fitted from, without the photos."""
