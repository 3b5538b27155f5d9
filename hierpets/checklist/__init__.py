"""What an engineer asks of a trained model before trusting it, from the run's own files."""

from hierpets.checklist.evidence import RunEvidence
from hierpets.checklist.items import Item, Status, judge_run
from hierpets.checklist.run import Checklist, check_run

__all__ = ["Checklist", "Item", "RunEvidence", "Status", "check_run", "judge_run"]
