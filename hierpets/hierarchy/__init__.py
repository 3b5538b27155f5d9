"""The heart: from logits to a joint distribution to an answer. Pure numpy: no torch, no files, no command line."""
