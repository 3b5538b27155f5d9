"""COCO's JSON, with one category for each photo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
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
    above. A photo with two categories, or that is not there, comes with that as its problem.

    :raises DataError: no COCO file, or none of its photos is there.
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
    chosen, problems = _one_class_each(annotations, classes)
    folder, split = _folder(file, images), split_of(str(file.with_name("annotations")))
    for image in images:
        number, path = image["id"], folder / image["file_name"]
        photo = SourcePhoto.of(str(path), {"split": split, **chosen.get(number, {})}, where=f"{file}: image {number}")
        problem = problems.get(number) if path.is_file() else f"no such file: {path}"
        yield photo if problem is None else replace(photo, problem=problem)


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
    annotations: list[dict[str, Any]], classes: dict[Any, dict[str, str]]
) -> tuple[dict[Any, dict[str, str]], dict[Any, str]]:
    """The class of each image by its id, and what is wrong with it. Several animals of one class are one class."""
    chosen: dict[Any, dict[str, str]] = {}
    problems: dict[Any, str] = {}
    for annotation in annotations:
        image, category = annotation["image_id"], annotation["category_id"]
        if category not in classes:
            problems[image] = f"no category has the id {category}"
            continue
        known = chosen.setdefault(image, classes[category])
        if known != classes[category]:
            both = " and ".join("/".join(found.values()) for found in (known, classes[category]))
            problems[image] = f"shows {both}; expected one class a photo: cut them out first"
    return chosen, problems


def _folder(file: Path, images: list[dict[str, Any]]) -> Path:
    """The folder that ``file_name`` is relative to: the one with the first photo that is there."""
    near = [file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"]
    if not images:
        raise DataError(f"{file}: lists no image")
    places = ((folder, image["file_name"]) for image in images for folder in near)
    found = next((folder for folder, name in places if (folder / name).is_file()), None)
    if found is None:
        name, folders = images[0]["file_name"], ", ".join(map(str, near))
        raise DataError(f"{file}: {name} is in none of {folders}; move the photos to one of them")
    return found
