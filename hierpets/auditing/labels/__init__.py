"""Checks of labels against what the photos show."""
