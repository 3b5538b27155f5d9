"""Measurements on photos of several animals."""
