"""Plugins listed in a ``registry.yaml``: the file's format, finding plugins and calling them."""
