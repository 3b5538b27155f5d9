"""Compares two models on the same photos: is one better, or could it be chance?"""
