"""Find new photos that likely show another animal than their label says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from hierpets.bundle.manifest import Manifest
from hierpets.growing.leave_one_out import LeaveOneOutPredictions
from hierpets.growing.photos import NewPhotos
from hierpets.hierarchy.decision import named_probabilities, pet_thresholds
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.text import counted

__all__ = ["doubtful_labels", "find_strangers"]

TRUST = "if the label is right, give trust_labels (--trust-labels)"
DOUBTFUL = 0.5  # share of a label's photos predicted as another species above which the label is reported


def find_strangers(
    photos: NewPhotos, predictions: LeaveOneOutPredictions, before: Manifest, grown: Taxonomy
) -> dict[int, str]:
    """Rows of photos that, left out, are predicted as another species or as no pet, each with the reason.

    ``predictions`` are those of the grown bundle, with the taxonomy ``grown``, without each photo. Photos are reported
    as no pet only for species that the bundle was calibrated on ``before``.
    """
    policy = before.policy
    named = named_probabilities(predictions.joint, predictions.scores[:, 1:], grown)
    refused = predictions.scores[:, 0] < pet_thresholds(policy, named, grown, policy.knows_others(grown.species))
    found = {}
    for row, leaf, none in zip(predictions.rows.tolist(), predictions.answers, refused.tolist(), strict=True):
        record = photos.records[row]
        if leaf.species != record.species:
            found[row] = f"looks like {leaf}, but is labeled {record.label}; {TRUST}"
        elif policy.of("trained").get(record.species) and none:
            found[row] = f"looks like no pet of a known species, but is labeled {record.label}; {TRUST}"
    return found


def doubtful_labels(photos: NewPhotos, known: Taxonomy) -> Iterator[str]:
    """Yield a line for each label most of whose photos the bundle predicted as another species before it was grown.

    Photos of a new species count only if the answer was not "unknown".
    """
    taken: dict[Leaf, list[str]] = defaultdict(list)
    for record, decision in zip(photos.records, photos.decisions, strict=True):
        is_answered = record.species in known.tree or decision.level != "unknown"
        if is_answered and decision.species != record.species:
            taken[record.label].append(decision.species)
    counts = Counter(record.label for record in photos.records)
    for label, species in taken.items():
        is_known, all_of_it = label.species in known.tree, counted(counts[label], "photo")
        seen = Counter(species).most_common(None if is_known else 1)
        others = sum(count for _, count in seen)
        if others > DOUBTFUL * counts[label]:
            advice = "check the label" if is_known else f"if they show one, their folder belongs into {seen[0][0]}/"
            looked = " or ".join(f"a {name}" for name, _ in seen)
            yield f"{label}: {others} of {all_of_it} looked like {looked} before; {advice}"
