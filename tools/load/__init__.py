"""Compare the server with ``hierpets predict FOLDER``, for ``tools/load_test.py``."""
