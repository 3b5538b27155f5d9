"""What tune_backbone.py does, step by step."""
