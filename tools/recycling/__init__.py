"""Whether trained weights can be recycled into experts: the arms of the experiment, and what they learn from."""
