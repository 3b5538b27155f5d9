"""Predicting: engines run the network, the predictor turns its logits into predictions, output keeps them."""
