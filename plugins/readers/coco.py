"""COCO's JSON, with one category for each photo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import is_file, is_folder, split_of

ROBOFLOW = "_annotations.coco.json"
NO_SPECIES = ("", "none", "animal", "pet", "object")  # what tools write where a category has no supercategory


def coco(source: str) -> Iterator[SourcePhoto]:
    """The photos of a COCO file, or of the ``_annotations.coco.json`` in a folder or in its folders train, valid, test.

    A category is a breed and its supercategory the species; or the category is called SPECIES/BREED; or, without a
    supercategory, it is a species. The photos lie beside the file, in its folder ``images``, or in those of the folder
    above.

    :raises DataError: no COCO file, a photo with two categories, or photos that are not there.
    """
    for file in _files(Path(source)):
        yield from _photos(file)


def _files(source: Path) -> list[Path]:
    if source.suffix.lower() == ".json" and is_file(source):
        return [source]
    return sorted([*source.glob(ROBOFLOW), *source.glob(f"*/{ROBOFLOW}")]) if is_folder(source) else []


def _photos(file: Path) -> Iterator[SourcePhoto]:
    images, annotations, categories = _read(file)
    classes = {category["id"]: _class(category) for category in categories}
    chosen = _one_class_each(file, annotations, classes)
    folder, split = _folder(file, images), split_of(str(file.with_name("annotations")))
    for image in images:
        where = f"{file}: image {image['id']}"
        photo = folder / image["file_name"]
        if not photo.is_file():
            raise DataError(f"{where}: no such file: {photo}")
        yield SourcePhoto.of(str(photo), {"split": split, **chosen.get(image["id"], {})}, where=where)


def _read(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Images, annotations and categories, with the keys that are used."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        images, annotations, categories = (content[key] for key in ("images", "annotations", "categories"))
        whole = (
            all(_is_id(image["id"]) and isinstance(image["file_name"], str) for image in images)
            and all(_is_id(note["image_id"]) and _is_id(note["category_id"]) for note in annotations)
            and all(_is_id(category["id"]) and category["name"] is not None for category in categories)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise DataError(f"{file}: expected COCO's JSON: images, annotations with a category_id, and categories")
    return images, annotations, categories


def _is_id(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _class(category: dict[str, Any]) -> dict[str, str]:
    name, above = str(category["name"]), str(category.get("supercategory") or "")
    if "/" in name or above.lower() in NO_SPECIES or above == name:
        return {"label": name}
    return {"species": above, "breed": name}


def _one_class_each(
    file: Path, annotations: list[dict[str, Any]], classes: dict[Any, dict[str, str]]
) -> dict[Any, dict[str, str]]:
    """The class of each image by its id. Several animals of one class are one class."""
    chosen: dict[Any, dict[str, str]] = {}
    for annotation in annotations:
        image, category = annotation["image_id"], annotation["category_id"]
        if category not in classes:
            raise DataError(f"{file}: image {image}: no category has the id {category}")
        known = chosen.setdefault(image, classes[category])
        if known != classes[category]:
            both = " and ".join("/".join(found.values()) for found in (known, classes[category]))
            raise DataError(f"{file}: image {image} shows {both}; expected one class a photo: cut them out first")
    return chosen


def _folder(file: Path, images: list[dict[str, Any]]) -> Path:
    """The folder that ``file_name`` is relative to: the one with the first photo."""
    near = [file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"]
    if not images:
        raise DataError(f"{file}: lists no image")
    name = images[0]["file_name"]
    found = next((folder for folder in near if (folder / name).is_file()), None)
    if found is None:
        raise DataError(f"{file}: {name} is in none of {', '.join(map(str, near))}; move the photos to one of them")
    return found
