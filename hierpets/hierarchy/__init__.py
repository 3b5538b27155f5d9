"""From logits to joint probabilities to decisions. Pure functions of arrays: no torch, no files, no command line."""
