"""Recipe ``auto``: choose backbone and heads by cross-validation, and estimate how good the choice really is."""
