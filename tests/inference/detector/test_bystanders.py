"""Before a product is recommended that harms some animal, the photo is searched for one beside the pet."""

import numpy as np
import pytest
from helpers.color_server import TAXONOMY, BassetEngine, encode, find_halves, make_predictor, side_by_side
from helpers.shampoo import PlainRule, always
from hypothesis import given
from hypothesis import strategies as st

from hierpets.inference.detector.bystanders import LEAST_BESIDE, Bystanders
from hierpets.inference.detector.network import ANIMALS, Detections
from hierpets.plugin import Advice
from hierpets.regions.detections import best_beside
from hierpets.registry.loading import load_registry

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


def looked(*seen, pet="dog"):
    return Bystanders(SeesBoxes(*seen), SPECIES)(black, pet).round(6).tolist()


def test_an_animal_beside_the_pet_is_seen():
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.3, LEFT)) == [0.3, 0, 0]
    assert looked(("dog", 0.9, RIGHT), ("cat", 0.2, LEFT), ("horse", 0.1, LEFT)) == [0.2, 0, 0.1]


def test_the_likeliest_counts():
    assert looked(("cat", 0.1, LEFT), ("dog", 0.9, RIGHT), ("cat", 0.4, LEFT)) == [0.4, 0, 0]


def test_what_the_pet_itself_looks_like_is_no_other_animal():
    assert looked(("dog", 0.9, ALL), ("cat", 0.19, RIGHT)) == [0, 0, 0]
    detector = SeesBoxes(("dog", 0.9, ALL))
    detector.logits[0, ANIMALS.index("cat")] = 1  # a probability of 0.73
    assert not Bystanders(detector, SPECIES)(black, "dog").any()


def test_an_animal_before_the_pet_is_seen_where_it_is_clearly_not_the_pet():
    detector = SeesBoxes(("dog", 0.99, ALL), ("cat", 0.8, RIGHT))
    dog = ANIMALS.index("dog")
    for probability, is_seen in ((0.19, True), (0.21, False)):
        detector.logits[1, dog] = np.log(probability / (1 - probability))
        assert Bystanders(detector, SPECIES)(black, "dog").any() == is_seen


def test_where_the_pet_is_not_seen_anything_may_be_beside_it():
    assert looked(("dog", 0.1, ALL), ("cat", 0.1, ALL)) == [0.1, 0, 0]


@pytest.mark.parametrize(("probability", "is_seen"), [(LEAST_BESIDE + 0.001, True), (LEAST_BESIDE - 0.001, False)])
def test_little_is_enough_for_an_animal(probability, is_seen):
    assert any(looked(("dog", 0.9, RIGHT), ("cat", probability, LEFT))) == is_seen


def test_other_animals_than_those_of_the_model_are_not_told():
    assert looked(("dog", 0.9, RIGHT), ("sheep", 0.9, LEFT)) == [0, 0, 0]


def test_the_detector_is_not_asked_for_what_it_cannot_know():
    detector = SeesBoxes()
    assert not Bystanders(detector, ("dog", "rabbit"))(black, "dog").any()
    assert detector.photos == 0


def test_a_pet_that_the_detector_does_not_know_has_others_beside_it():
    found = Bystanders(SeesBoxes(("cat", 0.3, ALL)), ("cat", "rabbit"))(black, "rabbit")
    assert found.tolist() == pytest.approx([0.3, 0])


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
    assert predicted(DOG, SeesBoxes(("dog", 0.9, ALL), ("cat", 0.1, ALL)), **options).shampoo == "flea_guard"


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
    found = predicted(DOG, SeesBoxes(("dog", 0.9, RIGHT), ("horse", 0.9, LEFT)))
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

    def shampoo(*seen):
        bystanders = Bystanders(SeesBoxes(("dog", 0.9, RIGHT), *seen), SPECIES)
        predictor = make_predictor(
            BassetEngine(), registry=load_registry(registry), rules=[LIKES], bystanders=bystanders
        )
        return predictor.predict(DOG).shampoo

    cat, horse = ("cat", 0.5, LEFT), ("horse", 0.9, LEFT)
    assert (shampoo(), shampoo(cat), shampoo(cat, horse)) == ("first", "second", "third")


def told(*seen):
    """What a rule is told of animals beside the pet, each time that it is asked."""
    asked = []

    def spy(case):
        asked.append(dict(case.beside))
        return FLEAS.call(case)

    bystanders = Bystanders(SeesBoxes(*seen), SPECIES)
    make_predictor(BassetEngine(), rules=[PlainRule("spying", spy)], bystanders=bystanders).predict(DOG)
    return asked


def test_rules_are_told_of_no_second_pet_of_the_same_species():
    assert told(*CAT_BESIDE) == [{}, pytest.approx({"cat": 0.1, "dog": 0, "horse": 0})]


def test_rules_are_asked_once_more_only_where_an_animal_is_seen():
    assert len(told(*CAT_BESIDE)) == 2
    assert len(told(("dog", 0.9, RIGHT))) == 1


def test_a_photo_is_searched_once_for_all_its_regions():
    detector = SeesBoxes(*CAT_BESIDE)
    predicted(side_by_side("a dog", "a dog"), detector, regions=True)
    assert detector.photos == 1


def test_explained_is_what_was_decided_in_the_end():
    found = predicted(DOG, SeesBoxes(*CAT_BESIDE), explain=True)
    *_, contraindications = found.recommendation.explain
    assert contraindications.rule == "contraindications" and contraindications.leader == found.shampoo
    assert "flea_guard" in [one.product for one in contraindications.advice if "in the photo too" in one.reason]
