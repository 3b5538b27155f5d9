"""Plugins, listed in ``registry.yaml``: what it may say, finding and calling them. Loads nothing by itself."""
