"""From measurements to medians, ratios, and whether a goal was met. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

__all__ = ["Goal", "Row", "condense", "find_goals", "ratio", "summarize", "throughputs"]

OURS = "hierpets"
POINTS = 0.003  # the difference of top-1 that still counts as equal
BREED_TARGET = 0.85


class Row(NamedTuple):
    """The medians of one contestant: seconds, MB, photos a second, shares. None: not measured."""

    name: str
    first: float
    first_memory: float
    throughput: float
    p50: float
    p95: float
    large: float | None
    large_throughput: float | None
    memory: float
    top1: float


class Goal(NamedTuple):
    """What was asked for and what came out. ``met`` is None where it could not be measured."""

    what: str
    target: str
    measured: str
    met: bool | None


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of each round: what slows a whole round down cancels out."""
    return median(a / b for a, b in zip(above, below, strict=True))


def rank(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]


def condense(session: Mapping[str, Any], labels: Sequence[str], large: int) -> dict[str, float]:
    """What is kept of a result of ``session.py``: rates, percentiles in seconds, how many answers were right.

    ``labels`` of the photos, in their order; ``large``: how many photos of 12 megapixels there were.
    """
    answers = session["answers"]
    kept = {
        "photos": len(answers),
        "right": sum(a == b for a, b in zip(answers, labels, strict=True)),
        "throughput": len(answers) / session["many"],
        "memory": session["memory"],
        "p50": rank(session["one"], 0.5),
        "p95": rank(session["one"], 0.95),
    }
    if large:
        kept |= {"large": median(session["large_one"]), "large_throughput": large / session["large_many"]}
    return kept


def summarize(name: str, measured: Mapping[str, Any]) -> Row:
    """``measured``: ``first`` and ``sessions``, one of each a round."""
    sessions, firsts = measured["sessions"], measured["first"]

    def middle(key: str) -> float:
        return median(session[key] for session in sessions)

    has_large = "large" in sessions[0]
    return Row(
        name,
        first=median(first["seconds"] for first in firsts),
        first_memory=median(first["memory"] for first in firsts),
        throughput=middle("throughput"),
        p50=middle("p50"),
        p95=middle("p95"),
        large=middle("large") if has_large else None,
        large_throughput=middle("large_throughput") if has_large else None,
        memory=middle("memory"),
        top1=middle("right") / sessions[0]["photos"],
    )


def throughputs(measured: Mapping[str, Any]) -> list[float]:
    """Photos a second, round by round."""
    return [session["throughput"] for session in measured["sessions"]]


def find_goals(results: Mapping[str, Any]) -> list[Goal]:
    """Every acceptance ratio that the results allow to be judged."""
    peers = results["peers"]
    rows = {name: summarize(name, measured) for name, measured in peers.items()}
    goals = [
        _throughput_goal(peers, rows, peer, least)
        for peer, least in (("fastai", 10.0), ("timm", 10.0), ("openvino", 1.5))
        if peer in peers
    ]
    if "fastai" in peers:
        goals += _first_goals(peers)
    goals.append(at_most("first answer of a cold process", rows[OURS].first, 1.0, "s", digits=2))
    if large := results.get("large"):
        goals += _large_goals(large)
    if memory := results.get("memory"):
        few, many = sorted(memory, key=int)
        what = f"memory at {int(many):,} photos over that at {int(few):,}"
        goals.append(at_most(what, memory[many] / memory[few], 1.10))
    goals += [
        at_least(
            f"streaming, {row['precision']}: share of what decoding and network allow", row["limit"]["reached"], 0.9
        )
        for row in results.get("limit", {}).get("results", [])
        if row["unavailable"] is None
    ]
    return goals


def at_least(what: str, value: float, target: float, unit: str = "", *, digits: int = 2) -> Goal:
    unit = f" {unit}" if unit else ""
    return Goal(what, f"at least {target:g}{unit}", f"{value:.{digits}f}{unit}", value >= target)


def at_most(what: str, value: float, target: float, unit: str = "", *, digits: int = 2) -> Goal:
    unit = f" {unit}" if unit else ""
    return Goal(what, f"at most {target:g}{unit}", f"{value:.{digits}f}{unit}", value <= target)


def _throughput_goal(peers: Mapping[str, Any], rows: Mapping[str, Row], peer: str, least: float) -> Goal:
    """So many times the peer's throughput, and no worse at it."""
    times = ratio(throughputs(peers[OURS]), throughputs(peers[peer]))
    difference = rows[OURS].top1 - rows[peer].top1
    return Goal(
        f"folder throughput over {peer}, at equal top-1",
        f"at least {least:g}, top-1 within {100 * POINTS:g} points",
        f"{times:.2f}, top-1 {100 * difference:+.1f} points",
        times >= least and difference >= -POINTS - 1e-9,
    )


def _first_goals(peers: Mapping[str, Any]) -> list[Goal]:
    ours, theirs = (peers[name]["first"] for name in (OURS, "fastai"))
    sooner = ratio([f["seconds"] for f in theirs], [f["seconds"] for f in ours])
    memory = ratio([f["memory"] for f in ours], [f["memory"] for f in theirs])
    return [
        at_least("first answer of a cold process, times sooner than fastai", sooner, 10),
        at_most("memory of a cold process, share of fastai's", memory, 0.2),
    ]


def _large_goals(large: Mapping[str, Any]) -> list[Goal]:
    return [
        at_least("12-megapixel JPEG, times sooner than decoded in full", ratio(large["full"], large["reduced"]), 3),
        at_least("12-megapixel JPEG, share with the same top-1", large["same"], 0.995, digits=3),
    ]
