"""The steps of ``tools/tune_backbone.py``."""
