"""Checking what users write: where a value stands, and what is wrong with it in plain words."""
