"""Read labeled photos from wherever they are: folders, a CSV, the Oxford-IIIT Pet layout, or the demo set."""

from __future__ import annotations

import os
from pathlib import Path

from hierpets.data.folders import read_folders
from hierpets.data.records import SPLITS, PhotoIndex, PhotoRecord, index_of
from hierpets.data.split import check_trainable, split_index
from hierpets.data.tables import is_oxford, read_csv, read_oxford
from hierpets.errors import DataError
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.text import join_words

__all__ = [
    "DEMO",
    "SPLITS",
    "PhotoIndex",
    "PhotoRecord",
    "check_trainable",
    "read_index",
    "split_index",
]

DEMO = "demo"
_NAMED = 3


def read_index(source: str | os.PathLike[str], *, taxonomy: Taxonomy | None = None) -> PhotoIndex:
    """The labeled photos of ``source``, in sorted order.

    ``source`` is ``"demo"`` (unless a file or folder has that name), a CSV file, or a folder in the layout
    ``SPECIES/BREED/photo.jpg`` or of Oxford-IIIT Pet. With ``taxonomy``, the labels take its columns, and a label
    that it does not know is refused.
    """
    path = Path(source)
    if str(source) == DEMO and not path.exists():
        from hierpets.data.demo import demo_index

        index = demo_index()
    elif path.is_dir():
        index = index_of(read_oxford(path)) if is_oxford(path) else index_of(*read_folders(path))
    elif path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{path}: expected a folder or a .csv file")
        index = index_of(read_csv(path))
    else:
        raise DataError(f"{path}: no such folder or file; expected a folder SPECIES/BREED/photo.jpg, a CSV, or demo")
    return index if taxonomy is None else _mapped(index, taxonomy, source)


def _mapped(index: PhotoIndex, taxonomy: Taxonomy, source: str | os.PathLike[str]) -> PhotoIndex:
    unknown = []
    for label in sorted({record.label for record in index.records}, key=_order):
        try:
            taxonomy.leaf_index(*label)
        except DataError as error:
            unknown.append(str(error).partition(";")[0])  # without the list of all that is known
    if unknown:
        named = join_words(list(dict.fromkeys(unknown)), most=_NAMED)  # a species is unknown once, not once a breed
        raise DataError(
            f"{source}: labels unknown to the model: {named}; remove these photos, or train a model on them"
        )
    return PhotoIndex(taxonomy, index.records)


def _order(label: Leaf) -> tuple[str, str]:
    return label.species, label.breed or ""
