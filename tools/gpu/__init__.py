"""The measurements of ``tools/gpu_check.py``."""
