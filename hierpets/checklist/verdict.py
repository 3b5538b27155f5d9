"""An item of the checklist: a question, its status, the evidence for it, and the next step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Item", "Status", "by_interval", "by_value", "worst_of"]

Status = Literal["pass", "warn", "fail", "not done"]
ORDER: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    ``evidence`` holds the numbers behind the verdict, or why there are none; ``next_step`` is a command, or what to
    look at, and empty where nothing is left to do.
    """

    question: str
    status: Status
    evidence: str
    next_step: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the item as JSON values, under the names of its fields."""
        return asdict(self)


def by_value(value: float, bounds: tuple[float, float]) -> Status:
    """Warn above the first bound, fail above the second."""
    return by_interval((value, value), bounds)


def by_interval(interval: tuple[float, float], bounds: tuple[float, float]) -> Status:
    """Fail what is surely above the second bound; pass what is surely not above the first."""
    low, high = interval
    return "fail" if low > bounds[1] else "warn" if high > bounds[0] else "pass"


def worst_of(*verdicts: Status) -> Status:
    """Return the worst of some verdicts, none of which is "not done"."""
    return max(verdicts, key=ORDER.index)
