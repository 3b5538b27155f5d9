"""What a detector takes for another animal is no pet, where the network doubts; and nothing else changes."""

import cv2
import numpy as np
import pytest
from helpers.color_server import MODEL, ColorEngine
from helpers.policies import flat_policy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import hierpets
from hierpets.bundle.manifest import BackboneSpec, Manifest, OODSpec
from hierpets.inference.detector.network import ANIMALS, Detections
from hierpets.inference.detector.opinion import DOUBT, SecondOpinion, lowered
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor
from hierpets.plugin import Preprocess
from hierpets.taxonomy import Taxonomy

LEAST = -6.0
PETS = Taxonomy(tree={"cat": ("siamese", "bengal"), "dog": ("pug",)})


def manifest_of(taxonomy=PETS, pet=LEAST):
    return Manifest(
        taxonomy=taxonomy,
        preprocess=Preprocess(size=16, crop=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        backbone=BackboneSpec(name="color", feature_dim=1),
        policy=flat_policy(taxonomy.species, pet=pet),
        ood=OODSpec(classes=3, species=len(taxonomy.species), pretrained_classes=0, pretrained_features=0),
    )


class Sees:
    """A detector that sees these animals, each with its logit, and counts its photos."""

    def __init__(self, **logits):
        self.photos = 0
        self.logits = np.full((3, len(ANIMALS)), -4.0)
        for name, logit in logits.items():
            self.logits[1, ANIMALS.index(name)] = logit

    def __call__(self, pixels):
        self.photos += 1
        return Detections(np.zeros((3, 4)), self.logits)


def output(*pet, listed=0.5):
    """Output for photos of these pet scores, of which no leaf is likely."""
    n = len(pet)
    scores = np.full((n, 3), listed, np.float32)
    scores[:, 0] = pet
    return RawOutput(np.zeros((n, 1)), np.zeros((n, 2)), np.zeros((n, 3)), scores)


def heard(detector, given, **how):
    opinion = SecondOpinion.of(manifest_of(**how), detector)
    return opinion(given, lambda _: np.zeros((16, 16, 3), np.uint8))


def test_a_doubtful_photo_of_a_horse_is_no_pet():
    found = heard(Sees(horse=2.0, dog=1.0), output(LEAST + 1))
    assert found.scores[0, 0] < LEAST


def test_a_doubtful_photo_of_a_dog_stays_one_to_the_bit():
    given = output(LEAST + 1)
    found = heard(Sees(horse=1.0, dog=2.0), given)
    np.testing.assert_array_equal(found.scores, given.scores)


def test_the_detector_is_asked_about_doubtful_photos_alone_and_changes_no_others():
    detector, given = Sees(horse=3.0), output(LEAST - 1, LEAST + 1, LEAST + DOUBT + 1)
    found = heard(detector, given)
    assert detector.photos == 1
    np.testing.assert_array_equal(found.scores[[0, 2]], given.scores[[0, 2]])
    np.testing.assert_array_equal(found.scores[:, 1:], given.scores[:, 1:])
    assert given.scores[1, 0] == LEAST + 1, "what was given is as it was"


def test_a_photo_whose_breed_is_sure_is_not_asked_about():
    detector, sure = Sees(horse=3.0), output(LEAST + 1, listed=1.0)
    sure.species[0], sure.leaf[0] = [0.0, 20.0], [0.0, 0.0, 20.0]
    assert heard(detector, sure).scores[0, 0] == LEAST + 1
    assert detector.photos == 0


def test_a_model_that_knows_horses_takes_none_for_something_else():
    known = Taxonomy(tree={**PETS.tree, "horse": ()})
    scores = np.array([[LEAST + 1, 0.5, 0.5, 0.5]], np.float32)
    given = RawOutput(np.zeros((1, 1)), np.zeros((1, 3)), np.zeros((1, 4)), scores)
    assert heard(Sees(horse=3.0), given, taxonomy=known).scores[0, 0] == LEAST + 1
    assert heard(Sees(zebra=3.0), given, taxonomy=known).scores[0, 0] < LEAST


@pytest.mark.parametrize(
    "how",
    [
        {"pet": None},
        {"taxonomy": Taxonomy(tree={"cat": (), "rabbit": ()})},
        {"taxonomy": Taxonomy(tree={"dog": (), "horse": (), "zebra": ()})},
    ],
)
def test_there_is_no_second_opinion_where_it_could_not_tell(how):
    """Without a pet score, with a species that the detector does not know, or with all that count against a pet."""
    assert SecondOpinion.of(manifest_of(**how), Sees()) is None


@given(arrays(float, 5, elements=st.floats(-50, 50)), arrays(float, 5, elements=st.floats(-20, 20)))
def test_no_score_is_raised_and_pets_keep_theirs(scores, leads):
    found = lowered(scores, leads)
    assert (found <= scores).all()
    assert (found[leads >= 0] == scores[leads >= 0]).all()
    assert (found[leads < -0.1] < scores[leads < -0.1]).all()


class Doubting(ColorEngine):
    """Doubts that any photo shows a pet, after it did ``first``."""

    def __init__(self, first=lambda: None):
        super().__init__()
        self.first = first

    def __call__(self, images):
        self.first()
        return output(*[LEAST + 1] * len(images))


def predictor_with(detector, engine=None):
    manifest = manifest_of()
    opinion = SecondOpinion.of(manifest, detector)
    return Predictor(manifest, engine or Doubting(), second_opinion=opinion, model=MODEL)


@pytest.mark.parametrize(("animal", "source"), [("horse", "not_a_known_pet"), ("dog", "unknown")])
def test_a_predictor_says_so_in_its_prediction(animal, source):
    answer = predictor_with(Sees(**{animal: 3.0}))(np.zeros((20, 20, 3), np.uint8))
    assert answer.decision.source == source
    assert (answer.pet_score < LEAST) == (source == "not_a_known_pet")


def test_the_detector_sees_each_photo_whole_and_its_own():
    """The network sees squares of 16 pixels."""
    shapes = []

    class Looking(Sees):
        def __call__(self, pixels):
            shapes.append((*pixels.shape[:2], int(pixels.max())))
            return super().__call__(pixels)

    photos = [np.full((20, 90, 3), 1, np.uint8), np.full((70, 20, 3), 2, np.uint8)]
    predictor_with(Looking(dog=3.0)).predict([photos[0], b"no photo", photos[1]])
    assert shapes == [(20, 90, 1), (70, 20, 2)]


def test_a_photo_that_is_gone_when_it_is_looked_at_again_has_an_error_of_its_own(tmp_path):
    for name in ("gone", "there"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((20, 20, 3), np.uint8))
    engine = Doubting(lambda: (tmp_path / "gone.png").unlink(missing_ok=True))
    gone, there = predictor_with(Sees(dog=3.0), engine).predict([tmp_path / "gone.png", tmp_path / "there.png"])
    assert "gone.png" in str(gone.error)
    assert there.error is None


@pytest.mark.data
def test_most_horses_are_no_pets_to_the_released_model_and_few_pets_are_lost(data_dir):
    predictor = hierpets.load(recommend=False)
    horses = predictor.predict(sorted((data_dir / "horses").glob("*/*/*.jpg"))[::6])
    assert np.mean([answer.species is None for answer in horses]) > 0.8
    pets = predictor.predict(sorted((data_dir / "elsewhere").glob("*/*/*.jpg"))[::10])
    assert np.mean([answer.species is None for answer in pets]) < 0.05
