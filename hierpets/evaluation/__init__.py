"""Evaluation: metrics at every level and across levels, with intervals, figures and a report."""
