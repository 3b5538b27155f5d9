"""The headline of a report: in words, what the model is good at, what it is bad at, and what to mind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Headline", "headline", "percent", "pretty", "short"]

# Below these a model is said to be good, above the others bad; between them nothing is said.
_GOOD_RECALL, _BAD_RECALL = 0.95, 0.80
_GOOD_ECE, _BAD_ECE = 0.03, 0.05
_FEW_PHOTOS = 10
_NAMED = 3
_LONGEST = 26


@dataclass(frozen=True)
class Headline:
    """One sentence for all, then lists of sentences."""

    verdict: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    mind: tuple[str, ...]


def headline(metrics: Mapping[str, Any]) -> Headline:
    """The headline of a ``metrics.json``."""
    return Headline(
        verdict=_verdict(metrics),
        good=tuple(_good(metrics)),
        bad=tuple(_bad(metrics)),
        mind=tuple(_mind(metrics)),
    )


def percent(share: float | None, digits: int = 1) -> str:
    """``0.9132`` as "91.3 %", on one line; "–" for None. Only all is "100 %", else ">99.9 %"; only none is "0 %"."""
    if share is None:
        return "–"
    step = 10.0**-digits
    if share in (0, 1):
        shown = f"{100 * share:.0f}"
    elif share < step / 200:
        shown = f"<{step:.{digits}f}"
    elif share > 1 - step / 200:
        shown = f">{100 - step:.{digits}f}"
    else:
        shown = f"{100 * share:.{digits}f}"
    return f"{shown}\N{NO-BREAK SPACE}%"


def pretty(label: str) -> str:
    """A class name as people write it: "cat/british_shorthair" is "british shorthair"."""
    return label.rpartition("/")[2].replace("_", " ")


def short(label: str) -> str:
    """A pretty name of at most 26 characters, for a figure."""
    name = pretty(label)
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _verdict(metrics: Mapping[str, Any]) -> str:
    species, breed = metrics["species"], metrics["breed"]
    if breed is None:
        return f"The species is right on {percent(species['accuracy'])} of {species['n']:,} photos."
    same = "" if breed["n"] == species["n"] else f" of the {breed['n']:,} whose breed is known"
    return (
        f"Of {species['n']:,} photos the species is right on {percent(species['accuracy'])}, "
        f"the breed on {percent(breed['accuracy'])}{same}."
    )


def _good(metrics: Mapping[str, Any]) -> Iterator[str]:
    species, breed = metrics["species"], metrics["breed"]
    if species["balanced_accuracy"] >= 0.98:
        names = _listed([pretty(s) for s, c in species["per_class"].items() if c["support"]])
        yield f"Telling {names} apart: every species counted alike, {percent(species['balanced_accuracy'])} right."
    if breed is None:
        return
    best, _ = _species_by_breed_accuracy(metrics)
    if best:
        yield f"{pretty(best).capitalize()} breeds: {percent(metrics['breed_by_species'][best]['accuracy'])} right."
    supported = {label: c for label, c in breed["per_class"].items() if c["support"]}
    found = sum(c["recall"] >= _GOOD_RECALL for c in supported.values())
    if found:
        yield f"{found} of {len(supported)} breeds are found on at least 95 in 100 of their photos."
    yield from _good_at_doubt(metrics)


def _good_at_doubt(metrics: Mapping[str, Any]) -> Iterator[str]:
    breed, trade = metrics["breed"], metrics["selective"]["breed"]
    if breed["ece"] <= _GOOD_ECE:
        yield f"Its confidence can be taken at its word: it is off by {100 * breed['ece']:.1f} points on average."
    if trade["risk"] is not None and trade["risk"] <= 0.05 and trade["coverage"] < 1:
        yield (
            f"Knowing when to stop: it names a breed for {percent(trade['coverage'], 0)} of the photos, "
            f"and is right on {percent(1 - trade['risk'])} of those."
        )
    within = _mistakes_within_species(metrics)
    if within is not None and within >= 0.9:
        yield f"{percent(within, 0)} of its breed mistakes stay inside the species."


def _bad(metrics: Mapping[str, Any]) -> Iterator[str]:
    yield from _no_better_than_guessing(metrics)
    yield from _hidden_by_accuracy(metrics["species"])
    breed = metrics["breed"]
    if breed is None:
        return
    _, worst = _species_by_breed_accuracy(metrics)
    if worst:
        yield f"{pretty(worst).capitalize()} breeds: {percent(metrics['breed_by_species'][worst]['accuracy'])} right."
    yield from _weak_breeds(breed)
    if breed["ece"] > _BAD_ECE:
        sure = breed["calibration"]["mean_confidence"]
        word = "Over-confident" if sure > breed["accuracy"] else "Under-confident"
        yield f"{word}: it says {percent(sure, 0)} on average and is right on {percent(breed['accuracy'], 0)}."
    within = _mistakes_within_species(metrics)
    if within is not None and within < 0.7:
        yield f"{percent(1 - within, 0)} of its breed mistakes are in another species altogether."


def _no_better_than_guessing(metrics: Mapping[str, Any]) -> Iterator[str]:
    for name in ("species", "breed"):
        level = metrics[name]
        if level is None or level["majority_class"]["accuracy"] == 1:
            continue
        low, majority = level["intervals"]["accuracy"][0], level["majority_class"]
        if low is not None and low <= majority["accuracy"]:
            yield (
                f"The {name} is not shown to beat the guess that every photo is {pretty(majority['label'])} "
                f"({percent(majority['accuracy'])})."
            )


def _hidden_by_accuracy(species: Mapping[str, Any]) -> Iterator[str]:
    """Species whose recall lies well below the accuracy that everybody looks at."""
    for name, scores in species["per_class"].items():
        if scores["support"] and scores["recall"] < min(species["accuracy"] - 0.02, 0.98):
            missed = scores["support"] - round(scores["recall"] * scores["support"])
            taken_for, times = _most_taken_for(species["confusion_matrix"], name)
            yield (
                f"Accuracy hides it: {missed:,} of {scores['support']:,} {pretty(name)} photos are missed "
                f"({times:,} called {pretty(taken_for)}); {pretty(name)} recall is {percent(scores['recall'])}."
            )


def _weak_breeds(breed: Mapping[str, Any]) -> Iterator[str]:
    """The breeds of low recall whose interval rules out that they are good, or as good as the average photo."""
    least = min(_GOOD_RECALL, breed["accuracy"])
    supported = {label: scores for label, scores in breed["per_class"].items() if scores["support"]}
    weak = {
        label: scores
        for label, scores in supported.items()
        if scores["recall"] < _BAD_RECALL and scores["recall_interval"][1] < least
    }
    for label, scores in sorted(weak.items(), key=lambda item: item[1]["recall"])[:_NAMED]:
        taken_for, times = _most_taken_for(breed["confusion_matrix"], label)
        hits = round(scores["recall"] * scores["support"])
        often = "most often " if times > 1 else ""
        yield (
            f"{pretty(label).capitalize()}: found on {hits:,} of {scores['support']:,} photos, "
            f"{often}taken for {pretty(taken_for)} ({times:,})."
        )


def _most_taken_for(matrix: Mapping[str, Any], label: str) -> tuple[str, int]:
    row = np.array(matrix["counts"][matrix["labels"].index(label)])
    row[matrix["labels"].index(label)] = -1
    return matrix["labels"][int(row.argmax())], int(row.max())


def _species_by_breed_accuracy(metrics: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The species whose breeds are told best and worst, when the gap is three points or more."""
    accuracy = {species: found["accuracy"] for species, found in metrics["breed_by_species"].items()}
    best, worst = max(accuracy, key=lambda s: accuracy[s]), min(accuracy, key=lambda s: accuracy[s])
    return (best, worst) if accuracy[best] - accuracy[worst] >= 0.03 else (None, None)


def _mistakes_within_species(metrics: Mapping[str, Any]) -> float | None:
    """The share of breed mistakes whose species is right; None with fewer than ten mistakes."""
    matrix = metrics["breed"]["confusion_matrix"]
    counts = np.array(matrix["counts"])
    species = np.array([label.partition("/")[0] for label in matrix["labels"]])
    mistakes = counts.sum() - counts.trace()
    if mistakes < 10:
        return None
    same = counts[species[:, None] == species[None, :]].sum() - counts.trace()
    return float(same / mistakes)


def _mind(metrics: Mapping[str, Any]) -> Iterator[str]:
    level = metrics["breed"] or metrics["species"]
    noun = "breeds" if metrics["breed"] else "species"
    labels = [label for label in level["per_class"] if "/" in label or not metrics["breed"]]
    support = np.array([level["per_class"][label]["support"] for label in labels])
    if (support == 0).any():
        missing = [pretty(label) for label, n in zip(labels, support, strict=True) if n == 0]
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"No photo of {', '.join(missing[:_NAMED])}{more}: nothing is known of them."
    few = int(((support > 0) & (support < _FEW_PHOTOS)).sum())
    if few:
        yield f"{few} {noun} have fewer than {_FEW_PHOTOS} photos: their numbers are rough, see the intervals."
    present = support[support > 0]
    if present.max() >= 3 * present.min():
        yield (
            f"The photos are unbalanced, {present.min():,} to {present.max():,} for each of the {noun}: look at the "
            "macro averages before the accuracy."
        )
