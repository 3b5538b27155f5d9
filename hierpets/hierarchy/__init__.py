"""From logits to a joint distribution to a decision. Pure numpy: no torch, no files, no command line."""
