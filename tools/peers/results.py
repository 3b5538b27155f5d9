"""Pure functions that turn measurements into medians, ratios, goals, and the page ``docs/benchmarks.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jinja2

from hierpets.bench.numbers import percentiles

__all__ = ["BREED_TARGET", "Goal", "condense", "find_goals", "ratio", "summarize", "write_page"]

Results = Mapping[str, Any]
OURS, RELEASED = "hierpets", "hierpets released"
POINTS = 0.003  # largest difference of top-1 accuracy that still counts as equal
BREED_TARGET = 0.85
THROUGHPUT = {"fastai": 10.0, "timm": 10.0, "openvino": 1.5, "timm released": 14.0, "openvino released": 1.8}
"""Goals: hierpets' throughput with the same network, as a multiple of each peer's."""


class Goal(NamedTuple):
    """A target, the measured value, and whether the target is met."""

    what: str
    target: str
    measured: str
    met: bool


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios within each round, in which a slow-down of a whole round cancels out."""
    return median(a / b for a, b in zip(above, below, strict=True))


def condense(session: Mapping[str, Any], labels: Sequence[str], large: int) -> dict[str, float]:
    """Summarize a result of ``sides.session``: rates, percentiles in seconds, and the number of right predictions.

    ``labels`` are those of the photos, in their order; ``large`` is the number of 12-megapixel photos.
    """
    answers, one = session["answers"], percentiles(session["one"])
    return {
        "photos": len(answers),
        "right": sum(a == b for a, b in zip(answers, labels, strict=True)),
        "throughput": len(answers) / session["many"],
        "memory": session["memory"],
        "p50": one["p50"],
        "p95": one["p95"],
        "large": median(session["large_one"]),
        "large_throughput": large / session["large_many"],
    }


def summarize(measured: Results) -> dict[str, float]:
    """Return the medians of one peer; ``measured`` has lists ``first`` and ``sessions`` with an entry per round."""
    sessions, firsts = measured["sessions"], measured["first"]
    row = {key: median(session[key] for session in sessions) for key in sessions[0]}
    row |= {"first": median(f["seconds"] for f in firsts), "first_memory": median(f["memory"] for f in firsts)}
    return row | {"top1": row["right"] / row["photos"]}


def find_goals(results: Results) -> list[Goal]:
    """Return every goal that the results can be compared with."""
    peers, goals = results["peers"], []
    for peer, least in THROUGHPUT.items():
        goals += [_throughput_goal(peers, peer, least)] if peer in peers else []
    ours = peers[OURS]["first"]
    if "fastai" in peers:
        sooner, memory = (_first_ratio(peers, key) for key in ("seconds", "memory"))
        goals.append(_at_least("cold start to first prediction, speedup over fastai", sooner, 10))
        goals.append(_at_most("memory of a cold process, relative to fastai", 1 / memory, 0.2))
    goals.append(_at_most("cold start to first prediction", median(f["seconds"] for f in ours), 1.0, " s"))
    for name, large in (results.get("large") or {}).items():
        times = ratio(large["full"], large["reduced"])
        goals.append(_at_least(f"{name}, 12-megapixel JPEG: speedup over full decoding", times, 3))
        what = f"{name}, 12-megapixel JPEG: fraction with the same top-1"
        goals.append(_at_least(what, large["same"], 0.995, digits=3))
    if memory_of := results.get("memory"):
        few, many = sorted(memory_of, key=int)
        grown = memory_of[many] / memory_of[few]
        goals.append(_at_most(f"memory at {int(many):,} photos over that at {int(few):,}", grown, 1.10))
    for name, limit in (results.get("limit") or {}).items():
        for row in limit["results"]:
            if row["unavailable"] is None:
                what = f"{name}, streaming in {row['precision']}: fraction of what decoding and network allow"
                goals.append(_at_least(what, row["limit"]["reached"], 0.92, digits=4))
    return goals


def write_page(results: Results) -> str:
    """Render ``docs/benchmarks.md``."""
    peers = results["peers"]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    memory = sorted((int(count), peak) for count, peak in (results["memory"] or {}).items())
    return environment.get_template("page.md.j2").render(
        **{**results, "memory": memory},
        goals=find_goals(results),
        rows={name: summarize(measured) | {"times": _times(peers, name)} for name, measured in peers.items()},
        learners=list(_learners(results["training"])) if results["training"] else [],
        target=f"{BREED_TARGET:.0%}",
        median=median,
    )


def _learners(training: Results) -> Iterator[dict[str, Any]]:
    """Yield time to the target and best accuracy of hierpets and of fastai."""
    ours, theirs = training[OURS], training.get("fastai")
    reached = "" if ours["accuracy"] >= BREED_TARGET else "not reached in "
    yield {
        "name": "hierpets train --recipe heads",
        "time": f"{reached}{ours['seconds']:.0f} s",
        "best": ours["accuracy"],
    }
    if theirs:
        hit = next((seconds for seconds, accuracy in theirs["epochs"] if accuracy >= BREED_TARGET), None)
        never = f"not within {theirs['epochs'][-1][0] / 60:.1f} minutes"
        best = max(accuracy for _, accuracy in theirs["epochs"])
        name = f"fastai fine_tune({theirs['planned']})"
        yield {"name": name, "time": never if hit is None else f"{hit:.0f} s", "best": best}


def _ours(peer: str) -> str:
    """Return the name of hierpets with the network that the peer runs."""
    return RELEASED if peer.endswith(" released") else OURS


def _times(peers: Results, peer: str) -> float:
    """Return hierpets' throughput as a multiple of the peer's."""
    return ratio(_throughputs(peers[_ours(peer)]), _throughputs(peers[peer]))


def _throughputs(measured: Results) -> list[float]:
    return [session["throughput"] for session in measured["sessions"]]


def _first_ratio(peers: Results, key: str) -> float:
    """Return the ratio of fastai's first answer to that of hierpets: of ``seconds`` or of ``memory``."""
    theirs, ours = ([first[key] for first in peers[name]["first"]] for name in ("fastai", OURS))
    return ratio(theirs, ours)


def _throughput_goal(peers: Results, peer: str, least: float) -> Goal:
    """Return the goal for throughput relative to a peer, at equal accuracy. For the released model, accuracy is left
    out: it was trained on these photos.
    """
    times = _times(peers, peer)
    if _ours(peer) == RELEASED:
        return _at_least(f"folder throughput relative to {peer}", times, least)
    difference = summarize(peers[_ours(peer)])["top1"] - summarize(peers[peer])["top1"]
    return Goal(
        f"folder throughput relative to {peer}, at equal top-1",
        f"at least {least:g}, top-1 within {100 * POINTS:g} points",
        f"{times:.2f}, top-1 {100 * difference:+.1f} points",
        times >= least and difference >= -POINTS - 1e-9,
    )


def _at_least(what: str, value: float, target: float, *, digits: int = 2) -> Goal:
    return Goal(what, f"at least {target:g}", f"{value:.{digits}f}", value >= target)


def _at_most(what: str, value: float, target: float, unit: str = "") -> Goal:
    return Goal(what, f"at most {target:g}{unit}", f"{value:.2f}{unit}", value <= target)
