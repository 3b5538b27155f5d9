"""Change a bundle without its old photos: add breeds and species from a few photos, or forget some."""
