"""The outcome of a training: the manifest of its bundle, its quantized graphs, and its result."""
