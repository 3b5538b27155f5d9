"""Boxes of the animals in a photo: read from files, or found by a detector and the network's output at each place."""
