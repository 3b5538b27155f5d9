"""What a training leaves: the manifest of its bundle, graphs in eight-bit integers, and its result."""
