"""Fine-tune the whole network, starting from its fitted linear heads."""
