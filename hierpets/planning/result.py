"""The one definition of a plan: what is computed, printed, drawn and written as ``plan.json``."""

from __future__ import annotations

from html import escape
from typing import Literal

from pydantic import Field

from hierpets.planning.lines import plan_lines
from hierpets.validation.strict import StrictModel

__all__ = ["BackboneRank", "ClassGain", "CurvePoint", "Help", "Plan", "PretrainedGain", "RecipeCost", "RecipeName"]

Help = Literal["yes", "hardly", "no"]
HELPFUL = 0.05  # of balanced accuracy, that pretrained weights should bring


class CurvePoint(StrictModel):
    """Accuracy with so many training photos of each class, cross-validated."""

    photos: int = Field(description="Photos of a class that heads were fitted to, at most; the last point holds all.")
    mean_photos: float = Field(description="How many that are on average over the classes.")
    classes: int = Field(description="Classes that have as many.")
    accuracy: float = Field(description="Mean recall of the classes, averaged over the repeats.")
    low: float = Field(description="The lowest of the repeats.")
    high: float = Field(description="The highest of the repeats.")
    interval: tuple[float, float] = Field(description="95% bootstrap interval of the accuracy over the photos.")
    species: float = Field(description="Mean recall of the species, averaged over the repeats.")


class ClassGain(StrictModel):
    """What the last photos of a class brought it."""

    label: str = Field(description="SPECIES/BREED, or a species that has no breeds.")
    photos: int = Field(description="Its photos.")
    recall: float = Field(description="Its recall, cross-validated.")
    removed: int = Field(description="Photos that were taken away: ten, or half where there are fewer than twenty.")
    gain: float = Field(description="Its recall less that without these.")
    interval: tuple[float, float] = Field(description="95% bootstrap interval of the gain over its photos.")


RecipeName = Literal["heads", "auto", "finetune"]


class RecipeCost(StrictModel):
    """What a recipe of ``hierpets train`` takes on this machine for all photos that it would read."""

    recipe: RecipeName = Field(description="As in `hierpets train --recipe`.")
    minutes: float = Field(description="Estimated from the speed of a few photos.")
    core_hours: float = Field(description="The same on one core.")
    cost: float | None = Field(description="Minutes at the given price of an hour; null without one.")
    finetunes: bool = Field(description="Whether fine-tuning is part of it.")
    skipped: str | None = Field(
        description="Why recipe `auto` skips fine-tuning; null where it does not, and for the other recipes."
    )


class BackboneRank(StrictModel):
    """How well linear heads do on the features of a backbone."""

    backbone: str = Field(description="Name and options.")
    accuracy: float = Field(description="Mean recall of the classes, cross-validated.")
    difference: float = Field(description="Less that of the best backbone.")
    interval: tuple[float, float] = Field(description="95% bootstrap interval of the difference, in pairs.")
    milliseconds: float = Field(description="For one photo on this machine.")
    advised: bool = Field(description="The fastest of those that the best is not shown to beat.")


class PretrainedGain(StrictModel):
    """Balanced accuracy, out of fold, of the same heads on features of pretrained and of random weights."""

    level: str = Field(description="`species` or `breed`")
    photos: int
    pretrained: float
    random: float

    @property
    def helps(self) -> Help:
        """Whether pretrained weights bring as much as they should, less, or nothing."""
        gain = self.pretrained - self.random
        return "yes" if gain >= HELPFUL else "hardly" if gain > 0 else "no"


class Plan(StrictModel):
    """The result of :func:`hierpets.plan`."""

    data: str = Field(description="The photos that were planned with.")
    backbone: str = Field(description="The backbone behind curve and gains.")
    level: Literal["breed", "species"] = Field(description="What is told apart: species, where no breed is stated.")
    photos: int = Field(description="Photos that were used.")
    classes: int = Field(description="Classes among them.")
    left_out: tuple[str, ...] = Field(description="What was not used and why, a line each.")
    curve: tuple[CurvePoint, ...] = Field(description="From one photo of each class to all.")
    gains: tuple[ClassGain, ...] = Field(description="Of every class, the largest first.")
    recipes: tuple[RecipeCost, ...] = Field(description="The cheapest first.")
    backbones: tuple[BackboneRank, ...] = Field(description="The best first; empty where they were not compared.")
    pretraining: PretrainedGain | str | None = Field(
        description="Whether pretrained weights help; a sentence where that cannot be told; null where not asked."
    )

    def __str__(self) -> str:
        return "\n".join(plan_lines(self))

    def _repr_html_(self) -> str:
        """What the command prints, for notebooks."""
        return f"<pre>{escape(str(self))}</pre>"
