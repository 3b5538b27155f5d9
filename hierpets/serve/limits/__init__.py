"""Limits of what a request may cost: bytes, photos, memory, waiting time."""
