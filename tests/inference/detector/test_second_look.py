"""A photo that leaves doubt is looked at again: closer, where its animal is small, and by a detector, to which
another animal is no pet. Nothing else changes.
"""

import weakref

import cv2
import numpy as np
import pytest
from helpers.color_server import MODEL, ColorEngine, PlainFinder, find_halves
from helpers.policies import flat_policy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import hierpets
from hierpets.bundle.manifest import BackboneSpec, Manifest, OODSpec
from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.hierarchy.policy import PET_SCORE_BAND
from hierpets.inference.detector.network import ANIMALS, Detections
from hierpets.inference.detector.second_look import (
    ALLOWED_LOGIT,
    MIN_LIKENESS,
    OBJECTION_WEIGHT,
    SURE_LIKENESS,
    SecondLook,
    lowered,
)
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.cascade import PhotoAccess
from hierpets.inference.predictor import Predictor
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Taxonomy

THRESHOLD = -6.0
PETS = Taxonomy(tree={"cat": ("siamese", "bengal"), "dog": ("pug",)})


def manifest_of(taxonomy=PETS, pet=THRESHOLD, second_look=False, grown=(), other_animals=()):
    return Manifest(
        other_animals=other_animals,
        taxonomy=taxonomy,
        origins=tuple("grown" if leaf.species in grown else "trained" for leaf in taxonomy.leaves),
        second_look=second_look,
        preprocess=Preprocess(size=16, crop=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        backbone=BackboneSpec(name="color", feature_dim=1),
        policy=flat_policy(taxonomy.species, pet=pet),
        ood=OODSpec(classes=3, species=len(taxonomy.species), pretrained_classes=0, pretrained_features=0),
    )


class Sees:
    """A detector that sees these animals, each with its logit, between the upper, left, lower and right ``edges``, and
    counts its photos.
    """

    def __init__(self, edges=(0, 0, 1, 1), **logits):
        self.photos = 0
        self.edges = np.zeros((3, 4))
        self.edges[1] = edges
        self.logits = np.full((3, len(ANIMALS)), ALLOWED_LOGIT - 1)
        for name, logit in logits.items():
            self.logits[1, ANIMALS.index(name)] = logit

    def __call__(self, pixels):
        self.photos += 1
        return Detections(self.edges, self.logits)


def output(*pet, listed=0.5):
    """Output for photos of these pet scores, of which no leaf is likely."""
    n = len(pet)
    scores = np.full((n, 3), listed, np.float32)
    scores[:, 0] = pet
    return RawOutput(np.zeros((n, 1)), np.zeros((n, 2)), np.zeros((n, 3)), scores)


def never(photos):
    raise AssertionError("the network is not asked again")


def heard(detector, given, ask=never, **how):
    """The output after the second look at black photos."""
    return looked_at(detector, given, ask, **how)[0]


def looked_at(detector, given, ask=never, photo=None, closer=True, rows=None, **how):
    photo = np.zeros((16, 16, 3), np.uint8) if photo is None else photo
    access = PhotoAccess(lambda _: photo, lambda part: (part,), ask)
    rows = np.ones(len(given.species), bool) if rows is None else rows
    return SecondLook.of(manifest_of(**how), detector)(given, access, rows=rows, closer=closer)


def test_a_doubtful_photo_of_a_horse_is_no_pet():
    found = heard(Sees(horse=2.0, dog=1.0), output(THRESHOLD + 1))
    assert found.scores[0, 0] < THRESHOLD


@pytest.mark.parametrize("seen", [{"horse": 1.0, "dog": 3.0}, {"horse": ALLOWED_LOGIT - 0.1, "dog": ALLOWED_LOGIT - 1}])
def test_a_doubtful_photo_of_a_dog_stays_one_to_the_bit(seen):
    """Also where it is so small or so dark that the detector sees nothing."""
    given = output(THRESHOLD + 1)
    found = heard(Sees(**seen), given)
    np.testing.assert_array_equal(found.scores, given.scores)


def test_a_horse_that_might_be_a_dog_to_the_detector_too_is_none():
    assert heard(Sees(horse=1.0, dog=2.0), output(THRESHOLD + 1)).scores[0, 0] < THRESHOLD


def test_the_detector_is_asked_about_doubtful_photos_alone_and_changes_no_others():
    detector, given = Sees(horse=3.0), output(THRESHOLD - 1, THRESHOLD + 1, THRESHOLD + PET_SCORE_BAND + 1)
    found = heard(detector, given)
    assert detector.photos == 1
    np.testing.assert_array_equal(found.scores[[0, 2]], given.scores[[0, 2]])
    np.testing.assert_array_equal(found.scores[:, 1:], given.scores[:, 1:])
    assert given.scores[1, 0] == THRESHOLD + 1, "what was given is as it was"


def test_photos_that_may_not_be_looked_at_again_stay_as_they_are():
    detector, given = Sees(horse=3.0), output(THRESHOLD + 1, THRESHOLD + 1)
    found = looked_at(detector, given, rows=np.array([False, True]))
    assert detector.photos == 1
    assert [*found.objections] == [1]
    assert found.output.scores[0, 0] == given.scores[0, 0]


def of_breed(pet, probability):
    """Output for a photo of a pug of this probability."""
    found = output(pet, listed=probability)
    found.species[0], found.leaf[0] = [0.0, 20.0], [0.0, 0.0, 20.0]
    return found


def test_a_photo_whose_breed_is_certain_is_not_asked_about():
    detector = Sees(horse=3.0)
    assert heard(detector, of_breed(THRESHOLD + 1, 0.9)).scores[0, 0] == THRESHOLD + 1
    assert detector.photos == 0


@pytest.mark.parametrize("pet", [THRESHOLD + 1, THRESHOLD - 1])
def test_a_horse_that_is_rather_a_pug_is_none_however_sure_that_is(pet):
    """A breed that is sure makes a pet of what scores less than one: not of what is a horse to the detector."""
    given = of_breed(pet, 0.7)
    seen, parts, _ = looked_at(Sees(SMALL, horse=-1.0), given, second_look=True)
    assert seen.scores[0, 0] < THRESHOLD - PET_SCORE_BAND
    assert not parts, "its breed is sure enough to look once"
    np.testing.assert_array_equal(heard(Sees(dog=3.0), given).scores, given.scores)


class SeesTwo(Sees):
    """A detector that sees a dog and a horse, each between its edges."""

    def __init__(self, dog, horse):
        super().__init__(dog, dog=1.0)
        self.edges[2] = horse
        self.logits[2, ANIMALS.index("horse")] = 2.0


@pytest.mark.parametrize(
    ("dog", "is_pet"), [((0.0, 0.0, 1.0, 0.4), True), ((0.0, 0.3, 1.0, 0.65), True), ((0.2, 0.6, 0.9, 0.9), False)]
)
def test_a_dog_beside_a_horse_stays_a_pet(dog, is_pet):
    """Not one that is seen where the horse is: both may be one animal."""
    given = output(THRESHOLD + 1)
    found = looked_at(SeesTwo(dog, (0.0, 0.5, 1.0, 1.0)), given)
    assert (found.output.scores[0, 0] == given.scores[0, 0]) == is_pet
    assert (found.objections == {}) == is_pet


def test_an_objection_is_by_how_much_the_score_is_lower():
    given = output(THRESHOLD + 1, THRESHOLD + 1, THRESHOLD + 9)
    found = looked_at(Sees(horse=3.0), given)
    assert [*found.objections] == [0, 1]
    lower = given.scores[:, 0] - found.output.scores[:, 0]
    assert found.objections == pytest.approx({0: lower[0], 1: lower[1]})


HORSE = OtherAnimal(name="horse", weights=(1.0,), bias=0.5)


def like(likeness):
    """Output for a doubtful photo that looks so much like a horse to the pretrained head."""
    return output(THRESHOLD + 1)._replace(features=np.array([[likeness - HORSE.bias]]))


@pytest.mark.parametrize(("likeness", "asked"), [(MIN_LIKENESS - 0.1, 0), (MIN_LIKENESS + 0.1, 1)])
def test_the_detector_is_asked_about_photos_that_look_like_another_animal_to_the_pretrained_head(likeness, asked):
    detector = Sees(horse=3.0)
    found = heard(detector, like(likeness), other_animals=(HORSE,))
    assert detector.photos == asked
    assert (found.scores[0, 0] < THRESHOLD) == bool(asked)


def test_nor_is_it_heard_about_others_where_it_says_where_a_small_animal_is():
    given = like(MIN_LIKENESS - 0.1)
    found = looked_at(Sees(horse=3.0), given, other_animals=(HORSE,), second_look=True)
    np.testing.assert_array_equal(found.output.scores, given.scores)


def test_a_photo_that_looks_very_much_like_a_horse_is_less_of_a_pet_whatever_the_detector_sees():
    dog, given = Sees(dog=3.0), like(SURE_LIKENESS + 0.25)
    assert heard(dog, given, other_animals=(HORSE,)).scores[0, 0] == pytest.approx(
        THRESHOLD + 1 - 0.25 * OBJECTION_WEIGHT
    )
    assert heard(dog, like(SURE_LIKENESS), other_animals=(HORSE,)).scores[0, 0] == THRESHOLD + 1
    for others in ((), (HORSE.model_copy(update={"name": "lion"}),)):
        assert heard(dog, given, other_animals=others).scores[0, 0] == THRESHOLD + 1, "of horses it says nothing"


def test_a_photo_that_is_taken_for_a_grown_horse_may_look_like_one():
    known = Taxonomy(tree={**PETS.tree, "horse": ()})
    for species, is_lowered in enumerate((True, True, False)):
        given = of_three(winner=species)._replace(features=np.array([[SURE_LIKENESS + 5]]))
        found = heard(Sees(horse=3.0), given, taxonomy=known, grown=("horse",), other_animals=(HORSE,))
        assert (found.scores[0, 0] < THRESHOLD) == is_lowered


def test_a_model_that_knows_horses_takes_none_for_something_else():
    known = Taxonomy(tree={**PETS.tree, "horse": ()})
    scores = np.array([[THRESHOLD + 1, 0.5, 0.5, 0.5]], np.float32)
    given = RawOutput(np.zeros((1, 1)), np.zeros((1, 3)), np.zeros((1, 4)), scores)
    assert heard(Sees(horse=3.0), given, taxonomy=known).scores[0, 0] == THRESHOLD + 1
    assert heard(Sees(zebra=3.0), given, taxonomy=known).scores[0, 0] < THRESHOLD


def of_three(*, winner, pet=THRESHOLD + 1):
    """Output for a photo that is taken for that of three species."""
    scores = np.array([[pet, 0.5, 0.5, 0.5]], np.float32)
    return RawOutput(np.zeros((1, 1)), np.eye(3)[[winner]], np.zeros((1, 4)), scores)


@pytest.mark.parametrize(("grown", "lowered_for"), [("horse", (True, True, False)), ("rabbit", (True, True, False))])
def test_what_is_taken_for_a_trained_species_is_judged_as_if_no_other_was_grown(grown, lowered_for):
    """A horse that is taken for a dog is no dog because horses are known, or rabbits."""
    known = Taxonomy(tree={**PETS.tree, grown: ()})
    for species, is_lowered in enumerate(lowered_for):
        found = heard(Sees(horse=3.0), of_three(winner=species), taxonomy=known, grown=(grown,))
        assert (found.scores[0, 0] < THRESHOLD) == is_lowered


@pytest.mark.parametrize(
    ("first", "second", "is_asked_again"), [(2, 0, False), (0, 2, False), (0, 1, True), (2, 2, True)]
)
def test_the_first_look_stands_where_another_species_speaks_for_the_pet(first, second, is_asked_again):
    known = Taxonomy(tree={**PETS.tree, "horse": ()})
    given, closer = of_three(winner=first, pet=THRESHOLD), of_three(winner=second, pet=THRESHOLD + 2)
    found, parts, _ = looked_at(
        Sees(SMALL, dog=2.0), given, lambda _: closer, taxonomy=known, grown=("horse",), second_look=True
    )
    assert bool(parts) == is_asked_again
    assert found.scores[0, 0] == (THRESHOLD + 1 if is_asked_again else THRESHOLD)


@pytest.mark.parametrize(
    "how",
    [
        {"pet": None},
        {"taxonomy": Taxonomy(tree={"cat": (), "rabbit": ()})},
        {"taxonomy": Taxonomy(tree={"dog": (), "horse": (), "zebra": ()})},
        {"taxonomy": Taxonomy(tree={"ferret": (), "rabbit": ()}), "second_look": True},
    ],
)
def test_there_is_no_second_look_where_it_could_tell_nothing(how):
    """Without a pet score, with a species that the detector does not know, with all that count against a pet, or where
    it knows no species at all.
    """
    assert SecondLook.of(manifest_of(**how), Sees()) is None


SMALL = 0.25, 0.25, 0.75, 0.75  # a quarter of the photo


def closer(*pet, dog=0.0):
    """What the network says of cut-out animals."""
    found = output(*pet, listed=1.0)
    found.species[:, 1] = dog
    return found


def test_a_small_animal_is_cut_out_and_both_looks_are_averaged():
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[10:30, 20:60] = 200
    asked = []

    def ask(photos):
        asked.extend(part for (part,) in photos)
        return closer(THRESHOLD + 10, dog=4.0)

    given = output(THRESHOLD - 1)
    found, boxes, _ = looked_at(Sees(SMALL, dog=2.0), given, ask, photo, second_look=True)
    (cut,) = asked
    assert cut.shape[0] == 40, "as square as the photo allows, with a margin"
    assert 44 <= cut.shape[1] <= 50
    left, top, right, bottom = boxes[0].edges
    assert (top, bottom) == (0, 1), "it is said what was seen, not where the animal is"
    assert (right - left) * 80 == pytest.approx(cut.shape[1], abs=1)
    assert found.scores[0, 0] == THRESHOLD + 4.5, "a small pet is none at first sight"
    np.testing.assert_allclose(found.species[0], [0.0, 2.0])
    np.testing.assert_allclose(found.scores[0, 1:], 0.75)
    np.testing.assert_array_equal(found.features, given.features)
    assert given.scores[0, 0] == THRESHOLD - 1, "what was given is as it was"


@pytest.mark.parametrize(
    ("detector", "given", "how"),
    [
        (Sees((0.0, 0.0, 1.0, 0.6), dog=2.0), output(THRESHOLD), {}),
        (Sees(SMALL, dog=-3.0), output(THRESHOLD), {}),
        (Sees(SMALL, dog=2.0), output(THRESHOLD + PET_SCORE_BAND + 1), {}),
        (Sees(SMALL, dog=2.0), output(THRESHOLD - PET_SCORE_BAND - 1), {}),
        (Sees(SMALL, dog=2.0), output(THRESHOLD), {"second_look": False}),
        (Sees(SMALL, dog=2.0), output(THRESHOLD), {"closer": False}),
    ],
    ids=["large", "seen by nobody", "surely a pet", "nothing like a pet", "a model that looks once", "a part"],
)
def test_what_is_no_small_animal_is_looked_at_once(detector, given, how):
    found, boxes, _ = looked_at(detector, given, **{"second_look": True, **how})
    assert not boxes
    for one, same in zip(found, given, strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_horse_is_none_after_the_second_look_either():
    found = heard(
        Sees(SMALL, horse=2.0, dog=1.0), output(THRESHOLD + 1), lambda _: output(THRESHOLD + 2), second_look=True
    )
    assert found.scores[0, 0] < THRESHOLD


def test_a_breed_that_the_second_look_makes_certain_is_not_asked_about_either():
    sure, horse = of_breed(THRESHOLD + 2, 1.0), Sees(SMALL, horse=2.0, dog=1.0)
    given = output(THRESHOLD, listed=0.8)
    found, boxes, objections = looked_at(horse, given, lambda _: sure, second_look=True)
    assert [*boxes] == [0]
    assert found.scores[0, 0] == THRESHOLD + 1
    assert not objections


def test_a_model_of_other_animals_too_looks_again_at_those_that_the_detector_finds():
    known = Taxonomy(tree={"cat": (), "ferret": (), "rabbit": ()})
    scores = np.array([[THRESHOLD, 0.5, 0.5, 0.5]], np.float32)
    given = RawOutput(np.zeros((1, 1)), np.zeros((1, 3)), np.zeros((1, 3)), scores)
    found, boxes, _ = looked_at(Sees(SMALL, cat=2.0), given, lambda _: given, taxonomy=known, second_look=True)
    assert [*boxes] == [0]
    np.testing.assert_allclose(found.scores, given.scores)
    found, boxes, _ = looked_at(Sees(SMALL, horse=3.0), given, taxonomy=known, second_look=True)
    assert not boxes, "a rabbit may be seen as anything: nothing speaks against it"
    parts = Sees(SMALL, cat=2.0)
    looked_at(parts, given, taxonomy=known, second_look=True, closer=False)
    assert not parts.photos, "the detector has nothing to say of a part"
    np.testing.assert_array_equal(found.scores, given.scores)


@given(arrays(float, 5, elements=st.floats(-50, 50)), arrays(float, 5, elements=st.floats(0, 20)))
def test_no_score_is_raised_and_pets_keep_theirs(scores, objections):
    found = lowered(scores, objections, pet_threshold=THRESHOLD)
    assert (found <= scores).all()
    assert (found[objections == 0] == scores[objections == 0]).all()
    refused = (objections > 0.1) & (found < THRESHOLD)
    assert (found[refused] < THRESHOLD - PET_SCORE_BAND).all(), "a sure breed is not heard against it"


class Doubting(ColorEngine):
    """Doubts that any photo shows a pet, after it did ``first``."""

    def __init__(self, first=lambda: None):
        super().__init__()
        self.first = first

    def __call__(self, pixels):
        self.first()
        return output(*[THRESHOLD + 1] * len(pixels))


def predictor_with(detector, engine=None, finder=None, **how):
    manifest = manifest_of(**how)
    look = SecondLook.of(manifest, detector)
    return Predictor(
        manifest, engine or Doubting(), second_look=look, finder=finder and PlainFinder(finder), model=MODEL
    )


@pytest.mark.parametrize(("animal", "source"), [("horse", "not_a_known_pet"), ("dog", "unknown")])
def test_a_predictor_says_so_in_its_prediction(animal, source):
    answer = predictor_with(Sees(**{animal: 3.0}))(np.zeros((20, 20, 3), np.uint8))
    assert answer.decision.source == source
    assert (answer.pet_score < THRESHOLD) == (source == "not_a_known_pet")


def test_the_detector_sees_each_photo_whole_and_its_own():
    """The network sees squares of 16 pixels."""
    shapes = []

    class Looking(Sees):
        def __call__(self, pixels):
            shapes.append((*pixels.shape[:2], int(pixels.max())))
            return super().__call__(pixels)

    photos = [np.full((20, 90, 3), 1, np.uint8), np.full((70, 20, 3), 2, np.uint8)]
    predictor_with(Looking(dog=3.0)).predict([photos[0], b"no photo", photos[1]])
    assert sorted(shapes) == [(20, 90, 1), (70, 20, 2)]  # two workers may look at the same time


def test_a_photo_that_is_gone_when_it_is_looked_at_again_is_answered_by_the_first_look(tmp_path):
    for name in ("gone", "there"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((20, 20, 3), np.uint8))
    engine = Doubting(lambda: (tmp_path / "gone.png").unlink(missing_ok=True))
    photos = [tmp_path / "gone.png", tmp_path / "there.png"]
    # As one batch: two workers could run the network on the other photo before this one is read.
    gone, there = predictor_with(Sees(dog=3.0), engine).stream(photos, batch_size=2)
    assert (gone.error, there.error) == (None, None)
    assert gone.second_look is None
    np.testing.assert_array_equal(gone.joint, there.joint)


class Closer(ColorEngine):
    """Is sure of a dog where all that it sees is bright."""

    def __call__(self, pixels):
        found = output(*[THRESHOLD] * len(pixels))
        bright = pixels.min(axis=(1, 2, 3)) > 127
        found.species[bright] = [0.0, 12.0]
        found.leaf[bright] = [0.0, 0.0, 12.0]
        found.scores[bright, 1:] = 1.0
        return found


def photo_of(*, bright):
    """A dog on a dark ground, alone or filling the picture."""
    photo = np.full((60, 60, 3), 255 if bright else 0, np.uint8)
    photo[15:45, 15:45] = 255
    return photo


def test_the_answer_of_a_photo_says_where_it_was_looked_at_again_and_does_not_depend_on_others():
    small, large = photo_of(bright=False), photo_of(bright=True)
    seen = Sees((0.32, 0.32, 0.68, 0.68), dog=3.0)
    predictor = predictor_with(seen, Closer(), second_look=True)
    alone = predictor(small)
    assert alone.species == "dog"
    assert alone.second_look.edges == pytest.approx((0.284, 0.284, 0.716, 0.716))
    assert alone.to_json()["second_look"]["left"] == pytest.approx(0.284)
    sure = predictor(large)
    assert sure.second_look is None
    assert sure.to_json()["second_look"] is None
    assert seen.photos == 1, "one that is sure at first is not looked at again"
    together = predictor.predict([large, small, large, small])
    assert [one.to_json() for one in together] == [one.to_json() for one in (sure, alone, sure, alone)]


def test_a_batch_holds_one_photo_at_a_time_that_is_looked_at_again():
    """Photos of other formats than JPEG are decoded whole, whatever their size."""
    alive, most = [], []

    class Holding(Sees):
        def __call__(self, pixels):
            alive.append(weakref.ref(pixels))
            most.append(sum(one() is not None for one in alive))
            return super().__call__(pixels)

    look = SecondLook.of(manifest_of(second_look=True), Holding(SMALL, dog=3.0))
    access = PhotoAccess(
        lambda _: np.zeros((40, 40, 3), np.uint8),
        lambda part: (part[:4, :4].copy(),),
        lambda _: closer(*[THRESHOLD] * 6),
    )
    _, parts, _ = look(output(*[THRESHOLD] * 6), access, rows=np.ones(6, bool))
    assert len(parts) == 6
    assert max(most) <= 2


def test_regions_are_parts_and_looked_at_once():
    seen = Sees((0.32, 0.32, 0.68, 0.68), dog=3.0)
    predictor = predictor_with(seen, Closer(), finder=find_halves, second_look=True)
    answer = predictor.predict(np.hstack([photo_of(bright=False)] * 2), regions=True)
    assert answer.second_look is not None
    assert len(answer.regions) == 2
    assert all(region.prediction.second_look is None for region in answer.regions)
    assert "second_look" not in answer.to_json()["regions"][0]


def test_numbers_that_are_none_in_a_second_look_fail_that_photo_alone():
    class Breaking(Closer):
        def __call__(self, pixels):
            found = super().__call__(pixels)
            found.leaf[pixels.min(axis=(1, 2, 3)) > 127] = np.nan
            return found

    predictor = predictor_with(Sees((0.32, 0.32, 0.68, 0.68), dog=3.0), Breaking(), second_look=True)
    dark = np.zeros((60, 60, 3), np.uint8)
    broken, fine = predictor.predict([photo_of(bright=False), dark])
    assert "NaN" in str(broken.error)
    assert fine.error is None


@pytest.mark.data
def test_most_horses_are_no_pets_to_the_released_model_and_few_pets_are_lost(data_dir):
    predictor = hierpets.load(recommend=False)
    horses = predictor.predict(sorted((data_dir / "horses").glob("*/*/*.jpg"))[::6])
    assert np.mean([answer.species is None for answer in horses]) > 0.8
    pets = predictor.predict(sorted((data_dir / "elsewhere").glob("*/*/*.jpg"))[::10])
    assert np.mean([answer.species is None for answer in pets]) < 0.05
