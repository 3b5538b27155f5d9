"""Read boxes that another program found, from JSON of MegaDetector or COCO."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from hierpets.errors import DataError, reason_of, shown
from hierpets.regions.boxes import Box
from hierpets.validation.arguments import checked
from hierpets.validation.problems import problem_lines

__all__ = ["BoxFile", "FoundBox", "read_boxes"]

MIN_SCORE = 0.2  # the threshold that MegaDetector recommends for its version 5
ROUNDING = 0.02  # share of the photo by which a box may reach beyond its edge
OTHER_SHAPE = 0.02  # relative difference allowed between aspect ratios of photo and file, as sizes are rounded
PEOPLE = frozenset({"person", "people", "human"})
VEHICLES = frozenset(
    {"vehicle", "car", "truck", "bus", "bicycle", "motorcycle", "motorbike", "train", "boat", "airplane", "aeroplane"}
)
OTHERS = PEOPLE | VEHICLES
"""Categories of general-purpose detectors that are no animals."""


def _four_or_none(corners: tuple[float, ...]) -> tuple[float, ...]:
    if len(corners) not in (0, 4):
        raise ValueError(f"expected [left, top, width, height], got {len(corners)} numbers")
    return corners


Corners = Annotated[tuple[float, ...], AfterValidator(_four_or_none)]


Size = tuple[float, float]
"""Width and height."""


class FoundBox(NamedTuple):
    """A box, and its confidence from 0 to 1, if known."""

    box: Box
    score: float | None = None


class BoxFile:
    """The boxes of photos, from a file.

    ``boxes`` maps the path of a photo in the file to its boxes, or to why it has none. ``sizes`` are the sizes of the
    labeled photos, if the file has them. ``sha256`` is the digest of the file.
    """

    def __init__(
        self,
        path: Path,
        boxes: Mapping[str, Sequence[FoundBox] | str],
        sizes: Mapping[str, Iterable[Size]],
        sha256: str,
    ):
        self.path, self.sha256 = path, sha256
        self._boxes, self._sizes = dict(boxes), dict(sizes)

    def of(self, photo: str, size: tuple[float, float]) -> tuple[FoundBox, ...]:
        """The boxes of a photo, found by its path as given, or by the longest trailing part of its absolute path that
        is in the file. ``size`` is the width and height of the upright photo, which may have been scaled down.

        :raises DataError: the file does not list the photo, says that it could not be read, has an empty box for it, or
            boxes for a photo of another aspect ratio.
        """
        whole = os.path.abspath(photo)  # noqa: PTH100  like MegaDetector, without resolving links
        paths = (PurePath(photo).as_posix(), *_ends(whole))
        name = next((path for path in paths if path in self._boxes), None)
        if name is None:
            example = next((f", such as {shown(name)}" for name in self._boxes), "")
            raise DataError(
                f"{photo}: not among the {len(self._boxes)} photos of {self.path}{example}; name it there by the "
                "end of its path, or leave --boxes out to let hierpets find the animals"
            )
        found = self._boxes[name]
        if isinstance(found, str):
            raise DataError(f"{photo}: no boxes in {self.path}: {found}")
        for labeled in self._sizes.get(name, ()):
            if abs(_shape(labeled) / _shape(size) - 1) > OTHER_SHAPE:
                raise DataError(
                    f"{photo}: its boxes in {self.path} are of a photo of {labeled[0]:g}x{labeled[1]:g} pixels, "
                    f"{_shape(labeled):.2f} times as wide as high; upright, this one is {_shape(size):.2f} times: was "
                    "it labeled without its EXIF turn?"
                )
        return tuple(found)


def _shape(size: Size) -> float:
    """The aspect ratio, width over height."""
    return size[0] / size[1]


def _ends(path: str) -> Iterator[str]:
    """The path, the path without its first folder, without its first two, and so on."""
    parts = PurePath(path).parts
    return (PurePath(*parts[start:]).as_posix() for start in range(len(parts)))


Score = Annotated[float, Field(ge=0, le=1)]


class _Detection(BaseModel):
    category: str | int = ""
    conf: Score = 1.0
    bbox: Corners


class _DetectedPhoto(BaseModel):
    file: str
    detections: list[_Detection] | None = None
    failure: str | None = None  # why MegaDetector could not read the photo


class _MegaDetector(BaseModel):
    images: list[_DetectedPhoto]
    detection_categories: dict[str, str] = {}


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: Annotated[float, Field(gt=0)]
    height: Annotated[float, Field(gt=0)]


class _Annotation(BaseModel):
    image_id: int | str
    category_id: int | str = ""
    score: Score | None = None
    bbox: Corners


class _Category(BaseModel):
    id: int | str
    name: str


class _Coco(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] = []


@checked
def read_boxes(path: str | os.PathLike[str]) -> BoxFile:
    """Read boxes from a JSON file of MegaDetector (boxes as shares of the photo) or COCO (boxes in pixels).

    Boxes of people and vehicles, and those with a score below 0.2, are skipped. An empty box, which may have been meant
    for any animal, is an error of its photo alone.

    :raises DataError: the file cannot be read, or has neither format; a box lies outside of its photo; an id of COCO
        stands for two photos or two categories.
    """
    path = Path(path)
    text = _load(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected boxes as JSON, of MegaDetector or COCO: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path}: expected boxes as MegaDetector's JSON or COCO's: an object with a list of images")
    model = _Coco if "annotations" in content else _MegaDetector
    try:
        parsed = model.model_validate(content)
    except ValidationError as error:
        raise DataError("\n".join(problem_lines(error, model, path)[:5])) from error
    boxes: dict[str, list[FoundBox]] = {}
    without: dict[str, str] = {}
    for name, found in _of_coco(path, parsed) if isinstance(parsed, _Coco) else _of_megadetector(path, parsed):
        if isinstance(found, str):
            without[_normal(name)] = found
        else:
            boxes.setdefault(_normal(name), []).extend(found)
    sizes: dict[str, set[Size]] = {}
    for image in parsed.images if isinstance(parsed, _Coco) else ():
        sizes.setdefault(_normal(image.file_name), set()).add((image.width, image.height))
    return BoxFile(path, {**boxes, **without}, sizes, hashlib.sha256(text).hexdigest())


def _normal(name: str) -> str:
    """The path of a photo in POSIX form, also if it was written on Windows."""
    is_windows = "\\" in name and "/" not in name
    return (PureWindowsPath if is_windows else PurePath)(name).as_posix()


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


def _of_megadetector(path: Path, content: _MegaDetector) -> Iterator[tuple[str, list[FoundBox] | str]]:
    for image in content.images:
        if image.failure:
            yield image.file, f"the detector failed with {image.failure!r}; run it on this photo again"
        animals = (
            found
            for found in image.detections or ()
            if _is_animal(content.detection_categories.get(str(found.category), "")) and found.conf >= MIN_SCORE
        )
        yield image.file, []
        for found in animals:
            yield image.file, _found(path, image.file, found.bbox, (1.0, 1.0), found.conf)


def _of_coco(path: Path, content: _Coco) -> Iterator[tuple[str, list[FoundBox] | str]]:
    _check_ids(path, "image", ((image.id, image.file_name) for image in content.images))
    _check_ids(path, "category", ((category.id, category.name) for category in content.categories))
    names = {category.id: category.name for category in content.categories}
    images = {image.id: image for image in content.images}
    yield from ((image.file_name, []) for image in content.images)
    for one in content.annotations:
        image = images.get(one.image_id)
        if image is None:
            raise DataError(f"{path}: an annotation of image {one.image_id!r}, which is not among the images")
        if _is_animal(names.get(one.category_id, "")) and (one.score is None or one.score >= MIN_SCORE):
            size = image.width, image.height
            yield image.file_name, _found(path, image.file_name, one.bbox, size, one.score)


def _check_ids(path: Path, kind: str, named: Iterable[tuple[int | str, str]]) -> None:
    """Check that ids are unique: in files that were merged without new ids, boxes would go to another photo or
    category.

    :raises DataError: an id has two names.
    """
    names: dict[int | str, str] = {}
    for number, name in named:
        if names.setdefault(number, name) != name:
            raise DataError(
                f"{path}: {kind} id {number!r} stands for {names[number]!r} and for {name!r}; give each an id of its "
                "own, there and in the annotations"
            )


def _is_animal(category: str) -> bool:
    return category.strip().lower() not in OTHERS


def _found(path: Path, name: str, corners: Sequence[float], size: Size, score: float | None) -> list[FoundBox] | str:
    """A list with the box, or why its photo has none.

    :raises DataError: the box lies outside of the photo.
    """
    empty = f"its box {list(corners)} is empty, and any animal may be there; draw it again or delete it"
    if not corners:
        return empty
    left, top, width, height = (value / size[i % 2] for i, value in enumerate(corners))
    if max(-left, -top, left + width - 1, top + height - 1) > ROUNDING:
        raise DataError(
            f"{path}: {name}: expected a box [left, top, width, height] that lies in the photo, got {list(corners)}: "
            "pixels, or of another photo"
        )
    try:
        return [FoundBox(Box.between(left, top, left + width, top + height), score)]
    except ValueError:
        return empty
