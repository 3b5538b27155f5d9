"""The headline of a report: the model's strengths, weaknesses and caveats in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierpets.evaluation.metrics.promise import broken_promises, promised_share, right_or_parent
from hierpets.evaluation.metrics.reliability import chance_error
from hierpets.evaluation.metrics.resampling import exact_interval
from hierpets.evaluation.metrics.schema import (
    ConfusionMatrix,
    LevelMetrics,
    Metrics,
    OODMetrics,
    OODScoreMetrics,
    SeenMetrics,
    SelectiveLevel,
    SelectiveMetrics,
    StressMean,
    StressMetrics,
)
from hierpets.text import capital, counted, join_words, percent, pretty, told_apart

__all__ = ["Headline", "headline"]

# A number better than the first threshold is a strength, if its interval excludes the second; one worse than the second
# is a weakness; one in between is not mentioned.
_GOOD_SPECIES, _BAD_SPECIES = 0.98, 0.95
_GOOD_RECALL, _BAD_RECALL = 0.95, 0.80
_GOOD_ECE, _BAD_ECE = 0.03, 0.05
_GOOD_REJECTION, _BAD_REJECTION = 0.95, 0.80
_GOOD_RISK, _BAD_RISK = 0.05, 0.10
_PETS_REJECTED = 0.05
_MIN_COVERAGE = 0.5  # share of the photos for which a breed is named
_MANY_UNKNOWN = 0.2  # share of the pets: lower for hard photos, 1 for a model that promises nothing
_SEPARATES = 0.99  # AUROC
_GOOD_LOSS, _BAD_LOSS = 0.03, 0.05  # of accuracy, at the middle step of a stress test
_FEW_PHOTOS = 10
_NAMED = 3


@dataclass(frozen=True)
class Headline:
    """A summary in one sentence, and lists of sentences."""

    verdict: str
    strengths: tuple[str, ...]
    weaknesses: tuple[str, ...]
    caveats: tuple[str, ...]


def headline(metrics: Metrics) -> Headline:
    """Summarize metrics in words."""
    return Headline(
        verdict=_verdict(metrics),
        strengths=tuple(_strengths(metrics)),
        weaknesses=tuple(_weaknesses(metrics)),
        caveats=tuple(_caveats(metrics)),
    )


def _verdict(metrics: Metrics) -> str:
    species, breed = metrics.species, metrics.breed
    if breed is None:
        return f"The species is correct for {percent(species.accuracy)} of {counted(species.n, 'photo')}."
    same = "" if breed.n == species.n else f" of the {breed.n:,} with a known breed"
    return (
        f"Of {counted(species.n, 'photo')}, the species is correct for {percent(species.accuracy)} "
        f"and the breed for {percent(breed.accuracy)}{same}."
    )


def _strengths(metrics: Metrics) -> Iterator[str]:
    species = metrics.species
    names = [pretty(s) for s, c in species.per_class.items() if c.support]
    low, _ = species.intervals["balanced_accuracy"]
    if len(names) > 1 and species.balanced_accuracy >= _GOOD_SPECIES and low is not None and low >= _BAD_SPECIES:
        yield f"Tells {join_words(names)} apart: balanced accuracy {percent(species.balanced_accuracy)}."
    if metrics.breed is not None:
        yield from _good_breeds(metrics, metrics.breed)
        yield from _good_confidence(metrics, metrics.breed)
    yield from _kept_promise(metrics.selective)
    if metrics.ood is not None and metrics.ood.rejected >= _GOOD_REJECTION and _surely_rejected(metrics.ood):
        yield _rejected(metrics.ood)
    if metrics.stress is not None and _is_robust(metrics.stress.middle):
        yield _stressed(metrics.stress)


def _is_robust(middle: StressMean) -> bool:
    """Whether corruption costs little accuracy, and enough photos were measured to rule out that it costs much."""
    high = middle.loss_interval[1]
    return middle.loss <= _GOOD_LOSS and high is not None and high <= _BAD_LOSS


def _is_fragile(middle: StressMean) -> bool:
    return middle.loss > _BAD_LOSS


def _good_breeds(metrics: Metrics, breed: LevelMetrics) -> Iterator[str]:
    best, _ = _species_by_breed_accuracy(metrics)
    if best:
        yield _breeds_of(best, metrics)
    supported = [c for c in breed.per_class.values() if c.support]
    good = [c for c in supported if c.recall >= _GOOD_RECALL]
    sure = [c for c in good if c.recall_interval and c.recall_interval[0] >= _BAD_RECALL]
    if len(sure) >= len(supported) / 2:
        yield f"{len(good)} of {len(supported)} breeds have a recall of at least {percent(_GOOD_RECALL, 0)}."


def _breeds_of(species: str, metrics: Metrics) -> str:
    found = metrics.breed_by_species[species]
    return f"{capital(pretty(species))} breeds: correct for {percent(found.accuracy)} of {counted(found.n, 'photo')}."


def _good_confidence(metrics: Metrics, breed: LevelMetrics) -> Iterator[str]:
    selective = metrics.selective.breed
    if breed.ece <= _GOOD_ECE and _surely_calibrated(breed):
        yield f"Well calibrated: the confidence is off by {100 * breed.ece:.1f} points on average."
    if selective and _MIN_COVERAGE <= selective.coverage < 1 and _surely_right(selective):
        yield (
            f"Knows when to back off: it names a breed for {percent(selective.coverage, 0)} of the photos "
            f"and is correct for {percent(1 - (selective.risk or 0))} of those."
        )
    within = _mistakes_within_species(breed.confusion_matrix)
    if within is not None and within >= 0.9:
        yield f"{percent(within, 0)} of its breed mistakes stay within the species."


def _surely_calibrated(breed: LevelMetrics) -> bool:
    """Whether enough photos were measured to rule out that the mean confidence is far from the accuracy."""
    confidence = breed.calibration.mean_confidence
    return all(bound is not None and abs(bound - confidence) <= _BAD_ECE for bound in breed.intervals["accuracy"])


def _surely_right(selective: SelectiveLevel) -> bool:
    """Whether few of the named breeds are wrong, and enough are named to rule out that many would be."""
    named = round(selective.coverage * selective.n)
    if selective.risk is None or selective.risk > _GOOD_RISK:
        return False
    return exact_interval(selective.risk * named, named)[1] <= _BAD_RISK


def _weaknesses(metrics: Metrics) -> Iterator[str]:
    for clause in broken_promises(metrics.selective):
        yield f"The model {clause}. The promise is for photos like those that the model was calibrated on."
    yield from _no_better_than_majority(metrics)
    yield from _missed_species(metrics.species)
    if metrics.ood is None and metrics.selective.answers.unknown > _MANY_UNKNOWN:
        yield f"Answers {percent(metrics.selective.answers.unknown)} of the photos as unknown."
    if metrics.breed is not None:
        yield from _bad_breeds(metrics, metrics.breed)
        yield from _low_coverage(metrics, metrics.breed)
    if metrics.ood is not None:
        yield from _bad_rejection(metrics.ood)
    if metrics.stress is not None and _is_fragile(metrics.stress.middle):
        yield _stressed(metrics.stress)


def _kept_promise(selective: SelectiveMetrics) -> Iterator[str]:
    """Praise a kept promise, unless the model rarely answers: it then keeps any promise easily."""
    evasive = selective.answers.unknown > _MANY_UNKNOWN
    if selective.alpha is not None and selective.node.keeps(selective.alpha) and not selective.broken and not evasive:
        yield f"Keeps its promise of {promised_share(selective.alpha)}: {right_or_parent(selective.node)}."


def _bad_breeds(metrics: Metrics, breed: LevelMetrics) -> Iterator[str]:
    _, worst = _species_by_breed_accuracy(metrics)
    if worst:
        yield _breeds_of(worst, metrics)
    yield from _weak_breeds(breed)
    if breed.ece - chance_error(breed.calibration) > _BAD_ECE:
        yield _miscalibrated(breed)
    within = _mistakes_within_species(breed.confusion_matrix)
    if within is not None and within < 0.7:
        yield f"{percent(1 - within, 0)} of its breed mistakes name another species."


def _low_coverage(metrics: Metrics, breed: LevelMetrics) -> Iterator[str]:
    """Report a model that names few breeds although it gets most right; one that gets few right should name few."""
    selective = metrics.selective.breed
    if selective and selective.coverage < _MIN_COVERAGE <= breed.accuracy:
        yield (
            f"It names a breed for only {percent(selective.coverage, 0)} of the photos, though "
            f"{percent(breed.accuracy, 0)} of its most probable breeds are right."
        )


def _miscalibrated(breed: LevelMetrics) -> str:
    confidence, accuracy = breed.calibration.mean_confidence, breed.accuracy
    word = "Overconfident" if confidence > accuracy else "Underconfident"
    if abs(confidence - accuracy) < breed.ece / 2:
        word = "Sometimes overconfident, sometimes underconfident"
    return (
        f"{word}: off by {100 * breed.ece:.1f} points on average; mean confidence {percent(confidence, 0)}, "
        f"accuracy {percent(accuracy, 0)}."
    )


def _no_better_than_majority(metrics: Metrics) -> Iterator[str]:
    for name, level in metrics.by_level.items():
        low, majority = level.intervals["accuracy"][0], level.majority_class
        if majority.accuracy < 1 and low is not None and low <= majority.accuracy:
            by_chance = f", and the model's may be {percent(low)}" if level.accuracy > majority.accuracy else ""
            yield (
                f"The {name} is not shown to beat the majority-class baseline: {pretty(majority.label)} for every "
                f"photo has an accuracy of {percent(majority.accuracy)}{by_chance}."
            )


def _missed_species(species: LevelMetrics) -> Iterator[str]:
    """Report species whose recall is well below the overall accuracy, or low, if only one species has photos."""
    alone = sum(scores.support > 0 for scores in species.per_class.values()) == 1
    hidden, threshold = ("", 0.98) if alone else ("Accuracy hides it: ", min(species.accuracy - 0.02, 0.98))
    for name, scores in species.per_class.items():
        if scores.support and scores.recall < threshold:
            missed = scores.support - round(scores.recall * scores.support)
            mistaken_for, times = _most_mistaken_for(species.confusion_matrix, name)
            yield (
                f"{hidden}{missed:,} of {scores.support:,} {pretty(name)} photos are missed "
                f"({times:,} called {pretty(mistaken_for)}); {pretty(name)} recall is {percent(scores.recall)}."
            )


def _weak_breeds(breed: LevelMetrics) -> Iterator[str]:
    """Report breeds with a low recall whose interval rules out that they are good, or as good as the average photo.

    Intervals are widened for the number of breeds, because the lowest of many recalls is low by chance.
    """
    threshold = min(_GOOD_RECALL, breed.accuracy)
    supported = {label: scores for label, scores in breed.per_class.items() if scores.support}
    weak = {
        label: scores
        for label, scores in supported.items()
        if scores.recall < _BAD_RECALL and scores.recall_among(len(supported))[1] < threshold
    }
    names = told_apart(breed.confusion_matrix.labels)
    for label, scores in sorted(weak.items(), key=lambda item: item[1].recall)[:_NAMED]:
        mistaken_for, times = _most_mistaken_for(breed.confusion_matrix, label)
        hits = round(scores.recall * scores.support)
        often = "most often " if times > 1 else ""
        yield (
            f"{capital(names[label])}: recognized in {hits:,} of {scores.support:,} photos, "
            f"{often}mistaken for {names[mistaken_for]} ({times:,})."
        )


def _bad_rejection(ood: OODMetrics) -> Iterator[str]:
    accepted = {kind: found for kind, found in ood.per_kind.items() if found.rejected < _BAD_REJECTION}
    if ood.rejected < _GOOD_REJECTION or accepted:
        worst = sorted(accepted, key=lambda kind: accepted[kind].rejected)
        kinds = [f"{kind.replace('_', ' ')} ({_accepted(accepted[kind])})" for kind in worst]
        named = f": {join_words(kinds, limit=_NAMED)}" if kinds else ""
        yield f"{_accepted(ood)} out-of-distribution photos are accepted as a pet{named}."
        if ood.auroc >= _SEPARATES:
            yield f"The pet score separates them (AUROC {ood.auroc:.3f}), but its threshold is too lenient."
    if ood.rejected < _GOOD_REJECTION or ood.pets_rejected > _PETS_REJECTED:
        yield f"{percent(ood.pets_rejected)} of the pets are rejected as unknown."


def _accepted(found: OODScoreMetrics) -> str:
    return f"{found.n - round(found.rejected * found.n):,} of {found.n:,}"


def _rejected(ood: OODMetrics) -> str:
    return (
        f"Rejects photos of no pet: {percent(ood.rejected)} of {ood.n:,} out-of-distribution photos, "
        f"at the cost of {percent(ood.pets_rejected)} of the pets."
    )


def _surely_rejected(ood: OODMetrics) -> bool:
    return exact_interval(ood.rejected * ood.n, ood.n)[0] >= _BAD_REJECTION


def _stressed(stress: StressMetrics) -> str:
    """Say how much accuracy moderate corruption costs, and which kind costs most."""
    middle, worst = stress.middle, stress.worst
    low, high = (100 * (bound or 0.0) for bound in middle.loss_interval)
    return (
        f"Stress test: photos that are moderately worse cost {100 * middle.loss:.1f} points of accuracy on average "
        f"({low:.1f} to {high:.1f}); the hardest is {worst.kind} ({worst.setting}), {percent(worst.finest)} correct."
    )


def _most_mistaken_for(matrix: ConfusionMatrix, label: str) -> tuple[str, int]:
    at = matrix.labels.index(label)
    row = np.array(matrix.counts[at])
    row[at] = -1
    return matrix.labels[int(row.argmax())], int(row.max())


def _species_by_breed_accuracy(metrics: Metrics) -> tuple[str | None, str | None]:
    """Species with the highest and the lowest breed accuracy, if the gap is at least three points and not chance."""
    accuracy = {species: found.accuracy for species, found in metrics.breed_by_species.items()}
    best, worst = max(accuracy, key=lambda s: accuracy[s]), min(accuracy, key=lambda s: accuracy[s])
    (low, _), (_, high) = (
        exact_interval(found.accuracy * found.n, found.n)
        for found in (metrics.breed_by_species[best], metrics.breed_by_species[worst])
    )
    return (best, worst) if accuracy[best] - accuracy[worst] >= 0.03 and low > high else (None, None)


def _mistakes_within_species(matrix: ConfusionMatrix) -> float | None:
    """Share of breed mistakes whose species is right; None with fewer than ten mistakes."""
    counts = np.array(matrix.counts)
    species = np.array([label.partition("/")[0] for label in matrix.labels])
    mistakes = counts.sum() - counts.trace()
    if mistakes < 10:
        return None
    same = counts[species[:, None] == species[None, :]].sum() - counts.trace()
    return float(same / mistakes)


def _seen(seen: SeenMetrics, n: int) -> Iterator[str]:
    if seen.n and seen.left_out:
        yield f"Left out: {counted(seen.n, 'more photo')}, to which the model was fitted."
    elif seen.n:
        yield f"The model was fitted to {seen.n:,} of the {n:,} photos: the numbers are too good."


def _caveats(metrics: Metrics) -> Iterator[str]:
    if metrics.seen is not None:
        yield from _seen(metrics.seen, metrics.n)
    elif metrics.about.get("split") == "all":
        yield (
            "All photos were measured, and the numbers are too good for those that the model was trained on; "
            "--split val measures only those held out from training."
        )
    level, noun = (metrics.breed, "breeds") if metrics.breed else (metrics.species, "species")
    support = {label: c.support for label, c in level.per_class.items() if "/" in label or not metrics.breed}
    names = told_apart(support)
    missing = [names[label] for label, n in support.items() if n == 0]
    if missing:
        yield f"No photo of {join_words(missing, limit=_NAMED)}: they were not measured."
    few = [names[label] for label, n in support.items() if 0 < n < _FEW_PHOTOS]
    if few:
        have, their = ("has", "its") if len(few) == 1 else ("have", "their")
        yield (
            f"{join_words(few, limit=_NAMED)} {have} fewer than {_FEW_PHOTOS} photos: {their} numbers are uncertain; "
            "see the intervals."
        )
    least, most = min(n for n in support.values() if n), max(support.values())
    if most >= 3 * least:
        yield (
            f"The photos are imbalanced, {least:,} to {most:,} for each of the {noun}: prefer the macro averages "
            "to accuracy."
        )
    if (stress := metrics.stress) is not None and not (_is_robust(stress.middle) or _is_fragile(stress.middle)):
        yield _stressed(stress)
