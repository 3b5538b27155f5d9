"""A small detector that tells kinds of animals apart: a second look at photos, and the boxes of animals."""
