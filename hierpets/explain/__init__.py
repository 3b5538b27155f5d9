"""Where the network looked, and the tensor at every stage of prediction."""
