"""Bundles that change without their old photos: breeds and species grown from a few photos, or forgotten."""
