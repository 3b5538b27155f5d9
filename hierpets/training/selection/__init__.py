"""Recipe ``auto``: which backbone and heads the training photos speak for, and how good that choice really is."""
