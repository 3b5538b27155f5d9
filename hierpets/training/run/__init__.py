"""A training run: its folder, the trackers of its events, and its figures."""
