"""Finds copies and near duplicates of photos."""
