"""Outputs of heads on frozen features for photos that were held out of their fit, fold by fold or breed by breed."""
