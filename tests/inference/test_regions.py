"""Several pets in one photo: each has an answer of its own, and no shampoo harms the other."""

import json

import cv2
import numpy as np
import pytest
from helpers.color_server import (
    COLORS,
    TAXONOMY,
    BassetEngine,
    ColorEngine,
    find_halves,
    make_predictor,
    plain,
    side_by_side,
    with_exif,
)
from helpers.policies import flat_policy

from hierpets.bundle.manifest import OODSpec
from hierpets.data.photos import Limits
from hierpets.errors import ConfigError
from hierpets.hierarchy.probabilities import species_probabilities
from hierpets.inference.engines.cascade import SecondLookResult
from hierpets.inference.loading import load
from hierpets.inference.record import PredictionRecord, csv_row, parquet_row, parquet_schema
from hierpets.inference.regions import answer_boxes
from hierpets.recommend.loading import load_catalog
from hierpets.regions.boxes import Box
from hierpets.regions.candidates import Finder
from hierpets.regions.files import FoundBox, read_boxes

LEFT, RIGHT = Box(left=0, top=0, width=0.5, height=1), Box(left=0.5, top=0, width=0.5, height=1)


@pytest.fixture(scope="module")
def predictor():
    return make_predictor(finder=find_halves)


def test_each_region_has_the_answer_for_its_own_pixels(predictor):
    answer = predictor.predict(side_by_side("siamese", "a dog"), regions=True)
    assert [region.box for region in answer.regions] == [LEFT, RIGHT]
    assert [region.box_score for region in answer.regions] == [4.0, 4.0]
    assert [region.prediction.species for region in answer.regions] == ["cat", "dog"]
    assert answer.record().regions == tuple(region.record() for region in answer.regions)
    alone = predictor.predict(side_by_side("siamese"))
    assert answer.regions[0].prediction.breed == alone.breed == "siamese"


def test_without_regions_nothing_is_looked_for(predictor):
    engine = ColorEngine()
    quiet = make_predictor(engine, finder=lambda *_: pytest.fail("looked for regions"))
    photo = side_by_side("siamese", "a dog")
    answer = quiet.predict(photo)
    assert answer.regions is None
    assert engine.batches == [1]
    both = predictor.predict(photo, regions=True)
    np.testing.assert_array_equal(both.joint, answer.joint)
    assert both.decision == answer.decision


def test_a_photo_without_animals_has_no_regions(predictor):
    assert predictor.predict(side_by_side("siamese"), regions=True).regions == ()


def test_one_animal_in_two_boxes_is_one_region():
    def halves_of_one(pixels):
        found = find_halves(pixels)
        return found._replace(mass=np.array([1.0, 2.0]), apart=np.zeros((2, 2), bool))

    predictor = make_predictor(finder=halves_of_one)
    (region,) = predictor.predict(side_by_side("siamese", "siamese"), regions=True).regions
    assert region.box == RIGHT
    assert len(predictor.predict(side_by_side("siamese", "a dog"), regions=True).regions) == 2


def test_a_model_that_cannot_find_animals_says_so_at_the_call():
    with pytest.raises(ConfigError, match="no pet score, by which animals are found"):
        make_predictor().stream(["a.jpg"], regions=True)


def toxic_to_cats(advice):
    return advice.product is not None and "cat" in load_catalog().hazards[advice.product]


def test_no_shampoo_is_toxic_to_the_animal_beside_it():
    """Alone, the dog gets what a cat must not touch."""
    predictor = make_predictor(BassetEngine(), finder=find_halves)
    alone = predictor.predict(side_by_side("a dog"), regions=True)
    dogs = predictor.predict(side_by_side("a dog", "a dog"), regions=True)
    both = predictor.predict(side_by_side("siamese", "a dog"), regions=True)
    assert toxic_to_cats(alone.recommendation)
    assert all(toxic_to_cats(region.prediction.recommendation) for region in dogs.regions)
    advices = [both.recommendation, *(region.prediction.recommendation for region in both.regions)]
    assert not any(toxic_to_cats(advice) for advice in advices)
    assert "a cat is in the photo too" in both.regions[1].prediction.recommendation.ruled_out[0].reason


def find_doubtful_cat(pixels):
    """On the left only a closer look sees something, and no breed is likely enough to show it."""
    return find_halves(pixels)._replace(finder=np.array([Finder.CLOSER_LOOK, Finder.PLACES]))


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}, {"alpha": 0.01}])
def test_no_shampoo_is_toxic_to_an_animal_that_was_found_and_is_not_shown(options):
    """A small cat beside a dog that fills the photo: no breed is sure, and the photo as a whole is a dog's."""

    class BreedlessCats(BassetEngine):
        def __call__(self, pixels):
            output = super().__call__(pixels)
            return output._replace(leaf=np.where(np.arange(6) < 2, 0, output.leaf).astype(np.float32))

    predictor = make_predictor(BreedlessCats(), finder=find_doubtful_cat)
    photo = side_by_side("siamese", "a dog", size=60)
    photo[:10, :60] = COLORS["a dog"]  # the greener half
    answer = predictor.predict(photo, regions=True, **options)
    (region,) = answer.regions
    assert (answer.species, region.box) == ("dog", RIGHT)
    assert toxic_to_cats(predictor.predict(photo, **options).recommendation), "without regions"
    assert not toxic_to_cats(answer.recommendation)
    assert not toxic_to_cats(region.prediction.recommendation)
    assert "a cat is in the photo too" in answer.recommendation.ruled_out[0].reason


@pytest.mark.parametrize("only", [["dog"], ["basset_hound"]])
def test_no_shampoo_is_toxic_to_an_animal_that_may_not_be_named(only):
    """Restricted to dogs, a cat shows no breed, as a part of an animal does; it is found all the same."""
    predictor = make_predictor(BassetEngine(), finder=find_halves)
    photo = side_by_side("siamese", "a dog")
    freely, restricted = (predictor.predict(photo, regions=True, only=names) for names in ([], only))
    assert [region.box for region in restricted.regions] == [region.box for region in freely.regions] == [LEFT, RIGHT]
    advices = [restricted.recommendation, *(region.prediction.recommendation for region in restricted.regions)]
    assert not any(toxic_to_cats(advice) for advice in advices)
    assert toxic_to_cats(predictor.predict(side_by_side("a dog"), regions=True, only=only).recommendation)


def test_no_shampoo_is_toxic_to_an_animal_that_may_be_a_horse_to_the_detector():
    """A cat that is refused for it is no region, and a cat all the same to what is recommended beside it."""

    class Scoring(BassetEngine):
        def __call__(self, pixels):
            output = super().__call__(pixels)
            return output._replace(scores=np.ones((len(pixels), 4), np.float32))

    def object_to_cats(output, photos, *, rows, closer):
        is_cat, scores = output.species.argmax(axis=1) == 0, output.scores.copy()
        scores[is_cat, 0] -= 10
        return SecondLookResult(
            output._replace(scores=scores), {}, dict.fromkeys(np.flatnonzero(is_cat).tolist(), 10.0)
        )

    fields = {"ood": OODSpec(classes=6, species=3), "policy": flat_policy(TAXONOMY.species, pet=0.0)}
    predictor = make_predictor(Scoring(), finder=find_halves, **fields)
    predictor.cascade.second_look = object_to_cats
    photo = side_by_side("siamese", "a dog")
    photo[:10, :60] = COLORS["a dog"]  # the greener half
    answer = predictor.predict(photo, regions=True)
    (region,) = answer.regions
    assert (answer.species, region.box) == ("dog", RIGHT)
    assert toxic_to_cats(predictor.predict(side_by_side("a dog"), regions=True).recommendation)
    assert not toxic_to_cats(answer.recommendation)
    assert not toxic_to_cats(region.prediction.recommendation)


def test_rules_are_asked_once_for_each_animal_and_the_photo():
    class Counting:
        name = where = "counting"
        asked = 0

        def call(self, case):
            self.asked += 1
            return []

    rule = Counting()
    predictor = make_predictor(finder=find_halves, rules=[rule])
    predictor.predict(side_by_side("siamese", "a dog"), regions=True)
    assert rule.asked == 3
    predictor.predict(side_by_side("siamese"), regions=True)
    assert rule.asked == 4


def test_no_shampoo_is_toxic_to_the_only_animal_in_a_box(around):
    """The photo as a whole is a dog's, and a cat sits in the box."""
    predictor = make_predictor(BassetEngine())
    wide = np.concatenate([side_by_side("siamese"), side_by_side("a dog", "a dog")], axis=1)
    answer = predictor.predict(wide, boxes=around((0.9, Box(left=0, top=0, width=1 / 3, height=1))))
    (region,) = answer.regions
    assert (answer.species, region.prediction.species) == ("dog", "cat")
    assert toxic_to_cats(predictor.predict(wide).recommendation)
    assert not toxic_to_cats(answer.recommendation)
    assert "a cat is in the photo too" in answer.recommendation.ruled_out[0].reason


@pytest.mark.parametrize("options", [{}, {"only": ["dog"]}])
def test_no_shampoo_is_toxic_to_an_animal_outside_of_the_boxes(around, options):
    """The photo as a whole is a cat's, whatever may be named, and a dog sits in the box."""
    predictor = make_predictor(BassetEngine())
    wide = np.concatenate([side_by_side("siamese", "siamese"), side_by_side("a dog")], axis=1)
    boxes = around((0.9, Box(left=2 / 3, top=0, width=1 / 3, height=1)))
    answer = predictor.predict(wide, boxes=boxes, **options)
    (region,) = answer.regions
    assert region.prediction.species == "dog"
    assert not toxic_to_cats(answer.recommendation)
    assert not toxic_to_cats(region.prediction.recommendation)


def test_no_shampoo_is_toxic_to_what_the_whole_photo_may_show_beside_the_boxes(around):
    """The photo as a whole is a dog's as is the box, and a little a cat's."""

    class UnsureEngine(BassetEngine):
        def __call__(self, pixels):
            return super().__call__(pixels)._replace(species=3 * ColorEngine.__call__(self, pixels).species)

    predictor = make_predictor(UnsureEngine())
    wide = np.concatenate([side_by_side("siamese")[:, :50], side_by_side("a dog")], axis=1)
    answer = predictor.predict(wide, boxes=around((0.9, Box(left=0.5, top=0, width=0.5, height=1))))
    (region,) = answer.regions
    assert (answer.species, region.prediction.species) == ("dog", "dog")
    assert toxic_to_cats(predictor.predict(side_by_side("a dog")).recommendation)
    assert not toxic_to_cats(answer.recommendation)
    assert not toxic_to_cats(region.prediction.recommendation)


def test_no_shampoo_is_toxic_to_what_a_photo_without_an_answer_may_show_beside_the_boxes(around):
    """A cat and a dog, of which the whole photo shows as much, so that it is no answer; a box has the dog alone."""
    predictor = make_predictor(BassetEngine())
    both = side_by_side("siamese", "a dog")
    answer = predictor.predict(both, boxes=around((0.9, RIGHT)), alpha=0.01)
    (region,) = answer.regions
    assert (answer.level, region.prediction.species) == ("unknown", "dog")
    assert not toxic_to_cats(region.prediction.recommendation)
    assert "a cat may be in the photo too" in region.prediction.recommendation.ruled_out[0].reason


def test_only_says_what_may_be_named_and_not_what_is_safe():
    predictor = make_predictor(BassetEngine(), finder=find_halves)
    dog = predictor.predict(side_by_side("a dog"), only=["dog"])
    cat = predictor.predict(side_by_side("siamese"), only=["dog"])
    assert toxic_to_cats(dog.recommendation)
    assert cat.species == "dog"
    assert not toxic_to_cats(cat.recommendation)
    assert "and it looks like a cat (>99%)" in cat.recommendation.ruled_out[0].reason
    both = predictor.predict(side_by_side("siamese", "a dog"), only=["dog"], regions=True)
    assert not any(toxic_to_cats(region.prediction.recommendation) for region in both.regions)


def test_only_does_not_vouch_for_what_looks_like_no_pet(around):
    """What was said to be a dog may be any animal then, and so may the one in the box beside a dog."""

    class ScoringEngine(BassetEngine):
        def __call__(self, pixels):
            scores = np.ones((len(pixels), 1 + len(TAXONOMY.species)), np.float32)
            scores[:, 0] = 1 - pixels[..., 2].mean(axis=(1, 2)) / 127.5  # the less blue, the more it is a pet
            return super().__call__(pixels)._replace(scores=scores)

    policy = flat_policy(TAXONOMY.species, 0.6, pet=0.0)
    predictor = make_predictor(ScoringEngine(), policy=policy, ood=OODSpec(classes=6, species=3))
    dog, cyan = side_by_side("a dog"), np.full((60, 60, 3), (20, 250, 250), np.uint8)
    sure, odd = predictor.predict([dog, cyan], only=["dog"])
    assert (sure.level, odd.level) == ("breed", "breed")
    assert species_probabilities(odd.unrestricted, TAXONOMY)[1] > 0.999
    assert toxic_to_cats(sure.recommendation)
    assert not toxic_to_cats(odd.recommendation)
    assert "this may be an animal that we do not know" in odd.recommendation.ruled_out[0].reason
    both = predictor.predict(np.concatenate([dog, cyan], axis=1), only=["dog"], boxes=around((0.9, LEFT), (0.8, RIGHT)))
    assert not any(toxic_to_cats(region.prediction.recommendation) for region in both.regions)
    found = make_predictor(ScoringEngine(), policy=policy, ood=OODSpec(classes=6, species=3), finder=find_halves)
    (dogs,) = found.predict(np.concatenate([dog, cyan], axis=1), only=["dog"], regions=True).regions
    assert dogs.box == LEFT, "what looks like no pet is no animal, whatever the caller says"


def test_records_hold_their_regions(predictor):
    answer = predictor.predict(side_by_side("siamese", "a dog"), regions=True)
    record = answer.to_json()
    assert PredictionRecord.model_validate_json(json.dumps(record)) == PredictionRecord.model_validate(record)
    first = record["regions"][0]
    assert first["box"] == {"left": 0.0, "top": 0.0, "width": 0.5, "height": 1.0}
    assert first["breed"]["label"] == "siamese"
    assert first["recommendation"]["reason"]
    assert "siamese; " in " ".join(map(str, csv_row(record)))
    alone = predictor.predict(side_by_side("siamese")).to_json()
    pa = pytest.importorskip("pyarrow")
    row, empty = pa.Table.from_pylist([parquet_row(record), parquet_row(alone)], parquet_schema()).to_pylist()
    assert row["regions"][1]["species"]["label"] == "dog"
    assert json.loads(row["regions"][0]["recommendation"]) == first["recommendation"]
    assert empty["regions"] is None


@pytest.fixture
def around(tmp_path):
    """A file of boxes around animals in the photo ``<array>``, each with a score."""

    def write(*found):
        detections = [
            {"category": "1", "conf": score, "bbox": [box.left, box.top, box.width, box.height]} for score, box in found
        ]
        content = {"images": [{"file": "<array>", "detections": detections}], "detection_categories": {"1": "animal"}}
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        return read_boxes(tmp_path / "boxes.json")

    return write


@pytest.fixture
def boxes(around):
    return around((0.8, RIGHT), (0.7, LEFT))


def test_boxes_of_a_file_are_answered_whatever_is_in_them(boxes):
    predictor = make_predictor()  # finds none itself
    answer = predictor.predict(side_by_side("siamese", "nothing"), boxes=boxes)
    assert [region.box for region in answer.regions] == [RIGHT, LEFT]
    assert [region.box_score for region in answer.regions] == [0.8, 0.7]
    assert [region.prediction.level for region in answer.regions] == ["unknown", "breed"]


def test_many_boxes_are_cut_out_a_few_at_a_time():
    """Each may be as large as the photo."""
    predictor, at_once = make_predictor(), []

    def predict(photos):
        at_once.append(len(photos))
        return predictor.predict(photos)

    boxes = [*[FoundBox(LEFT, 0.9)] * 40, FoundBox(RIGHT, 0.8)]
    regions = answer_boxes("a.jpg", side_by_side("siamese", "a dog"), boxes, predict)
    assert [region.box for region in regions] == [LEFT] * 40 + [RIGHT]
    assert [region.prediction.species for region in regions] == ["cat"] * 40 + ["dog"]
    assert max(at_once) <= 16


def test_a_photo_that_the_file_does_not_name_is_an_error_of_its_own(boxes, tmp_path):
    cv2.imwrite(str(tmp_path / "other.png"), side_by_side("siamese")[..., ::-1])
    first, second = make_predictor().predict([side_by_side("siamese", "a dog"), tmp_path / "other.png"], boxes=boxes)
    assert first.error is None
    assert "other.png: not among the 1 photos of" in str(second.error)


def test_boxes_of_a_photo_before_it_was_turned_are_refused(tmp_path):
    """It is stored 60 wide and 40 high, and the other way round once it is upright."""
    (tmp_path / "turned.jpg").write_bytes(with_exif(plain("siamese", (40, 60)), orientation=6))
    image = {"id": 1, "file_name": "turned.jpg"}
    annotations = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 20]}]
    for width, height, refused in ((60, 40, True), (40, 60, False)):
        content = {"images": [image | {"width": width, "height": height}], "annotations": annotations}
        (tmp_path / "boxes.json").write_text(json.dumps(content))
        answer = make_predictor().predict(tmp_path / "turned.jpg", boxes=read_boxes(tmp_path / "boxes.json"))
        assert ("EXIF turn" in str(answer.error)) == refused


def test_limits_hold_for_regions_too(predictor):
    (answer,) = predictor.stream([side_by_side("siamese", "a dog")], regions=True, limits=Limits(max_pixels=100))
    assert "above the limit" in str(answer.error)


def test_a_backbone_without_places_is_refused_before_the_first_photo_and_takes_boxes(tiny_run, boxes):
    predictor = load(tiny_run / "bundle", registry=tiny_run.parent / "registry.yaml")
    with pytest.raises(ConfigError, match=r"regions: .* not the mean over the places of a map, .*; give it boxes"):
        predictor.stream(["demo:cat/siamese/1"], regions=True)
    answer = predictor.predict(side_by_side("siamese", "a dog"), boxes=boxes)
    assert (answer.error, len(answer.regions)) == (None, 2)
