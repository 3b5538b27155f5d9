"""The stress test: how accuracy, coverage and false alarms change as photos are corrupted."""
