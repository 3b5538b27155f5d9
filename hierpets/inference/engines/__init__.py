"""Engines, which run networks: one protocol, and a module for each runtime."""
