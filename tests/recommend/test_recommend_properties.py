"""No distribution, however odd, yields harm above the bound; and the more doubt, the fewer products are allowed."""

from __future__ import annotations

import numpy as np
from helpers.shampoo import always
from hypothesis import given, settings
from hypothesis import strategies as st

from hierpets.hierarchy.decision import Level
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.plugin import Advice
from hierpets.recommend.catalog import Catalog
from hierpets.recommend.choose import Recommendation, Recommender
from hierpets.recommend.loading import load_catalog
from hierpets.taxonomy import Taxonomy

CATALOG: Catalog = load_catalog()
BREEDS = {name: list(own.breeds) for name, own in CATALOG.species.items()}
BOUND = 0.001
ROUNDED = 1e-9
"""What is missing to one is rounded to so much."""

levels = st.sampled_from(["breed", "species", "unknown"])
missing = st.floats(0, 0.0009999)
# Ordinary weights, and those at which sums lose digits or a bound is just met.
weights = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 5e-324, 1e-300, 1e-12, 0.000999, 0.001, 0.001001, 1.0]))


@st.composite
def taxonomies(draw: st.DrawFn) -> Taxonomy:
    """Listed and unlisted breeds, an unlisted species, some species without breeds; cats may be missing."""
    tree = {}
    for species in draw(st.lists(st.sampled_from(["cat", "dog", "horse"]), min_size=1, unique=True)):
        pool = [*BREEDS.get(species, []), "unlisted_one", "unlisted_two"]
        tree[species] = tuple(draw(st.lists(st.sampled_from(pool), max_size=6, unique=True)))
    return Taxonomy(tree=tree)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Taxonomy, np.ndarray]:
    taxonomy = draw(taxonomies())
    raw = np.array(draw(st.lists(weights, min_size=len(taxonomy.leaves), max_size=len(taxonomy.leaves))))
    if not raw.sum() > 1e-6:
        raw = np.eye(len(raw))[draw(st.integers(0, len(raw) - 1))]
    return taxonomy, raw / raw.sum()


@st.composite
def recommenders(draw: st.DrawFn) -> Recommender:
    """Any rules at all, short of vetoes: they push what they like as hard as they may."""
    advice = st.builds(
        Advice,
        product=st.sampled_from([*CATALOG.products, "*"]),
        reason=st.just("Because."),
        score=st.floats(-1e6, 1e6),
    )
    rules = draw(st.lists(st.lists(advice, max_size=6), max_size=3))
    return Recommender(CATALOG, [always(f"rule{i}", *said) for i, said in enumerate(rules)], bound=BOUND)


def true_harm(product: str, taxonomy: Taxonomy, joint: np.ndarray) -> float:
    """The probability that the pet is of a species that the product may hurt, counted leaf by leaf; what is missing to
    one may be any.
    """
    hazards = CATALOG.hazards[product]
    if set(hazards) - set(taxonomy.species):
        return 1.0  # a species that the model cannot tell
    at_risk = [
        leaf.species in hazards or (leaf.species not in CATALOG.species and bool(hazards)) for leaf in taxonomy.leaves
    ]
    return float(joint[at_risk].sum()) + (1 - float(joint.sum())) * bool(hazards)


def forbidden(answer: Recommendation) -> set[str]:
    (step,) = [step for step in answer.steps if step.rule == "contraindications"]
    return {said.product for said in step.advice}


@given(recommenders(), cases(), levels, missing, st.none() | st.floats(0, 1))
def test_recommend_never_names_a_product_that_may_harm(
    recommender: Recommender,
    case: tuple[Taxonomy, np.ndarray],
    level: Level,
    missing: float,
    unlisted: float | None,
) -> None:
    taxonomy, joint = case[0], (1 - missing) * case[1]
    answer = recommender.recommend(joint, taxonomy, level, unlisted=unlisted)
    assert answer.reason
    if answer.product is None:
        assert answer.confidence == 0
    else:
        assert level != "unknown"
        assert true_harm(answer.product.id, taxonomy, joint) <= BOUND + ROUNDED
        assert 0 <= answer.confidence <= 1 + 1e-9


@given(cases(), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["breed", "species"]))
def test_recommend_never_allows_more_when_mixed_with_no_idea(
    case: tuple[Taxonomy, np.ndarray], t: float, further: float, level: Level
) -> None:
    """Harm is linear in the mixture, and above the bound where every leaf is as likely: once out, it stays out."""
    taxonomy, joint = case
    recommender = Recommender(CATALOG, bound=BOUND)
    uniform = np.full(len(joint), 1 / len(joint))
    some = (1 - t) * joint + t * uniform
    more = (1 - further) * some + further * uniform
    less_sure = forbidden(recommender.recommend(more, taxonomy, level))
    assert forbidden(recommender.recommend(some, taxonomy, level)) <= less_sure | at_the_bound(taxonomy, more)


@given(cases(), missing, missing, st.sampled_from(["breed", "species"]))
def test_recommend_never_allows_more_where_more_is_missing_to_one(
    case: tuple[Taxonomy, np.ndarray], one: float, other: float, level: Level
) -> None:
    taxonomy, joint = case
    recommender = Recommender(CATALOG, bound=BOUND)
    most, least = ((1 - lost) * joint for lost in sorted((one, other)))
    before = forbidden(recommender.recommend(most, taxonomy, level))
    assert before <= forbidden(recommender.recommend(least, taxonomy, level)) | at_the_bound(taxonomy, least)


@given(cases(), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["breed", "species"]))
def test_recommend_never_allows_more_beside_a_more_novel_animal(
    case: tuple[Taxonomy, np.ndarray], one: float, other: float, level: Level
) -> None:
    taxonomy, joint = case
    recommender = Recommender(CATALOG, bound=BOUND)
    known = species_probabilities(joint, taxonomy)
    most, least = ((1 - lost) * known for lost in sorted((one, other)))
    before, after = (forbidden(recommender.recommend(joint, taxonomy, level, beside=[b])) for b in (most, least))
    assert before <= after | at_the_bound(taxonomy, joint) | at_the_bound(taxonomy, (1 - max(one, other)) * joint)


@given(cases(), st.floats(0, 1), st.floats(0, 1), st.data())
def test_recommend_never_allows_more_beside_likelier_bystanders(
    case: tuple[Taxonomy, np.ndarray], one: float, other: float, data: st.DataObject
) -> None:
    """And those that are none, of a probability of zero, change nothing."""
    taxonomy, joint = case
    recommender = Recommender(CATALOG, bound=BOUND)
    count = len(taxonomy.species)
    shares = np.array(data.draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    less, more = (share * shares for share in sorted((one, other)))
    before, after = (forbidden(recommender.recommend(joint, taxonomy, "breed", bystanders=b)) for b in (less, more))
    assert before <= after
    alone, beside_none = (recommender.recommend(joint, taxonomy, "breed", bystanders=b) for b in (None, 0 * shares))
    assert alone.record() == beside_none.record()


@given(cases(), st.floats(0, 1), st.floats(0, 1))
def test_recommend_never_brings_back_what_is_toxic_to_a_likelier_cat(
    case: tuple[Taxonomy, np.ndarray], one: float, other: float
) -> None:
    taxonomy, joint = case
    if "cat" not in taxonomy.species:
        return
    inside = taxonomy.slices[taxonomy.species.index("cat")]
    cat = np.zeros_like(joint)
    cat[inside] = 1 / (inside.stop - inside.start)
    less, more = sorted((one, other))
    recommender = Recommender(CATALOG, bound=BOUND)
    toxic = {product for product, hazards in CATALOG.hazards.items() if "cat" in hazards}
    mixed = [(1 - t) * joint + t * cat for t in (less, more)]
    before, after = (forbidden(recommender.recommend(row, taxonomy, "breed")) & toxic for row in mixed)
    assert before <= after | at_the_bound(taxonomy, mixed[1])


@given(cases(), st.floats(0, 1))
def test_recommend_counts_the_same_harm_whatever_the_breed(case: tuple[Taxonomy, np.ndarray], unlisted: float) -> None:
    taxonomy, joint = case
    recommender = Recommender(CATALOG, bound=BOUND)
    sure = forbidden(recommender.recommend(joint, taxonomy, "breed", unlisted=0.0))
    assert forbidden(recommender.recommend(joint, taxonomy, "breed", unlisted=unlisted)) == sure
    assert forbidden(recommender.recommend(joint, taxonomy, "species", unlisted=unlisted)) == sure


@settings(max_examples=50)
@given(cases(), st.floats(0, 0.01), st.floats(0, 0.01))
def test_recommend_allows_no_more_under_a_tighter_bound(
    case: tuple[Taxonomy, np.ndarray], one: float, other: float
) -> None:
    taxonomy, joint = case
    tight, loose = sorted((one, other))
    few = forbidden(Recommender(CATALOG, bound=tight).recommend(joint, taxonomy, "breed"))
    assert forbidden(Recommender(CATALOG, bound=loose).recommend(joint, taxonomy, "breed")) <= few


def at_the_bound(taxonomy: Taxonomy, joint: np.ndarray) -> set[str]:
    """Products so near the bound that rounding decides."""
    return {p for p in CATALOG.products if abs(true_harm(p, taxonomy, joint) - BOUND) <= ROUNDED}
