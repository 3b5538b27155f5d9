"""Training the whole network, gently, from its closed-form heads."""
