"""A run: its folder, who listens to its events, and its pictures."""
