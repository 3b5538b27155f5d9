"""What a model is worth: metrics at every level and across them, with intervals, figures and a report."""
