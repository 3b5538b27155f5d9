"""Training the whole network, gently, from its linear heads."""
