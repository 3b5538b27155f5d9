"""What a checklist says of one question: a verdict, the evidence behind it, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Item", "Status", "by_interval", "by_value", "gravest"]

Status = Literal["pass", "warn", "fail", "not done"]
ORDER: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    ``evidence`` is the number behind the verdict, or why there is none; ``next_step`` a command, or what to look at,
    empty where there is nothing left to do.
    """

    question: str
    status: Status
    evidence: str
    next_step: str = ""

    def to_json(self) -> dict[str, str]:
        """The item as JSON values, under the keys of ``docs/checklist.md``."""
        return {"question": self.question, "status": self.status, "number": self.evidence, "settle": self.next_step}


def by_value(value: float, bounds: tuple[float, float]) -> Status:
    """Warn above the first bound, fail above the second."""
    return by_interval((value, value), bounds)


def by_interval(interval: tuple[float, float], bounds: tuple[float, float]) -> Status:
    """Fail what is surely above the second bound; pass what is surely not above the first."""
    low, high = interval
    return "fail" if low > bounds[1] else "warn" if high > bounds[0] else "pass"


def gravest(*verdicts: Status) -> Status:
    """The worst of verdicts on what was done."""
    return max(verdicts, key=ORDER.index)
