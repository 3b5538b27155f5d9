"""Networks that are asked before the main one: which, and when they answer."""
