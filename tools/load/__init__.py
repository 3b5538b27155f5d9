"""The server beside the bulk path, for ``tools/load_test.py``."""
