"""The network and the bundle that carries it."""
