import numpy as np
import pytest
from helpers.strategies import logits_of
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.decision import Asked, Scores, decide
from hierpets.hierarchy.policy import ENOUGH, Policy
from hierpets.hierarchy.probabilities import joint_probabilities, species_probabilities
from hierpets.taxonomy import Leaf, Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug"), "rabbit": ()})
SURE = np.array([0.9, 0.05, 0.02, 0.02, 0.01])
TORN = np.array([0.45, 0.44, 0.05, 0.05, 0.01])
LOST = np.array([0.25, 0.1, 0.25, 0.1, 0.3])
FAMILIAR, STRANGE = Scores(pet=2.0, known=2.0), Scores(pet=-9.0, known=-9.0)


def policy(threshold: float = 0.6, **gates) -> Policy:
    """A policy whose threshold is ``threshold`` for every species, at any alpha below one half."""
    return Policy(scores=dict.fromkeys(TAXONOMY.species, (0.0,) + (threshold,) * ENOUGH), **gates)


@pytest.mark.parametrize(
    ("joint", "level", "source"),
    [(SURE, "breed", "breed"), (TORN, "species", "rolled_up_to_species"), (LOST, "unknown", "unknown")],
)
def test_an_answer_climbs_until_it_is_likely_enough(joint, level, source):
    decision = decide(joint, TAXONOMY, policy())
    assert (decision.level, decision.source) == (level, source)
    assert decision.node(TAXONOMY) == {"breed": 0, "species": 0, "unknown": -1}[level]


def test_a_rolled_up_answer_says_the_threshold_the_runner_up_and_the_mass():
    reason = decide(TORN, TAXONOMY, policy()).reason
    for part in ("cat/birman has 0.450", "not above 0.600", "next cat/siamese 0.440", "cat as a whole has 0.890"):
        assert part in reason


def test_a_species_without_breeds_is_answered_as_a_species():
    decision = decide(np.array([0.01, 0.01, 0.01, 0.01, 0.96]), TAXONOMY, policy())
    assert (decision.level, decision.source, decision.species, decision.breed) == ("species", "species", "rabbit", None)


def test_what_is_no_known_pet_is_unknown_however_sure_the_heads_are():
    decision = decide(SURE, TAXONOMY, policy(pet=0.0), scores=STRANGE)
    assert (decision.level, decision.source) == ("unknown", "not_a_known_pet")
    assert decide(SURE, TAXONOMY, policy(pet=0.0), scores=FAMILIAR).level == "breed"


def test_a_breed_that_looks_like_no_known_one_is_answered_by_its_species():
    decision = decide(SURE, TAXONOMY, policy(known={"cat": 0.0}), scores=Scores(pet=2.0, known=-1.0))
    assert (decision.level, decision.source) == ("species", "rolled_up_to_species")
    assert "no cat breed that is known" in decision.reason


def test_no_breed_is_given_where_none_is_asked_for():
    decision = decide(SURE, TAXONOMY, policy(), asked=Asked(max_level="species"))
    assert (decision.level, decision.species) == ("species", "cat")


def test_a_restriction_is_told_as_the_source_and_needs_no_familiarity():
    decision = decide(SURE, TAXONOMY, policy(pet=0.0), scores=STRANGE, asked=Asked(restricted=True))
    assert (decision.level, decision.source) == ("breed", "restricted")


def test_another_alpha_reads_another_threshold_from_the_same_scores():
    steps = Policy(scores={name: tuple(np.linspace(0, 1, 199)) for name in TAXONOMY.species})
    assert steps.thresholds("cat").probability == pytest.approx(0.95, abs=0.01)
    assert steps.thresholds("cat", alpha=0.4).probability == pytest.approx(0.6, abs=0.01)
    assert decide(SURE, TAXONOMY, steps).level == "unknown"
    assert decide(SURE, TAXONOMY, steps, asked=Asked(alpha=0.4)).level == "breed"


def test_a_species_of_few_photos_borrows_the_scores_of_all():
    mixed = Policy(scores={"cat": (0.0,) * 200, "dog": (0.9,) * 3})
    assert mixed.thresholds("dog").probability == mixed.thresholds("rabbit").probability == 0.0


def test_scores_that_are_not_in_order_are_refused():
    with pytest.raises(ValueError, match="scores of cat in ascending order"):
        Policy(scores={"cat": (0.2, 0.1)})


@given(logits_of(), st.floats(0, 1))
def test_every_decision_is_sound(case, threshold):
    taxonomy, species, leaf = case
    fixed = Policy(scores=dict.fromkeys(taxonomy.species, (threshold,) * ENOUGH))
    for row in joint_probabilities(species, leaf, taxonomy):
        decision = decide(row, taxonomy, fixed)
        assert decision.species in taxonomy.species
        assert decision.top[0][1] == pytest.approx(row.max())
        by_species = species_probabilities(row[None], taxonomy)[0]
        if decision.level == "breed":
            assert Leaf(decision.species, decision.breed) == taxonomy.leaves[row.argmax()]
            assert row.max() > threshold
        if decision.level != "unknown":
            assert by_species.max() > threshold
        else:
            assert by_species.max() <= threshold
