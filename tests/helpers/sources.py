"""The same few labeled photos in every form that readers know, written by the libraries that others write them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from hierpets.data.photos import read_photo

LABELS = [("cat", "birman"), ("cat", "siamese"), ("dog", "pug"), ("rabbit", None)]
PHOTOS = 3  # of each label

Row = dict[str, Any]


def rows() -> list[Row]:
    """``name``, ``jpg`` and the fields of each photo; no two have the same pixels."""
    found = []
    for species, breed in LABELS:
        for n in range(PHOTOS):
            _, content = cv2.imencode(".jpg", read_photo(f"demo:{species}/{breed or '-'}/{n}")[..., ::-1])
            fields = {"species": species, "breed": breed, "label": f"{species}/{breed}" if breed else species}
            found.append({"name": f"{species}-{breed}-{n}", "jpg": content.tobytes(), **fields})
    return found


def write_folders(folder: Path, given: list[Row]) -> Path:
    for row in given:
        below = folder / row["species"] / (row["breed"] or "")
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{row['name']}.jpg").write_bytes(row["jpg"])
    return folder


def write_shards(folder: Path, given: list[Row]) -> Path:
    import webdataset

    folder.mkdir(parents=True)
    half = len(given) // 2
    for number, part in enumerate((given[:half], given[half:])):
        with webdataset.TarWriter(str(folder / f"pets-{number}.tar")) as writer:
            for row in part:
                fields = {key: row[key] for key in ("species", "breed") if row[key]}
                writer.write({"__key__": row["name"], "jpg": row["jpg"], "json": fields})
    return folder


def hugging_face(given: list[Row]) -> Any:
    import datasets

    names = sorted({row["label"] for row in given})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    images = [{"bytes": row["jpg"], "path": None} for row in given]
    return datasets.Dataset.from_dict({"image": images, "label": [row["label"] for row in given]}, features=features)


def write_hugging_face_parquet(folder: Path, given: list[Row]) -> Path:
    folder.mkdir(parents=True)
    hugging_face(given).to_parquet(str(folder / "pets.parquet"))
    return folder


def write_hugging_face_saved(folder: Path, given: list[Row]) -> Path:
    hugging_face(given).save_to_disk(str(folder), num_shards=2)
    return folder


def write_parquet(folder: Path, given: list[Row]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    columns = {name: [row[name] for row in given] for name in ("jpg", "species", "breed")}
    pq.write_table(pa.table(columns), folder / "pets.parquet", row_group_size=5)
    return folder / "pets.parquet"


def write_imagefolder(folder: Path, given: list[Row]) -> Path:
    folder.mkdir(parents=True)
    with (folder / "metadata.jsonl").open("w") as lines:
        for row in given:
            (folder / f"{row['name']}.jpg").write_bytes(row["jpg"])
            lines.write(json.dumps({"file_name": f"{row['name']}.jpg", "label": row["label"]}) + "\n")
    return folder


def write_coco(folder: Path, given: list[Row]) -> Path:
    labels = sorted({(row["species"], row["breed"]) for row in given}, key=str)
    categories = [
        {"id": n, "name": breed or species, "supercategory": species if breed else "none"}
        for n, (species, breed) in enumerate(labels)
    ]
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for n, row in enumerate(given):
        (folder / "images" / f"{row['name']}.jpg").write_bytes(row["jpg"])
        images.append({"id": n, "file_name": f"{row['name']}.jpg"})
        annotations.append({"id": n, "image_id": n, "category_id": labels.index((row["species"], row["breed"]))})
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "pets.json").write_text(json.dumps(content))
    return folder / "pets.json"


def write_csv(folder: Path, given: list[Row]) -> Path:
    folder.mkdir(parents=True)
    lines = ["path,species,breed"]
    for row in given:
        (folder / f"{row['name']}.jpg").write_bytes(row["jpg"])
        lines.append(f"{row['name']}.jpg,{row['species']},{row['breed'] or ''}")
    (folder / "pets.csv").write_text("\n".join(lines))
    return folder / "pets.csv"


FORMS: dict[str, Callable[[Path, list[Row]], Path]] = {
    "folders": write_folders,
    "csv": write_csv,
    "webdataset": write_shards,
    "hugging face parquet": write_hugging_face_parquet,
    "hugging face saved": write_hugging_face_saved,
    "parquet": write_parquet,
    "imagefolder": write_imagefolder,
    "coco": write_coco,
}
