"""A network that learns to bear spoiled photos from itself; see ``tools/distill_bundle.py``."""
