"""Exports bundles to files for other runtimes, which are checked against torch before they are kept."""
