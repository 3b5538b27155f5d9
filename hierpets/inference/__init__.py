"""Answering photos: engines run the network, the predictor turns its logits into records."""
