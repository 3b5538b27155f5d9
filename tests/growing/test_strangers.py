"""New photos that seem to show another animal than their label says."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.policies import flat_policy

from hierpets.growing.strangers import doubtful_labels, find_strangers
from hierpets.hierarchy.policy import MAX_SET
from hierpets.taxonomy import Leaf, Taxonomy

KNOWN = Taxonomy(tree={"cat": ("siamese",), "dog": ("beagle", "pug")})
GROWN = Taxonomy(tree={**KNOWN.tree, "rabbit": ()})
PUG, SIAMESE, RABBIT = Leaf("dog", "pug"), Leaf("cat", "siamese"), Leaf("rabbit", None)


def photos_of(*labels, decisions=()):
    records = [SimpleNamespace(label=label, species=label.species) for label in labels]
    return SimpleNamespace(records=records, decisions=decisions)


def strangers(label, answer, pet, probability=0.3):
    """Why a photo of this label is none, by its answer, of this probability, and its pet score; 0 is the least."""
    joint = np.full((1, 4), (1 - probability) / 3)
    joint[0, GROWN.leaves.index(answer)] = probability
    scores = np.array([[pet, 1.0, 1.0, 1.0]])
    predictions = SimpleNamespace(rows=np.array([0]), answers=[answer], joint=joint, scores=scores)
    policy = flat_policy(KNOWN.species, pet=0.0)
    policy = policy.model_copy(update={"scores": policy.scores | {"unlisted": {"dog": ((0.0,) * MAX_SET,)}}})
    return find_strangers(photos_of(label), predictions, SimpleNamespace(policy=policy), GROWN).get(0)


@pytest.mark.parametrize(
    ("label", "answer", "pet", "why"),
    [
        (PUG, PUG, 1.0, None),
        (PUG, SIAMESE, 1.0, "looks like cat/siamese, but is labeled dog/pug"),
        (PUG, PUG, -1.0, "looks like no pet of a known species, but is labeled dog/pug"),
        (RABBIT, RABBIT, -1.0, None),  # what a rabbit must score nobody knows
        (RABBIT, PUG, 1.0, "looks like dog/pug, but is labeled rabbit"),
    ],
)
def test_a_photo_that_looks_like_another_species_or_no_pet_is_told(label, answer, pet, why):
    told = strangers(label, answer, pet)
    assert told == (why and f"{why}; if the label is right, give trust_labels (--trust-labels)")


def test_a_sure_breed_makes_a_pet_of_what_scores_less():
    assert strangers(PUG, PUG, -1.0, probability=0.9) is None


def answered(species, level="breed"):
    return SimpleNamespace(species=species, level=level)


CAT, DOG, SHEEP, UNKNOWN = answered("cat"), answered("dog"), answered("sheep"), answered("cat", "unknown")


@pytest.mark.parametrize(
    ("label", "decisions", "told"),
    [
        (PUG, [CAT, CAT, DOG], "dog/pug: 2 of 3 photos looked like a cat before; check"),
        (PUG, [CAT, DOG], None),  # half of them
        (PUG, [UNKNOWN, UNKNOWN, DOG], "dog/pug: 2 of 3 photos looked like a cat before; check"),
        (PUG, [CAT, CAT, SHEEP, DOG, DOG], "dog/pug: 3 of 5 photos looked like a cat or a sheep before; check"),
        (RABBIT, [CAT, CAT, DOG], "rabbit: 2 of 3 photos looked like a cat before; if they show one"),
        (RABBIT, [CAT, DOG, DOG, CAT], None),  # like many things, and like none
        (RABBIT, [UNKNOWN, UNKNOWN, UNKNOWN], None),  # as it should be of a new species
    ],
)
def test_a_label_most_of_whose_photos_looked_like_another_species_is_asked_about(label, decisions, told):
    lines = list(doubtful_labels(photos_of(*[label] * len(decisions), decisions=decisions), KNOWN))
    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)
