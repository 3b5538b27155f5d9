"""Early networks, which run before the main one: choose them, and fit when they answer."""
