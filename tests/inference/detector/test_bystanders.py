"""Before a product is recommended that harms some animal, the photo is searched for one beside the pet."""

import numpy as np
import pytest
from helpers.color_server import COLORS, TAXONOMY, BassetEngine, encode, find_halves, make_predictor, side_by_side
from helpers.shampoo import PlainRule, always
from hypothesis import given
from hypothesis import strategies as st

from hierpets.inference.detector.bystanders import SEARCH, Bystanders, SearchRule
from hierpets.inference.detector.network import ANIMALS, Detections
from hierpets.plugin import Advice
from hierpets.regions.boxes import Box
from hierpets.registry.loading import load_registry

SPECIES = TAXONOMY.species  # cat, dog, horse
VIEWS = len(SEARCH.views(60, 180))
LEFT, RIGHT, ALL = (0, 0, 1, 0.4), (0, 0.5, 1, 1), (0, 0, 1, 1)
FLEAS = always("flea_season", Advice("flea_guard", "It is flea season.", score=3.0))
DOG = side_by_side("a dog")


def black():
    return np.zeros((60, 180, 3), np.uint8)


def detections(*seen):
    """Each of some animals, with a probability in a box."""
    edges = np.array([edges for _, _, edges in seen] or [ALL], float)
    logits = np.full((len(edges), len(ANIMALS)), -20.0)
    for row, (animal, probability, _) in enumerate(seen):
        logits[row, ANIMALS.index(animal)] = np.log(probability / (1 - probability))
    return Detections(edges, logits)


class SeesBoxes:
    """A detector that sees animals in whole photos, which are shown to it first, and none in closer views."""

    def __init__(self, *seen):
        self.shown = 0
        self.seen = detections(*seen)

    def __call__(self, pixels):
        self.shown += 1
        return self.seen if self.shown % VIEWS == 1 else detections()


class SeesRed:
    """A detector that takes what is red for a cat, where it is large enough in what it is shown."""

    def __init__(self, least):
        self.least = least

    def __call__(self, pixels):
        is_red = pixels[..., 0] > 127
        if is_red.mean() < self.least:
            return detections()
        rows, columns = np.flatnonzero(is_red.any(axis=1)), np.flatnonzero(is_red.any(axis=0))
        corners = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
        return detections(("cat", 0.9, corners / [*is_red.shape, *is_red.shape]))


class Judge:
    """Takes all parts of photos for the same, and keeps them."""

    def __init__(self, *probabilities):
        self.probabilities, self.parts = probabilities, []

    def __call__(self, parts):
        self.parts += parts
        return np.array([self.probabilities] * len(parts))


def looked(*seen, shown, pet="dog", species=SPECIES):
    return Bystanders(SeesBoxes(*seen), species)(black, Judge(*shown), pet).tolist()


def test_what_the_network_takes_for_another_animal_is_beside_the_pet():
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.3, LEFT), shown=(0.8, 0.1, 0.1)) == [0.8, 0, 0.1]


def test_what_is_found_is_never_certain():
    assert looked(("cat", 0.99, LEFT), shown=(1, 0, 0)) == [SEARCH.max_probability, 0, 0]


def test_what_the_network_takes_for_the_pet_itself_is_no_other_animal():
    assert looked(("cat", 0.9, ALL), shown=(SEARCH.min_probability - 0.01, 0.96, 0)) == [0, 0, 0]
    assert looked(("cat", 0.9, ALL), shown=(SEARCH.min_probability, 0.95, 0)) == [SEARCH.min_probability, 0, 0]


@pytest.mark.parametrize(
    ("probability", "is_asked"), [(SEARCH.min_score + 0.001, True), (SEARCH.min_score - 0.001, False)]
)
def test_the_network_is_asked_where_the_detector_sees_little(probability, is_asked):
    assert any(looked(("dog", 0.9, RIGHT), ("cat", probability, LEFT), shown=(0.9, 0.1, 0))) == is_asked


def test_the_network_is_asked_about_the_likeliest_boxes_in_places_of_their_own():
    widths = [0.1, 0.14, 0.18, 0.22]
    boxes = [("cat", 0.5 - width, (0, 0.25 * n, 1, 0.25 * n + width)) for n, width in enumerate(widths)]
    judge = Judge(0, 1, 0)
    most = 3
    bystanders = Bystanders(SeesBoxes(*boxes, ("horse", 0.3, boxes[0][2])), SPECIES, SearchRule(max_boxes=most))
    bystanders(black, judge, "dog")
    sides = [Box.between(left, top, right, bottom) for _, _, (top, left, bottom, right) in boxes[:most]]
    assert [part.shape for part in judge.parts] == [one.squared(60, 180).cut(black()).shape for one in sides]


def test_other_animals_than_those_of_the_model_are_not_asked_about():
    assert looked(("dog", 0.9, RIGHT), ("sheep", 0.9, LEFT), shown=(1, 0, 0)) == [0, 0, 0]


def test_the_detector_is_not_asked_for_what_it_cannot_know():
    detector = SeesBoxes()
    assert not Bystanders(detector, ("dog", "rabbit"))(black, Judge(0, 1), "dog").any()
    assert detector.shown == 0


def test_a_pet_that_the_detector_does_not_know_has_others_beside_it():
    assert looked(("cat", 0.3, ALL), shown=(0.7, 0.3), pet="rabbit", species=("cat", "rabbit")) == [0.7, 0]


@pytest.mark.parametrize("shape", [(60, 180), (180, 60), (100, 100)])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_small_animal_is_seen_in_a_closer_view(shape, place):
    photo, side = np.zeros((*shape, 3), np.uint8), 10
    down, across = (1, place) if shape[1] >= shape[0] else (place, 0.5)
    top, left = round(down * (shape[0] - side)), round(across * (shape[1] - side))
    photo[top : top + side, left : left + side] = COLORS["siamese"]
    judge, share = Judge(1, 0, 0), side**2 / photo[..., 0].size
    found = Bystanders(SeesRed(1.5 * share), SPECIES)(lambda: photo, judge, "dog")
    assert found.tolist() == [SEARCH.max_probability, 0, 0]
    (part,) = judge.parts
    assert (part[..., 0] > 127).sum() == side**2
    assert max(part.shape) <= 1.5 * side


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_closer_views_of_a_photo_overlap_and_leave_no_gap(height, width):
    whole, first, second = SEARCH.views(height, width)
    assert whole.area == 1
    assert first.area == pytest.approx(second.area) and first.overlap(second) > 0.3
    longer = 0 if width >= height else 1
    assert (first.edges[longer], second.edges[2 + longer]) == (0, pytest.approx(1))


def predicted(photo, detector, **options):
    predictor = make_predictor(
        BassetEngine(), rules=[FLEAS], finder=find_halves, bystanders=Bystanders(detector, SPECIES)
    )
    return predictor.predict(photo, **options)


SIDE = 20  # pixels of the animals that are put into photos


def beside(photo, color):
    """The photo with an animal of this color in its lower left corner."""
    together = photo.copy()
    together[-SIDE:, :SIDE] = COLORS.get(color, color)
    return together


def corner(photo):
    """The edges of the animal that was put :func:`beside`."""
    height, width = photo.shape[:2]
    return 1 - SIDE / height, 0, 1, SIDE / width


DOG_AND_CAT, HORSE = beside(DOG, "siamese"), (20, 20, 250)
IN_CORNER = corner(DOG)
CAT_BESIDE = (("dog", 0.9, ALL), ("cat", 0.1, IN_CORNER))


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}, {"regions": True}, {"alpha": 0.2}])
def test_what_harms_an_animal_beside_the_pet_is_not_recommended(options):
    found = predicted(DOG_AND_CAT, SeesBoxes(*CAT_BESIDE), **options)
    assert found.species == "dog"
    assert found.shampoo not in ("flea_guard", None)
    (ruled_out,) = (one for one in found.recommendation.ruled_out if one.product == "flea_guard")
    assert "poisonous to cats, and a cat may be in the photo too" in ruled_out.reason


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}, {"regions": True}])
@pytest.mark.parametrize("seen", [CAT_BESIDE, (("dog", 0.9, ALL), ("cat", 0.9, ALL))])
def test_what_harms_an_animal_is_recommended_where_the_network_sees_none(options, seen):
    assert predicted(DOG, SeesBoxes(*seen), **options).shampoo == "flea_guard"


def test_what_harms_an_animal_outside_of_all_regions_is_recommended_for_none():
    photo = beside(side_by_side("a dog", "a dog"), "siamese")
    found = predicted(photo, SeesBoxes(("dog", 0.9, ALL), ("cat", 0.1, corner(photo))), regions=True)
    assert [region.prediction.species for region in found.regions] == ["dog", "dog"]
    assert "flea_guard" not in [found.shampoo, *(region.prediction.shampoo for region in found.regions)]


def test_photos_are_searched_only_where_the_product_harms_some_animal():
    detector = SeesBoxes(*CAT_BESIDE)
    predictor = make_predictor(bystanders=Bystanders(detector, SPECIES))
    assert predictor.predict(DOG).shampoo and predictor.predict(side_by_side("siamese")).shampoo
    assert predictor.predict(b"no photo").shampoo is None
    assert detector.shown == 0


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
    assert "there may be an animal in the photo that we do not know" in ruled_out.reason


def test_what_harms_an_animal_is_not_recommended_where_the_search_fails(caplog):
    def failing(pixels):
        raise RuntimeError("no memory")

    found = predicted(DOG, failing)
    assert found.species == "dog" and found.error is None
    assert found.shampoo not in ("flea_guard", None)
    assert "cannot be searched for other animals: no memory" in caplog.text
    assert "no memory" not in found.json_text()


def test_an_animal_that_the_product_is_not_made_for_is_protected_as_well():
    """Nothing says that permethrin harms horses, nor that it does not."""
    found = predicted(beside(DOG, HORSE), SeesBoxes(("dog", 0.9, ALL), ("horse", 0.9, IN_CORNER)))
    assert found.shampoo not in ("flea_guard", None)
    (ruled_out,) = (one for one in found.recommendation.ruled_out if one.product == "flea_guard")
    assert "a horse, of which we know too little, may be in the photo too" in ruled_out.reason


LIKES = always("likes", Advice("first", "It is liked.", score=2.0), Advice("second", "It is not bad.", score=1.0))
PRODUCTS = """
brand: B
currency: EUR
products:
  - {id: first, name: A, claim: cleans, price: 1, contains: [glycerin],
     suits: {species: [dog, horse]}, contraindicated_species: [cat]}
  - {id: second, name: B, claim: cleans, price: 2, contains: [glycerin],
     suits: {species: [dog, cat]}, contraindicated_species: [horse]}
  - {id: third, name: C, claim: cleans, price: 3, contains: [glycerin], suits: {species: [dog]}}
"""


def test_what_takes_the_place_of_a_product_harms_no_other_animal_either(tmp_path):
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins: []")
    (tmp_path / "plugins/shampoo").mkdir(parents=True)
    (tmp_path / "plugins/shampoo/products.yaml").write_text(PRODUCTS)
    (tmp_path / "plugins/shampoo/breeds.yaml").write_text("species: {horse: {}}")

    def shampoo(photo, *seen):
        bystanders = Bystanders(SeesBoxes(("dog", 0.9, ALL), *seen), SPECIES)
        predictor = make_predictor(
            BassetEngine(), registry=load_registry(registry), rules=[LIKES], bystanders=bystanders
        )
        return predictor.predict(photo).shampoo

    both, above = DOG_AND_CAT.copy(), (0, 0, SIDE / len(DOG), SIDE / len(DOG))
    both[:SIDE, :SIDE] = HORSE
    cat, horse = ("cat", 0.5, IN_CORNER), ("horse", 0.9, above)
    assert (shampoo(DOG, cat), shampoo(DOG_AND_CAT, cat), shampoo(both, cat, horse)) == ("first", "second", "third")


def told(photo):
    """What a rule is told of animals beside the pet, each time that it is asked."""
    asked = []

    def spy(case):
        asked.append(dict(case.beside))
        return FLEAS.call(case)

    bystanders = Bystanders(SeesBoxes(*CAT_BESIDE), SPECIES)
    make_predictor(BassetEngine(), rules=[PlainRule("spying", spy)], bystanders=bystanders).predict(photo)
    return asked


def test_rules_are_told_of_no_second_pet_of_the_same_species():
    assert told(DOG_AND_CAT) == [{}, {"cat": SEARCH.max_probability, "dog": 0, "horse": 0}]


def test_rules_are_asked_once_more_only_where_an_animal_is_seen():
    assert len(told(DOG_AND_CAT)) == 2
    assert len(told(DOG)) == 1


def test_a_photo_is_searched_once_for_all_its_regions():
    detector = SeesBoxes(*CAT_BESIDE)
    predicted(side_by_side("a dog", "a dog"), detector, regions=True)
    assert detector.shown == VIEWS


def test_explained_is_what_was_decided_in_the_end():
    found = predicted(DOG_AND_CAT, SeesBoxes(*CAT_BESIDE), explain=True)
    *_, contraindications = found.recommendation.explain
    assert contraindications.rule == "contraindications" and contraindications.leader == found.shampoo
    assert "flea_guard" in [one.product for one in contraindications.advice if "in the photo too" in one.reason]
