"""Self-distillation that makes a network robust to corrupted photos; see ``tools/distill_bundle.py``."""
