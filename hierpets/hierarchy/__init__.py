"""From logits to a joint distribution to a decision. Pure functions of arrays: no torch, no files, no command line."""
