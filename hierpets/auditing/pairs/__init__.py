"""Photos that are the same photo, or nearly."""
