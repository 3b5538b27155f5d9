"""Files and manifest of a bundle, for everything that does not run its networks."""
