"""Print a plan as sentences and small tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hierpets.text import counted, percent

if TYPE_CHECKING:
    from hierpets.planning.result import BackboneRank, ClassGain, CurvePoint, Plan, PretrainedGain, RecipeCost

__all__ = ["plan_lines"]

SHOWN = 8  # classes
FLATTER = 10  # photos of each class from which on a curve flattens; before, it may be at its steepest


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the lines: what can be promised, what more photos bring and where, what each recipe costs."""
    yield f"{plan.photos:,} photos of {plan.classes} classes, linear heads on {plan.backbone}"
    yield from (f"! {line}" for line in plan.left_out)
    yield from _curve(plan.curve, plan.level)
    yield from _gains(plan.gains)
    yield from _recipes(plan.recipes)
    if plan.backbones:
        yield from _backbones(plan.backbones)
    if plan.pretraining is not None:
        yield f"Does pretraining help here? {_pretraining(plan.pretraining)}"


def _curve(curve: Sequence[CurvePoint], level: str) -> Iterator[str]:
    last = curve[-1]
    yield (
        f"To be promised today: mean {level} recall {percent(last.accuracy)} "
        f"(95% interval {percent(last.interval[0])} to {percent(last.interval[1])}), cross-validated."
    )
    yield ""
    species = level == "breed"  # else it is the column before
    yield f"{'fitted to':>12} {level:>8} {'range':>18}" + (f" {'species':>8}" if species else "")
    for point in curve:
        at = f"all, mean {point.mean_photos:.0f}" if point is last else f"{point.photos} each"
        spread = f"{percent(point.low)} to {percent(point.high)}"
        row = f"{at:>12} {percent(point.accuracy):>8} {spread:>18}"
        yield row + (f" {percent(point.species):>8}" if species else "")
    yield ""
    if len(curve) > 1:
        yield from _last_stretch(curve)


def _last_stretch(curve: Sequence[CurvePoint]) -> Iterator[str]:
    """Say what the second half of the photos brought; nothing is extrapolated beyond what was measured."""
    last = curve[-1]
    before = max(
        (point for point in curve[:-1] if point.mean_photos <= last.mean_photos / 2),
        key=lambda point: point.mean_photos,
        default=curve[0],
    )
    gained = round(100 * (last.accuracy - before.accuracy), 1)
    stretch = f"From {before.mean_photos:.0f} to {last.mean_photos:.0f} photos each, recall"
    if gained > 0:
        yield f"{stretch} rose by {gained:.1f} points."
    else:
        yield f"{stretch} did not rise ({gained:.1f} points)."
    if gained > 0 and last.mean_photos >= FLATTER:
        yield "As many photos again usually bring less than that; how much less, only they can tell."
    else:
        yield "What as many photos again would bring, these cannot tell."


def _gains(gains: Sequence[ClassGain]) -> Iterator[str]:
    """List the classes whose last photos helped; of the others give the number, as they do not show where to look."""
    helped = [found for found in gains if found.gain > 0]
    if not helped and all(found.recall == 1 for found in gains):
        return
    yield ""
    if not helped:
        yield "The last photos of no class are shown to have helped."
        return
    yield "Where more photos help most, by what the last ones brought (of Oxford's breeds, the next brought 30%):"
    for found in helped[:SHOWN]:
        has = f"{found.photos} photos, recall {percent(found.recall)}"
        brought = f"the last {found.removed} brought {_points(found.gain)} points {_range(found.interval)}"
        yield f"  {found.label:<32} {has:<27} {brought}"
    if others := len(gains) - len(helped):
        yield f"Of {counted(others, 'other')}, the last photos are not shown to have helped."


def _recipes(recipes: Sequence[RecipeCost]) -> Iterator[str]:
    yield ""
    yield "Recipes on this machine:"
    for found in recipes:
        cost = "" if found.cost is None else f", {_money(found.cost)} at the given price"
        yield f"  {found.recipe:<9} {_duration(found.minutes):>9}, {found.core_hours:.2f} core hours{cost}"
        if found.skipped:
            yield f"{'':12} fine-tuning skipped: {found.skipped}"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "< 1 min"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _money(cost: float) -> str:
    return "<0.01" if 0 < cost < 0.005 else f"{cost:.2f}"


def _backbones(ranks: Sequence[BackboneRank]) -> Iterator[str]:
    yield ""
    yield "Linear heads on each backbone, and milliseconds a photo; * the fastest that the best is not shown to beat:"
    for found in ranks:
        against = "" if found is ranks[0] else f"{_points(found.difference)} points {_range(found.interval)}"
        mark = "*" if found.advised else " "
        yield f"{mark} {found.backbone:<36} {percent(found.accuracy):>6}  {against:<27} {found.milliseconds:.0f} ms"
    yield ""


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _range(interval: tuple[float, float]) -> str:
    return f"({_points(interval[0])} to {_points(interval[1])})"


def _pretraining(found: PretrainedGain | str) -> str:
    if isinstance(found, str):
        return f"not known: {found}."
    return (
        f"{found.helps.capitalize()}: balanced {found.level} accuracy {percent(found.pretrained)} with pretrained "
        f"weights, {percent(found.random)} with random ones, {found.photos:,} photos."
    )
