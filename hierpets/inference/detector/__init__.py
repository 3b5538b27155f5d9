"""A small detector that tells kinds of animals apart: a second opinion, and the boxes of animals."""
