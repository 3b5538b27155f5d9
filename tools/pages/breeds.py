"""Tables and text of the model card on breeds: the recall of each with its interval, and breeds that look alike."""

from __future__ import annotations

from hierpets.evaluation.metrics.schema import ClassScores, Metrics
from hierpets.text import pretty

__all__ = ["breeds_table", "gap", "weak_breeds"]

LOOKALIKES = 6  # pairs


def breeds_table(own: Metrics, elsewhere: Metrics) -> str:
    """Return a table of the recall of every breed with photos, cross-validated and elsewhere, the worst first."""
    first, second = (metrics.by_level["breed"].per_class for metrics in (own, elsewhere))
    shown = sorted((scores.recall, name) for name, scores in first.items() if scores.support)
    rows = [
        "## Each breed",
        "",
        "Recall with its 95% Wilson interval, the worst first; where intervals overlap, nothing says which is worse.",
        "",
        "| breed | cross-validated | photos | precision | elsewhere | photos |",
        "|---|---|---|---|---|---|",
    ]
    for _, name in shown:
        own_scores, other = first[name], second[name]
        cells = (_recall(own_scores), own_scores.support, f"{own_scores.precision:.0%}", _recall(other), other.support)
        rows.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join([*rows, ""])


def _recall(scores: ClassScores) -> str:
    if scores.recall_interval is None:
        return ""
    low, high = scores.recall_interval
    return f"{scores.recall:.0%} ({low:.0%} to {high:.0%})"


def gap(own: Metrics, elsewhere: Metrics) -> str:
    """Return a sentence that compares cross-validated accuracy with that on photos from elsewhere."""
    (a, (low, high)), (b, (least, most)) = (
        (metrics.by_level["breed"].accuracy, metrics.by_level["breed"].intervals["accuracy"])
        for metrics in (own, elsewhere)
    )
    return (
        f"**The gap.** Where {a:.1%} of breeds are right on Oxford's own photos ({low:.1%} to {high:.1%}), "
        f"{b:.1%} are on photos from elsewhere ({least:.1%} to {most:.1%}): expect a number between the "
        "lowest and the highest bound of these two intervals, and measure it on yours.\n"
    )


def weak_breeds(own: Metrics) -> str:
    """Return the section on pets that the model classifies worst, or on which it was not measured."""
    matrix = own.by_level["breed"].confusion_matrix
    pairs = sorted(
        (
            (matrix.counts[i][j] + matrix.counts[j][i], one, other)
            for i, one in enumerate(matrix.labels)
            for j, other in enumerate(matrix.labels)
            if i < j
        ),
        reverse=True,
    )[:LOOKALIKES]
    support = own.by_level["breed"].per_class
    said = "; ".join(
        f"{pretty(one)} and {pretty(other)} ({count} of {support[one].support + support[other].support})"
        for count, one, other in pairs
    )
    return f"""## People who will be weak_breeds

- **Owners of lookalikes.** Photos of one called the other: {said}.
- **Owners of mixed breeds.** A labradoodle is no breed of this list; it should be answered "dog", and is not always
  (see "Breeds that were never trained on"). No share of ancestors is ever told.
- **Owners of puppies and kittens.** The photos show adults for the most part, and nobody counted the others: how much
  worse the young are told was not measured.
- **Pets in costume, after the groomer, or wet.** A poodle without its clip, a shorn Persian: not measured.
- **Pets in arms, on laps, behind bars, far away.** The stress test's kinds `hidden` and `far away` stand in for them; a
  person in the picture was not measured.
- **Owners of two.** One answer a photo, unless regions are asked for; without them a shampoo is chosen as if the pet
  lived alone.
- **Cats of no breed**, which most cats are. They have a leaf of their own, known from two coats alone, tabby and
  tiger; a black or a white cat of no breed may be called a pedigree: not measured.
- **Breeds that are not listed.** The list is Oxford's and ImageNet's choice, of dogs of Europe and North America.
"""
