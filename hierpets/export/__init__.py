"""Bundles as files for other runtimes, checked against torch before they are kept."""
