import numpy as np
import pytest
from helpers.decisions import decide_one
from helpers.policies import flat_policy
from helpers.strategies import logits_of
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.conformal import ScoreGroup, conformal_threshold, shared_threshold
from hierpets.hierarchy.decision import decide
from hierpets.hierarchy.policy import (
    ALPHA_SHARE_OF_SETS,
    MAX_SET,
    MIN_PROBABILITY,
    PET_SCORE_BAND,
    Policy,
    population_shares,
)
from hierpets.hierarchy.probabilities import joint_probabilities, species_probabilities
from hierpets.taxonomy import Leaf, Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug"), "rabbit": ()})
SURE = np.array([0.9, 0.05, 0.02, 0.02, 0.01])
HALF = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
TORN = np.array([0.45, 0.44, 0.05, 0.05, 0.01])
LOST = np.array([0.25, 0.1, 0.25, 0.1, 0.3])


def scores(pet: float = 2.0, listed: float = 1.0) -> np.ndarray:
    return np.array([pet, *[listed] * 3])


IN_DISTRIBUTION, OUT_OF_DISTRIBUTION = scores(), scores(pet=-9.0, listed=0.0)


def policy(threshold: float = 0.6, **fields) -> Policy:
    return flat_policy(TAXONOMY.species, threshold, **fields)


@pytest.mark.parametrize(
    ("joint", "level", "source"),
    [
        (SURE, "breed", "breed"),
        (TORN, "species", "rolled_up_to_species"),
        (LOST, "unknown", "unknown"),
    ],
)
def test_decide_rolls_up_until_the_answer_is_likely_enough(joint, level, source):
    decision = decide_one(joint, TAXONOMY, policy())
    assert (decision.level, decision.source) == (level, source)
    expected = {"breed": 0, "species": TAXONOMY.species_index(decision.species), "unknown": -1}
    assert decision.node(TAXONOMY) == expected[level]


@given(logits_of(), st.floats(0, 1))
def test_decide_decides_each_photo_as_if_alone(case, threshold):
    taxonomy, species, leaf = case
    joint = joint_probabilities(species, leaf, taxonomy)
    scores = np.random.default_rng(0).random((len(joint), 1 + len(taxonomy.species)))
    fixed = flat_policy(taxonomy.species, threshold, pet=0.2)
    together = decide(joint, taxonomy, fixed, scores=scores)
    assert together == [decide_one(row, taxonomy, fixed, scores=own) for row, own in zip(joint, scores, strict=True)]


def test_decide_says_the_threshold_the_runner_up_and_the_mass():
    reason = decide_one(TORN, TAXONOMY, policy()).reason
    for part in (
        "cat/birman has probability 0.450",
        "not above the threshold 0.600",
        "next cat/siamese 0.440",
        "cat has probability 0.890",
    ):
        assert part in reason


def test_decide_tells_the_runner_up_where_one_leaf_is_asked_for():
    decision = decide_one(SURE, TAXONOMY, policy(), top_k=1)
    assert [str(leaf) for leaf, _ in decision.top] == ["cat/birman"]
    assert decision.reason.endswith("next cat/siamese 0.050")


@pytest.mark.parametrize("alpha", [0.05, 0.65])
def test_decide_names_no_breed_of_another_species_than_the_most_probable_one(alpha):
    """Two breeds of a cat together are likelier than the most probable breed; above one half, alpha would name that."""
    decision = decide_one(np.array([0.3, 0.29, 0.4, 0.01, 0.0]), TAXONOMY, policy(0.1), alpha=alpha)
    assert (decision.level, decision.species, decision.breed) == ("species", "cat", "birman")
    assert decision.breed_probability == 0.3
    assert str(decision.top[0][0]) == "dog/beagle"


def test_decide_answers_a_species_without_breeds_as_a_species():
    decision = decide_one(np.array([0.01, 0.01, 0.01, 0.01, 0.96]), TAXONOMY, policy())
    assert (decision.level, decision.source, decision.species, decision.breed) == ("species", "species", "rabbit", None)


def test_decide_is_unknown_below_the_pet_score_however_sure_the_heads_are():
    decision = decide_one(SURE, TAXONOMY, policy(pet=0.0), scores=OUT_OF_DISTRIBUTION)
    assert (decision.level, decision.source) == ("unknown", "not_a_known_pet")
    assert decide_one(SURE, TAXONOMY, policy(pet=0.0), scores=IN_DISTRIBUTION).level == "breed"


@pytest.mark.parametrize(
    ("joint", "pet", "listed", "others", "is_pet"),
    [
        (SURE, -3.9, 1.0, "cat", True),
        (SURE, -4.1, 1.0, "cat", False),  # too little of a pet, however sure its breed
        (SURE, -0.1, 0.5, "cat", False),  # 0.45, other breeds considered
        (SURE, -0.1, 0.6, "cat", True),
        (HALF, -0.1, 1.0, "cat", True),
        (TORN, 0.0, 1.0, "cat", True),
        (SURE, -0.1, 1.0, "dog", False),  # of cats every photo counts as of a listed breed
        (TORN, -0.1, 1.0, "cat", False),
        (SURE[[4, 1, 2, 3, 0]], -0.1, 1.0, "rabbit", False),  # has no breeds
    ],
)
def test_a_photo_near_the_least_pet_score_is_a_pet_if_its_breed_is_sure(joint, pet, listed, others, is_pet):
    fixed = policy(pet=0.0)
    fixed = fixed.model_copy(update={"scores": fixed.scores | {"unlisted": {others: ((0.0,) * MAX_SET,)}}})
    decision = decide_one(joint, TAXONOMY, fixed, scores=scores(pet=pet, listed=listed))
    assert (decision.source != "not_a_known_pet") == is_pet
    assert (pet >= decision.thresholds.pet) == is_pet
    assert decision.thresholds.pet in (0.0, -PET_SCORE_BAND)


@pytest.mark.parametrize(("seen", "listed", "sure"), [(SURE, 0.1, False), (TORN, 1.0, False), (SURE, 1.0, True)])
@pytest.mark.parametrize("said", [SURE, TORN])
def test_what_the_caller_says_makes_no_breed_surer_and_none_less_sure(seen, listed, sure, said):
    fixed = policy(pet=0.0)
    fixed = fixed.model_copy(update={"scores": fixed.scores | {"unlisted": {"cat": ((0.0,) * MAX_SET,)}}})
    given = {"scores": scores(pet=-1.0, listed=listed), "unrestricted": seen[None], "closed": np.ones(3, bool)}
    assert decide_one(said, TAXONOMY, fixed, **given).thresholds.pet == (-PET_SCORE_BAND if sure else 0.0)


def test_decide_answers_an_unlisted_breed_by_its_species():
    decision = decide_one(SURE, TAXONOMY, policy(), scores=scores(listed=0.12))
    assert (decision.level, decision.source) == ("species", "rolled_up_to_species")
    assert decision.listed == pytest.approx(0.12)
    doubt = "its breed is a listed one with probability 0.12; "
    assert doubt + "cat/birman has probability 0.108, not above" in decision.reason
    assert "a listed one" not in decide_one(SURE, TAXONOMY, policy(), scores=scores(listed=0.6)).reason


def test_decide_multiplies_breeds_by_the_probability_that_they_are_listed():
    decision = decide_one(SURE, TAXONOMY, policy(), scores=np.array([2.0, 0.9, 0.4, 1.0]), top_k=3)
    assert decision.level == "breed"
    assert decision.breed_probability == pytest.approx(0.9 * 0.9)
    assert decision.species_probability == pytest.approx(0.95)
    # that of the first species for its breeds, that of another for others, and none for a species without breeds
    assert [p for _, p in decision.top] == pytest.approx([0.81, 0.045, 0.01])
    assert [str(leaf) for leaf, _ in decision.top] == ["cat/birman", "cat/siamese", "rabbit"]


def test_decide_doubts_within_a_species_but_not_where_the_caller_names_breeds():
    doubtful = {"scores": scores(listed=0.12), "unrestricted": SURE[None]}
    assert decide_one(SURE, TAXONOMY, policy(), **doubtful).level == "species"
    closed = decide_one(SURE, TAXONOMY, policy(), **doubtful, closed=np.array([True, False, False]))
    assert (closed.level, closed.listed) == ("breed", 1.0)
    of_dogs = decide_one(SURE, TAXONOMY, policy(), **doubtful, closed=np.array([False, True, False]))
    assert (of_dogs.level, of_dogs.listed) == ("species", pytest.approx(0.12))  # breeds of dogs say nothing of a cat


def test_decide_says_that_an_alpha_cannot_be_promised():
    few = Policy(scores={"trained": dict.fromkeys(TAXONOMY.species, ((0.0,) * MAX_SET,) * 5)})
    decision = decide_one(SURE, TAXONOMY, few, alpha=0.01)
    assert decision.level == "unknown"
    assert "the photos that calibrated the model allow no promise at alpha 0.01" in decision.reason


@pytest.mark.parametrize("photos", [1, 8, 19, 21, 22, 98, 110, 111, 150])
def test_least_alpha_is_the_first_at_which_anything_is_answered(photos):
    few = Policy(scores={"trained": {"cat": ((0.0,) * MAX_SET,) * photos, "dog": ()}})
    least = few.min_alpha("dog") if photos < 100 else few.min_alpha("cat")
    assert few.thresholds("cat", least).probability < 1 == few.thresholds("cat", least - 0.001).probability
    assert (few.unanswered(["cat"]) is None) == (least <= few.alpha)
    assert few.model_copy(update={"alpha": few.min_alpha("cat")}).unanswered(["cat"]) is None


@pytest.mark.parametrize(
    ("trained", "pretrained", "unlisted"),
    [(500, 120, 150), (120, 500, 150), (30, 100, 150), (150, 99, 150), (500, 120, 30)],
)
def test_least_alpha_keeps_the_promise_for_breeds_of_pretraining_too(trained, pretrained, unlisted):
    """Not for unlisted ones, which have none."""
    rows = {"trained": trained, "pretrained": pretrained, "unlisted": unlisted}
    mixed = Policy(scores={population: {"cat": ((0.0,) * MAX_SET,) * n} for population, n in rows.items()})
    least = mixed.min_alpha("cat")
    assert mixed.thresholds("cat", least).probability < 1 == mixed.thresholds("cat", least - 0.001).probability


def test_unanswered_says_what_to_do():
    few = Policy(scores={"trained": dict.fromkeys(TAXONOMY.species, ((0.0,) * MAX_SET,) * 5)})
    told = few.unanswered(TAXONOMY.species)
    assert told == (
        "calibrated on photos of too few animals for a promise at alpha 0.05: all photos of cat, dog and rabbit are "
        "answered as unknown; add photos of others, or predict with --alpha 0.07"
    )
    assert decide_one(SURE, TAXONOMY, few, alpha=0.07).level == "breed"
    assert Policy().unanswered(TAXONOMY.species) is None


WIDE = Taxonomy(tree={"cat": ("bengal", "bombay", "egyptian_mau", "siamese"), "dog": ("pug",)})
PAIR, THREE = np.array([0.5, 0.02, 0.4, 0.04, 0.04]), np.array([0.35, 0.3, 0.3, 0.02, 0.03])


def test_decide_leaves_the_fewest_breeds_open_that_are_probable_enough_together():
    wide = flat_policy(WIDE.species, 0.8)
    pair, three = (decide_one(row, WIDE, wide) for row in (PAIR, THREE))
    assert (pair.level, pair.source, pair.breed) == ("species", "breed_set", "bengal")
    assert [str(leaf) for leaf, _ in pair.breeds] == ["cat/bengal", "cat/egyptian_mau"]
    assert [p for _, p in pair.breeds] == pytest.approx([0.5, 0.4])
    assert "cat/bengal or cat/egyptian_mau has probability 0.900, above the threshold 0.800" in pair.reason
    assert [str(leaf) for leaf, _ in three.breeds] == ["cat/bengal", "cat/bombay", "cat/egyptian_mau"]
    assert pair.node(WIDE) == 0
    assert len(decide_one(PAIR, WIDE, flat_policy(WIDE.species, 0.9)).breeds) == 3, "two are not above the threshold"


@pytest.mark.parametrize(("row", "most", "sizes"), [(PAIR, 1, 0), (PAIR, 2, 2), (THREE, 2, 0), (THREE, 3, 3)])
def test_decide_leaves_no_more_breeds_open_than_asked(row, most, sizes):
    decision = decide_one(row, WIDE, flat_policy(WIDE.species, 0.8), max_set=most)
    assert (decision.level, len(decision.breeds)) == ("species", sizes)


def test_decide_leaves_no_breeds_open_that_may_be_others_or_at_max_level_species():
    wide = flat_policy(WIDE.species, 0.8)
    assert decide_one(PAIR, WIDE, wide, scores=np.array([2.0, 0.8, 1.0])).breeds == ()
    assert decide_one(PAIR, WIDE, wide, max_level="species").breeds == ()
    grown = wide.model_copy(update={"leaves": {"cat/bengal": (0.0,) * 10}})
    assert decide_one(PAIR, WIDE, grown).breeds == (), "nor where the first is never named"
    rounded = wide.model_copy(update={"leaves": {"cat/bengal": (1.000001,) * 40}})
    assert decide_one(PAIR, WIDE, rounded).breeds == (), "nor by scores that an older hierpets rounded up"


def test_decide_calls_all_breeds_of_a_species_the_species():
    assert decide_one(TORN, TAXONOMY, policy()).breeds == ()


def test_decide_names_no_breed_at_max_level_species():
    decision = decide_one(SURE, TAXONOMY, policy(), max_level="species")
    assert (decision.level, decision.species) == ("species", "cat")


@pytest.mark.parametrize(
    ("joint", "level"), [(SURE, "breed"), (TORN, "species"), (SURE[[4, 1, 2, 3, 0]], "species"), (LOST, "unknown")]
)
def test_decide_restricted_says_so_and_asks_no_ood_score(joint, level):
    decision = decide_one(joint, TAXONOMY, policy(pet=0.0), scores=scores(pet=-9.0), unrestricted=joint[None])
    assert (decision.level, decision.source) == (level, "unknown" if level == "unknown" else "restricted")


def test_decide_reads_another_threshold_at_another_alpha():
    rows = tuple((score,) * MAX_SET for score in np.linspace(0, 1, 199).tolist())
    steps = Policy(scores={"trained": dict.fromkeys(TAXONOMY.species, rows)})
    assert steps.thresholds("cat", max_set=1).probability == pytest.approx(0.95, abs=0.01)
    assert steps.thresholds("cat", alpha=0.4, max_set=1).probability == pytest.approx(0.6, abs=0.01)
    assert decide_one(SURE, TAXONOMY, steps).level == "unknown"
    assert decide_one(SURE, TAXONOMY, steps, alpha=0.4).level == "breed"


def test_policy_of_a_species_of_few_photos_borrows_the_scores_of_all():
    zero, high = (0.0,) * MAX_SET, (0.9,) * MAX_SET
    mixed = Policy(scores={"trained": {"cat": (zero,) * 200, "dog": (high,) * 3}})
    assert mixed.thresholds("dog").probability == mixed.thresholds("rabbit").probability == MIN_PROBABILITY


def test_a_grown_breed_of_few_photos_takes_the_threshold_of_all_grown_breeds_of_its_species():
    many, few = tuple(np.linspace(0, 0.38, 20)), tuple(np.linspace(0.5, 0.9, 5))
    policy = Policy(leaves={"dog/akita": few, "dog/husky": many, "cat/ginger": (0.3,) * 5})
    husky, akita, pug, ginger = (
        policy.leaf_probability(Leaf(*name.split("/"))) for name in ("dog/husky", "dog/akita", "dog/pug", "cat/ginger")
    )
    assert husky == conformal_threshold(many, 0.05)
    assert akita == conformal_threshold(sorted(many + few), 0.05) > husky
    assert (pug, ginger) == (0, 1)
    assert policy.leaf_probability(Leaf("dog", "akita"), alpha=0.2) == conformal_threshold(few, 0.2)
    enough = policy.model_copy(update={"leaves": {"dog/akita": few, "dog/husky": many[:19]}})
    assert enough.leaf_probability(Leaf("dog", "husky")) == many[18], "its own are just enough"


def test_policy_refuses_scores_that_it_cannot_use():
    with pytest.raises(ValueError, match="scores of dog/pug in ascending order"):
        Policy(leaves={"dog/pug": (0.2, 0.1)})
    with pytest.raises(ValueError, match="3 scores for each photo of trained cat"):
        Policy(scores={"trained": {"cat": ((0.2, 0.1),)}})


@given(logits_of(), st.floats(0, 1))
def test_decide_keeps_its_threshold_for_any_logits(case, threshold):
    taxonomy, species, leaf = case
    fixed, threshold = flat_policy(taxonomy.species, threshold), max(threshold, MIN_PROBABILITY)
    for row in joint_probabilities(species, leaf, taxonomy):
        decision = decide_one(row, taxonomy, fixed)
        assert decision.species in taxonomy.species
        assert decision.top[0][1] == pytest.approx(row.max())
        by_species = species_probabilities(row[None], taxonomy)[0].clip(max=1.0)  # decide takes no more for it
        if decision.level == "breed":
            assert Leaf(decision.species, decision.breed) == taxonomy.leaves[row.argmax()]
            assert row.max() > threshold
        if decision.level != "unknown":
            assert by_species.max() > threshold
        else:
            assert by_species.max() <= threshold


def test_decide_shows_the_digits_that_differ():
    nearly_one = decide_one(np.array([0.0, 0.0, 0.6, 0.3999, 0.0001]), TAXONOMY, policy(0.9999)).reason
    assert "dog has probability 0.9999, not above the threshold 0.9999" in nearly_one
    surely = decide_one(np.array([0.0, 0.0, 0.6, 0.4 - 1e-12, 1e-12]), TAXONOMY, policy(0.9)).reason
    assert "dog has probability 0.999999999" in surely, "never 1.000000000"
    almost = decide_one(np.array([0.9996, 0.0004, 0.0, 0.0, 0.0]), TAXONOMY, policy(0.99964)).reason
    assert "probability 0.99960, not above the threshold 0.99964" in almost


def test_decide_gives_no_probability_above_one():
    decision = decide_one(np.array([1.0000000000000002, 0.0, 0.0, 0.0, 0.0]), TAXONOMY, policy())
    assert (decision.species_probability, decision.breed_probability, decision.top[0][1]) == (1.0, 1.0, 1.0)


def test_decide_names_a_grown_leaf_above_its_own_threshold_alone():
    few, several = (0.0,) * 10, (0.0,) * 18 + (0.97,)
    name = str(TAXONOMY.leaves[int(SURE.argmax())])
    plain = policy()
    climbed = decide_one(SURE, TAXONOMY, plain.model_copy(update={"leaves": {name: few}}))
    assert (climbed.level, climbed.source) == ("species", "rolled_up_to_species")
    assert "grown from too few photos for a promise at alpha 0.05" in climbed.reason
    assert decide_one(SURE, TAXONOMY, plain.model_copy(update={"leaves": {name: few}}), alpha=0.1).level == "breed"
    strict = decide_one(SURE, TAXONOMY, plain.model_copy(update={"leaves": {name: (0.0,) * 30}}), alpha=0.02)
    assert "grown from too few photos for a promise at alpha 0.02" in strict.reason
    stricter = plain.model_copy(update={"leaves": {name: several}})
    assert decide_one(SURE, TAXONOMY, stricter).level == ("breed" if SURE.max() > 0.97 else "species")
    assert decide_one(SURE, TAXONOMY, plain.model_copy(update={"leaves": {"dog/other": few}})).level == "breed"


def test_decide_says_why_a_grown_leaf_is_never_named():
    """Of enough photos, too many may have been certain and wrong: other breeds' too, where its own are too few."""
    wrong, name = (0.0,) * 25 + (1.0,) * 5, str(TAXONOMY.leaves[int(SURE.argmax())])
    just_enough = (0.0,) * 18 + (1.0,)
    for leaves in ({name: wrong}, {name: just_enough}, {name: (0.0,) * 3, "cat/other": wrong}):
        decision = decide_one(SURE, TAXONOMY, policy().model_copy(update={"leaves": leaves}))
        assert decision.level == "species"
        assert "too many of the photos that calibrated it were certain and wrong" in decision.reason
        assert "too few" not in decision.reason


def test_decide_gives_the_bound_that_was_asked():
    """That of a grown breed where it is named; a species that is answered in its place was asked for less."""
    plain, name = policy(), str(TAXONOMY.leaves[int(SURE.argmax())])
    asked = []
    for own in (0.2, 0.85, 0.95):
        decision = decide_one(SURE, TAXONOMY, plain.model_copy(update={"leaves": {name: (own,) * 30}}))
        asked.append((decision.level, decision.thresholds.probability))
    assert asked == [("breed", 0.6), ("breed", 0.85), ("species", 0.6)]


def test_few_photos_of_unlisted_breeds_are_borrowed_and_too_few_say_nothing():
    """Listed breeds are told without fail, unlisted ones look like them up to 0.6. At a smaller alpha than they are
    enough for they are not promised, but no less is asked for.
    """
    never, fooled = (0.0,) * MAX_SET, (0.6,) * MAX_SET
    trained = dict.fromkeys(TAXONOMY.species, (never,) * 60)

    def threshold(unlisted, alpha=0.05):
        policy = Policy(scores={"trained": trained, "unlisted": unlisted})
        return [policy.thresholds(species, alpha).probability for species in ("cat", "dog")]

    assert threshold({"cat": (fooled,) * 12, "dog": (fooled,) * 12}) == [0.6, 0.6]
    assert threshold({"cat": (fooled,) * 30}) == [0.6, 0.6]
    assert threshold({"cat": (fooled,) * 19}) == [MIN_PROBABILITY, MIN_PROBABILITY]
    assert threshold({"cat": (fooled,) * 30}, alpha=0.01) == [0.6, 0.6]
    assert threshold({"cat": (fooled,) * 60}, alpha=0.01) == [0.6, 0.6]
    assert threshold({"cat": (fooled,) * 99, "dog": (never,) * 99}) == [0.6, 0.6]
    assert threshold({"cat": (fooled,) * 100, "dog": (never,) * 100}) == [0.6, MIN_PROBABILITY]


SCORE_ROWS = st.lists(st.floats(0, 1), min_size=MAX_SET, max_size=MAX_SET).map(sorted)


@given(
    st.lists(SCORE_ROWS, min_size=1, max_size=80),
    st.lists(SCORE_ROWS, max_size=40),
    st.lists(st.floats(0, 1), max_size=30).map(sorted),
    st.lists(st.floats(0, 1), max_size=30).map(sorted),
    st.lists(st.floats(0.002, 0.9), min_size=2, max_size=5).map(lambda alphas: sorted(alphas, reverse=True)),
)
def test_a_smaller_alpha_asks_for_no_less(trained, unlisted, husky, pug, alphas):
    policy = Policy(
        scores={"trained": {"dog": trained}, "unlisted": {"dog": unlisted}},
        leaves={"dog/husky": husky, "dog/pug": pug},
    )
    for wanted in (
        [policy.thresholds("dog", alpha).probability for alpha in alphas],
        [policy.thresholds("dog", alpha, 1).probability for alpha in alphas],
        [policy.leaf_probability(Leaf("dog", "husky"), alpha) for alpha in alphas],
    ):
        assert wanted == sorted(wanted)


def test_photos_of_held_out_breeds_that_are_too_few_do_not_silence_a_model():
    """Without a gate, which takes twenty of them, they are certain and wrong."""
    certain, never = (1.0,) * MAX_SET, (0.0,) * MAX_SET
    policies = [
        Policy(scores={"trained": {"cat": (never,) * 180}, "unlisted": {"dog": (certain,) * count}})
        for count in (12, 60)
    ]
    assert [policy.thresholds("cat").probability for policy in policies] == [MIN_PROBABILITY, 1.0]
    silent = policies[1].unanswered(["cat"])
    assert policies[0].unanswered(["cat"]) is None
    assert silent is not None
    assert silent.startswith(
        "certain and wrong on too many calibration photos for a promise at alpha 0.05: all photos of cat"
    )


def test_alphas_that_nothing_can_promise_answer_unknown():
    policy = Policy(scores={"trained": {"dog": ((0.0,) * MAX_SET,) * 100}}, leaves={"dog/husky": (0.5,) * 100})
    assert policy.thresholds("dog", 1e-310).probability == 1
    assert policy.leaf_probability(Leaf("dog", "husky"), 1e-310) == 1


def test_the_promise_is_for_breeds_of_pretraining_too_and_for_unlisted_ones_in_the_mixture_alone():
    right, fooled = ((0.0,) * MAX_SET,) * 300, ((0.7,) * MAX_SET,)

    def threshold(population, wrong):
        scores = {name: {"cat": right} for name in ("trained", "pretrained", "unlisted")}
        scores[population] = {"cat": right[wrong:] + fooled * wrong}
        return Policy(scores=scores).thresholds("cat", max_set=1).probability

    assert [threshold("pretrained", wrong) for wrong in (14, 15)] == [MIN_PROBABILITY, 0.7]  # 15 of 301
    assert [threshold("trained", wrong) for wrong in (14, 15)] == [MIN_PROBABILITY, 0.7]
    few = {"trained": {"cat": right}, "pretrained": {"cat": fooled * 99}}
    assert Policy(scores=few).thresholds("cat", max_set=1).probability == MIN_PROBABILITY, "too few to speak"
    assert [threshold("unlisted", wrong) for wrong in (15, 60, 80)] == [MIN_PROBABILITY, MIN_PROBABILITY, 0.7]


def test_sets_of_breeds_have_the_threshold_of_their_size_and_never_one_below_that_of_a_breed():
    breed = Policy(scores={"trained": {"cat": ((0.6, 0.0, 0.0),) * 10 + ((0.0,) * MAX_SET,) * 190}}, alpha=0.1)
    assert breed.thresholds("cat")[1:3] == (MIN_PROBABILITY, MIN_PROBABILITY)
    assert breed.thresholds("cat", 0.04)[1:3] == (0.6, 0.6)
    pairs = Policy(scores={"trained": {"cat": ((0.6, 0.7, 0.8),) * 200}})
    assert pairs.thresholds("cat", max_set=2)[1:3] == (0.6, 0.7)
    assert pairs.thresholds("cat", max_set=3)[1:3] == (0.6, 0.8)


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=MAX_SET, max_size=MAX_SET).map(sorted), min_size=1, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(1, MAX_SET),
)
def test_no_answer_is_given_that_is_more_likely_wrong_than_right(rows, alpha, max_set):
    """Unless alpha allows for it: above one half, what has a probability of 1 - alpha may be said."""
    scores = tuple(tuple(reversed(row)) for row in rows)
    found = Policy(scores={"trained": {"cat": scores}}).thresholds("cat", alpha, max_set)
    least = min(MIN_PROBABILITY, 1 - alpha)
    assert least <= found.probability <= found.breed_set <= 1
    own = shared_threshold(
        [ScoreGroup(np.sort([row[0] for row in scores]), 1.0, promised=True)],
        alpha if max_set == 1 else alpha * (1 - ALPHA_SHARE_OF_SETS),
    )
    assert found.probability == max(least, own)


def test_without_pretrained_breeds_one_photo_in_five_is_taken_to_show_an_unlisted_one():
    assert population_shares(["trained", "unlisted"]) == pytest.approx(
        {"trained": 0.8, "pretrained": 0, "unlisted": 0.2}
    )
    every = population_shares(["trained", "pretrained", "unlisted"])
    assert every == pytest.approx({"trained": 1.6 / 3, "pretrained": 0.8 / 3, "unlisted": 0.2})
