"""Audits: find problems in labeled photos before a model learns them."""
