"""Prediction: engines run the networks, the predictor turns logits into predictions, ``output`` writes them."""
