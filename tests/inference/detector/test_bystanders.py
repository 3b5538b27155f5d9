"""Before a product is recommended that harms some animal, the photo is searched for one beside the pet."""

import numpy as np
import pytest
from helpers.color_server import TAXONOMY, BassetEngine, encode, find_halves, make_predictor, side_by_side
from helpers.shampoo import always
from hypothesis import given
from hypothesis import strategies as st

from hierpets.inference.detector.bystanders import LEAST_BESIDE, Bystanders
from hierpets.inference.detector.network import ANIMALS, Detections
from hierpets.plugin import Advice
from hierpets.regions.detections import best_beside

SPECIES = TAXONOMY.species  # cat, dog, horse
LEFT, RIGHT, ALL = (0, 0, 1, 0.4), (0, 0.5, 1, 1), (0, 0, 1, 1)
FLEAS = always("flea_season", Advice("flea_guard", "It is flea season.", score=3.0))
DOG = side_by_side("a dog")


def black():
    return np.zeros((9, 9, 3), np.uint8)


class SeesBoxes:
    """A detector that sees each of some animals with a probability in a box, and counts its photos."""

    def __init__(self, *seen):
        self.photos = 0
        self.edges = np.array([edges for _, _, edges in seen] or [ALL], float)
        self.logits = np.full((len(self.edges), len(ANIMALS)), -20.0)
        for row, (animal, probability, _) in enumerate(seen):
            self.logits[row, ANIMALS.index(animal)] = np.log(probability / (1 - probability))

    def __call__(self, pixels):
        self.photos += 1
        return Detections(self.edges, self.logits)


def looked(*seen, of="dog", at_risk=("cat",)):
    return [row.round(6).tolist() for row in Bystanders(SeesBoxes(*seen), SPECIES)(black, of, at_risk)]


def test_an_animal_at_risk_beside_the_pet_is_seen():
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.3, LEFT)) == [[0.3, 0.7, 0]]
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.2, LEFT), ("horse", 0.1, LEFT), at_risk=("horse", "cat")) == [
        [0.2, 0.8, 0],
        [0, 0.9, 0.1],
    ]


def test_the_likeliest_counts():
    assert looked(("cat", 0.1, LEFT), ("dog", 0.9, RIGHT), ("cat", 0.4, LEFT)) == [[0.4, 0.6, 0]]


def test_what_the_pet_itself_looks_like_is_no_other_animal():
    assert looked(("dog", 0.9, ALL), ("cat", 0.8, RIGHT)) == []


def test_where_the_pet_is_not_seen_anything_may_be_beside_it():
    assert looked(("dog", 0.1, ALL), ("cat", 0.1, ALL)) == [[0.1, 0.9, 0]]


@pytest.mark.parametrize(("probability", "is_seen"), [(LEAST_BESIDE + 0.001, True), (LEAST_BESIDE - 0.001, False)])
def test_little_is_enough_for_an_animal(probability, is_seen):
    assert bool(looked(("dog", 0.9, RIGHT), ("cat", probability, LEFT))) == is_seen


@pytest.mark.parametrize("at_risk", [(), ("dog",), ("rabbit",), ("horse",)])
def test_only_other_animals_at_risk_count(at_risk):
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.9, LEFT), at_risk=at_risk) == []


def test_the_detector_is_not_asked_for_what_it_cannot_know():
    detector = SeesBoxes()
    assert Bystanders(detector, ("dog", "rabbit"))(black, "dog", ["rabbit", "cat"]) == []
    assert detector.photos == 0


def test_a_pet_that_the_detector_does_not_know_has_others_beside_it():
    species = ("cat", "rabbit")
    (found,) = Bystanders(SeesBoxes(("cat", 0.3, ALL)), species)(black, "rabbit", ["cat"])
    assert found.tolist() == pytest.approx([0.3, 0.7])


boxes = st.lists(st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.02, 1)] * 2), min_size=1, max_size=6)


@given(boxes, st.data())
def test_the_best_beside_is_one_of_the_scores_or_none(corners, data):
    edges = np.array([(top, left, top + height, left + width) for top, left, height, width in corners])
    draw = st.lists(st.floats(0, 1), min_size=len(edges), max_size=len(edges)).map(np.array)
    scores, others = data.draw(draw), data.draw(draw)
    found = best_beside(edges, scores, others, least=0.1)
    assert found == 0 or (found >= 0.1 and found in scores)
    anywhere = best_beside(edges, scores, np.zeros(len(edges)), least=0.1)
    assert found <= anywhere


def predicted(photo, detector, **options):
    predictor = make_predictor(
        BassetEngine(), rules=[FLEAS], finder=find_halves, bystanders=Bystanders(detector, SPECIES)
    )
    return predictor.predict(photo, **options)


CAT_BESIDE = (("dog", 0.9, RIGHT), ("cat", 0.1, LEFT))


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}, {"regions": True}, {"alpha": 0.2}])
def test_what_harms_an_animal_beside_the_pet_is_not_recommended(options):
    found = predicted(DOG, SeesBoxes(*CAT_BESIDE), **options)
    assert found.species == "dog"
    assert found.shampoo not in ("flea_guard", None)
    (ruled_out,) = (one for one in found.recommendation.ruled_out if one.product == "flea_guard")
    assert "poisonous to cats, and a cat may be in the photo too" in ruled_out.reason


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}, {"regions": True}])
def test_what_harms_an_animal_is_recommended_where_none_is_seen(options):
    assert predicted(DOG, SeesBoxes(("dog", 0.9, ALL), ("cat", 0.5, ALL)), **options).shampoo == "flea_guard"


def test_what_harms_an_animal_outside_of_all_regions_is_recommended_for_none():
    found = predicted(side_by_side("a dog", "a dog"), SeesBoxes(*CAT_BESIDE), regions=True)
    assert found.regions
    assert "flea_guard" not in [found.shampoo, *(region.prediction.shampoo for region in found.regions)]


def test_photos_are_searched_only_where_the_product_harms_some_animal():
    detector = SeesBoxes(*CAT_BESIDE)
    predictor = make_predictor(bystanders=Bystanders(detector, SPECIES))
    assert predictor.predict(DOG).shampoo and predictor.predict(side_by_side("siamese")).shampoo
    assert predictor.predict(b"no photo").shampoo is None
    assert detector.photos == 0


def test_what_harms_an_animal_is_not_recommended_for_a_photo_that_is_gone(tmp_path):
    photo = tmp_path / "dog.jpg"
    photo.write_bytes(encode(DOG))

    class Removing:
        name = where = "removing"

        def call(self, case):
            photo.unlink(missing_ok=True)
            yield from FLEAS.call(case)

    bystanders = Bystanders(SeesBoxes(("dog", 0.9, ALL)), SPECIES)
    found = make_predictor(BassetEngine(), rules=[Removing()], bystanders=bystanders).predict(photo)
    assert found.species == "dog" and found.shampoo not in ("flea_guard", None)
    (ruled_out,) = (one for one in found.recommendation.ruled_out if one.product == "flea_guard")
    assert "we do not know another animal in the photo" in ruled_out.reason


def test_a_search_that_fails_costs_the_shampoo_and_not_the_prediction():
    def failing(pixels):
        raise RuntimeError("no memory")

    found = predicted(DOG, failing)
    assert found.species == "dog" and found.error is None
    assert found.shampoo is None and found.recommendation.error == "no memory"


def test_explained_is_what_was_decided_in_the_end():
    found = predicted(DOG, SeesBoxes(*CAT_BESIDE), explain=True)
    *_, contraindications = found.recommendation.explain
    assert contraindications.rule == "contraindications" and contraindications.leader == found.shampoo
    assert "flea_guard" in [one.product for one in contraindications.advice if "in the photo too" in one.reason]
