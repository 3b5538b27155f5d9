"""Photos listed in COCO's JSON format, with one category for each photo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.reading import is_file, is_folder, split_of

ROBOFLOW = "_annotations.coco.json"
NO_SPECIES = ("", "none", "animal", "pet", "object")  # what tools write for a category without a supercategory


def coco(source: str) -> Iterator[SourcePhoto]:
    """Yield the photos of a COCO file, or of the ``_annotations.coco.json`` in a folder or in its subfolders, such as
    train, valid and test.

    The class is the category as breed and its supercategory as species; or a category called SPECIES/BREED; or, without
    a supercategory, a category that is a species. The photos are in the file's folder, its parent, or a folder
    ``images`` in one of them. A photo with two categories, or that does not exist, is yielded with that as its problem.

    :raises DataError: a file is not in COCO's format, or none of its photos exists.
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
    """Return images, annotations and categories, which have all the keys that are used.

    :raises DataError: the file is not in COCO's format.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        images, annotations, categories = (content[key] for key in ("images", "annotations", "categories"))
        valid = (
            all(_is_id(image["id"]) and isinstance(image["file_name"], str) for image in images)
            and all(_is_id(note["image_id"]) and _is_id(note["category_id"]) for note in annotations)
            and all(_is_id(category["id"]) and category["name"] is not None for category in categories)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        valid = False
    if not valid:
        raise DataError(f"{file}: expected COCO's JSON: images, annotations with a category_id, and categories")
    return images, annotations, categories


def _is_id(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _class(category: dict[str, Any]) -> dict[str, str]:
    name, parent = str(category["name"]), str(category.get("supercategory") or "")
    if "/" in name or parent.lower() in NO_SPECIES or parent == name:
        return {"label": name}
    return {"species": parent, "breed": name}


def _one_class_each(
    annotations: list[dict[str, Any]], classes: dict[Any, dict[str, str]]
) -> tuple[dict[Any, dict[str, str]], dict[Any, str]]:
    """Return the class of each image and its problem, if any, by image id. Several animals of one class are fine."""
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
    """Return the folder that every ``file_name`` is relative to: the one with the first photo that exists.

    :raises DataError: no photo exists in any of the possible folders.
    """
    near = [file.parent, file.parent / "images", file.parent.parent, file.parent.parent / "images"]
    if not images:
        raise DataError(f"{file}: lists no image")
    places = ((folder, image["file_name"]) for image in images for folder in near)
    found = next((folder for folder, name in places if (folder / name).is_file()), None)
    if found is None:
        name, folders = images[0]["file_name"], ", ".join(map(str, near))
        raise DataError(f"{file}: {name} is in none of {folders}; move the photos to one of them")
    return found
