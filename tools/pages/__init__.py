"""The pages of docs that are generated from the code; ``python tools/reference.py`` writes them."""
