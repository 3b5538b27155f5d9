"""How photos of several animals are answered."""
