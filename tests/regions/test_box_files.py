import json

import pytest

from hierpets.errors import DataError
from hierpets.regions.boxes import Box
from hierpets.regions.files import read_boxes

MEGADETECTOR = {
    "images": [
        {
            "file": "walk/two.jpg",
            "detections": [
                {"category": "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.3, 0.4]},
                {"category": "1", "conf": 0.1, "bbox": [0.5, 0.5, 0.1, 0.1]},
                {"category": "2", "conf": 0.99, "bbox": [0.6, 0.1, 0.3, 0.9]},
            ],
        },
        {"file": "walk/torn.jpg", "failure": "image access failure", "detections": None},
    ],
    "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
    "info": {"detector": "md_v5a.0.0.pt"},
}
COCO = {
    "images": [
        {"id": 7, "file_name": "two.jpg", "width": 400, "height": 200},
        {"id": 8, "file_name": "none.jpg", "width": 10, "height": 10},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [100, 50, 200, 100]},
        {"id": 2, "image_id": 7, "category_id": 4, "bbox": [0, 0, 10, 10]},
    ],
    "categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "person"}],
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "boxes.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_boxes_of_megadetector_are_its_animals(write):
    boxes = read_boxes(write(MEGADETECTOR))
    (found,) = boxes.of("walk/two.jpg", (400, 200))
    assert found.box.edges == pytest.approx((0.1, 0.2, 0.4, 0.6))
    assert found.score == 0.9
    with pytest.raises(DataError, match=r"walk/torn.jpg: .*: the detector failed with 'image access failure'; run"):
        boxes.of("walk/torn.jpg", (400, 200))


def test_boxes_of_coco_are_shares_of_its_pixels(write):
    boxes = read_boxes(write(COCO))
    (found,) = boxes.of("two.jpg", (400, 200))
    assert found.box == Box(left=0.25, top=0.25, width=0.5, height=0.5)
    assert found.score is None
    assert boxes.of("none.jpg", (10, 10)) == ()


@pytest.mark.parametrize("category", [" Person", "motorcycle", "Boat", "airplane", "train"])
def test_people_and_vehicles_are_no_animals(write, category):
    boxes = read_boxes(write(COCO | {"categories": [{"id": 3, "name": category}, {"id": 4, "name": category}]}))
    assert boxes.of("two.jpg", (400, 200)) == ()


def test_a_photo_is_found_by_the_end_of_its_path(write):
    boxes = read_boxes(write(MEGADETECTOR))
    assert len(boxes.of("/photos/walk/two.jpg", (400, 200))) == len(boxes.of("./walk/two.jpg", (400, 200))) == 1
    with pytest.raises(DataError, match=r"two.jpg: not among the 2 photos of .*, such as 'walk/two.jpg'; name it"):
        boxes.of("other/two.jpg", (400, 200))


@pytest.mark.parametrize("name", [r"walk\two.jpg", r"C:\photos\walk\two.jpg"])
def test_a_file_that_was_written_on_windows_names_photos_with_slashes(write, name):
    detections = [{"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1]}]
    boxes = read_boxes(write({"images": [{"file": name, "detections": detections}]}))
    if name.startswith("walk"):
        assert len(boxes.of("walk/two.jpg", (400, 200))) == 1
    else:
        with pytest.raises(DataError, match=r"such as 'C:/photos/walk/two.jpg'"):
            boxes.of("walk/two.jpg", (400, 200))


def test_boxes_of_a_photo_that_is_spelled_in_two_ways_are_all_there(write):
    one = {"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1]}
    boxes = read_boxes(
        write({"images": [{"file": "./a.jpg", "detections": [one]}, {"file": "a.jpg", "detections": []}]})
    )
    assert len(boxes.of("a.jpg", (400, 200))) == 1


def test_a_photo_is_found_by_its_absolute_path(write, tmp_path, monkeypatch):
    """MegaDetector writes absolute paths unless it is told not to."""
    detections = [{"category": "1", "conf": 0.9, "bbox": [0, 0, 1, 1]}]
    boxes = read_boxes(write({"images": [{"file": str(tmp_path / "walk" / "two.jpg"), "detections": detections}]}))
    (tmp_path / "walk").mkdir()
    for folder, photo in ((tmp_path, "walk/two.jpg"), (tmp_path / "walk", "two.jpg"), (tmp_path / "walk", "./two.jpg")):
        monkeypatch.chdir(folder)
        assert len(boxes.of(photo, (400, 200))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "expected boxes as JSON"),
        ("[]", "object with a list of images"),
        ({"images": [{"file": "a.jpg", "detections": [{"conf": 1, "bbox": [0, 0, 1]}]}]}, r"images\[0\].*bbox"),
        ({"images": [{"file": "a.jpg", "detections": [{"bbox": [1.5, 0, 1, 1]}]}]}, "a.jpg: expected a box"),
        (
            {"images": [{"file": "a.jpg", "detections": [{"conf": 95, "bbox": [0, 0, 1, 1]}]}]},
            "conf: expected at most 1, got 95",
        ),
        (COCO | {"images": []}, "annotation of image 7"),
        (
            COCO | {"images": [*COCO["images"], {"id": 7, "file_name": "cat.jpg", "width": 400, "height": 200}]},
            "image id 7 stands for 'two.jpg' and for 'cat.jpg'; give each an id of its own",
        ),
        (
            COCO | {"categories": [*COCO["categories"], {"id": 4, "name": "cat"}]},
            "category id 4 stands for 'person' and for 'cat'",
        ),
        ({"images": [{"id": 1, "file_name": "a", "width": 0, "height": 1}], "annotations": []}, "width"),
    ],
)
def test_what_are_no_boxes_is_said_in_a_line(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_boxes(write(content))
    assert "boxes.json" in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_boxes(tmp_path / "none.json")


@pytest.mark.parametrize("size", [(200, 400), (400, 210), (400, 100)])
def test_boxes_of_a_photo_of_another_shape_are_refused(write, size):
    boxes = read_boxes(write(COCO))
    assert len(boxes.of("two.jpg", (201, 100))) == 1, "made smaller"
    with pytest.raises(DataError, match=r"two.jpg: its boxes .* of a photo of 400x200 pixels, 2.00 times .* EXIF"):
        boxes.of("two.jpg", size)


@pytest.mark.parametrize("bbox", [[], [5, 5, 0, 2], [5, 5, 2, -1], [10, 0, 0.1, 10]])
def test_an_empty_box_is_an_error_of_its_photo_alone(write, bbox):
    empty = {"image_id": 8, "category_id": 3, "bbox": bbox}
    boxes = read_boxes(write(COCO | {"annotations": [*COCO["annotations"], empty]}))
    assert len(boxes.of("two.jpg", (400, 200))) == 1
    with pytest.raises(
        DataError, match=r"none.jpg: no boxes in .*: its box \[.*\] is empty, .*; draw it again or delete"
    ):
        boxes.of("none.jpg", (10, 10))
    empty["category_id"] = 4
    assert read_boxes(write(COCO | {"annotations": [empty]})).of("none.jpg", (10, 10)) == (), "a person's"


@pytest.mark.parametrize("bbox", [[0, 0, 300, 300], [-0.9, -0.9, 1, 1], [-1, 0, 1.5, 1], [0.9, 0, 0.2, 1]])
def test_boxes_that_leave_their_photo_are_refused(write, bbox):
    boxes = {"images": [{"file": "a.jpg", "detections": [{"category": "1", "conf": 1, "bbox": bbox}]}]}
    with pytest.raises(DataError, match=r"a.jpg: expected a box \[left, top, width, height\] that lies in the photo"):
        read_boxes(write(boxes))


def test_boxes_may_pass_the_edge_by_a_rounding(write):
    boxes = {"images": [{"file": "a.jpg", "detections": [{"category": "1", "conf": 1, "bbox": [-0.01, 0, 1.02, 1]}]}]}
    (found,) = read_boxes(write(boxes)).of("a.jpg", (400, 200))
    assert found.box.edges == (0, 0, 1, 1)
