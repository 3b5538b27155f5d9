"""What an engineer asks of a trained model before trusting it, answered from the run's own files."""

from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.items import Item, Status, judge_run

__all__ = ["Item", "RunEvidence", "Status", "judge_run"]
