"""What an engineer asks of a trained model before trusting it, from the run's own files."""

from hierpets.checklist.run import Checklist, check_run

__all__ = ["Checklist", "check_run"]
