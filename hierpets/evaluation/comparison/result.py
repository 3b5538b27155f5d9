"""The result of comparing two models, by level."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

from pydantic import Field

from hierpets.bundle.identity import ModelId
from hierpets.text import counted
from hierpets.validation.strict import StrictModel

__all__ = ["Accuracies", "AccuracyIntervals", "Comparison", "LevelComparison", "McNemarTest", "Side"]

Side = Literal["a", "b"]


class Accuracies(StrictModel):
    """Accuracies of one model, or the differences of two."""

    accuracy: float = Field(description="share of photos whose top-1 class is the true one")
    balanced_accuracy: float = Field(description="mean recall over the classes")


class AccuracyIntervals(StrictModel):
    """95% paired bootstrap intervals of the differences."""

    accuracy: tuple[float, float] = Field(description="of the accuracy")
    balanced_accuracy: tuple[float, float] = Field(description="of the balanced accuracy")


class McNemarTest(StrictModel):
    """The photos on which only one model is right, and McNemar's exact test of their split, by animal."""

    only_a_right: int = Field(description="photos on which A is correct and B wrong")
    only_b_right: int = Field(description="photos on which B is correct and A wrong")
    p_value: float = Field(
        description="under the null hypothesis that either is ahead on each animal with the same probability"
    )


class LevelComparison(StrictModel):
    """One level: species or breed. Differences are B minus A."""

    n: int = Field(description="photos whose label names the level, for both models")
    a: Accuracies = Field(description="of A")
    b: Accuracies = Field(description="of B")
    difference: Accuracies = Field(description="B minus A")
    interval: AccuracyIntervals = Field(description="95% paired bootstrap intervals of the differences")
    mcnemar: McNemarTest = Field(description="McNemar's exact test")
    winner: Side | None = Field(
        description="the better model; null if no difference is shown, or a model was fitted to some of the photos"
    )
    verdict: str = Field(description="the same in words")


class Comparison(StrictModel):
    """The result of :func:`hierpets.compare`."""

    a: str = Field(description="name of A: its folder")
    b: str = Field(description="name of B")
    model_a: ModelId | None = Field(default=None, description="which model A is; null if its metrics.json is missing")
    model_b: ModelId | None = Field(default=None, description="which model B is")
    n: int = Field(description="photos")
    levels: dict[str, LevelComparison | None] = Field(
        description="species and breed; null if no breed is labeled for both"
    )

    @property
    def measured(self) -> dict[str, LevelComparison]:
        """The levels that could be compared."""
        return {name: level for name, level in self.levels.items() if level is not None}

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        return "\n".join(f"{name}: {level.verdict}" for name, level in self.measured.items())

    def __repr__(self) -> str:
        winners = {"a": self.a, "b": self.b}
        verdicts = ", ".join(
            f"{name}: {winners[level.winner] if level.winner else level.verdict.partition(':')[0]}"
            for name, level in self.measured.items()
        )
        return f"<Comparison of {self.a} and {self.b}, {counted(self.n, 'photo')}: {verdicts}>"

    def _repr_html_(self) -> str:
        """The verdicts, for notebooks."""
        rows = (f"<li><b>{name}</b>: {escape(level.verdict)}</li>" for name, level in self.measured.items())
        return f"<ul>{''.join(rows)}</ul>"
