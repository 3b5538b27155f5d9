"""A network that learns to bear corrupted photos from itself; see ``tools/distill_bundle.py``."""
