"""Tables with photos in a column: Parquet, and the folders that Hugging Face's ``Dataset.save_to_disk`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierpets.plugin import DataError, SourcePhoto
from hierpets.plugin.arrow import is_predictions, open_arrow
from hierpets.plugin.reading import is_file, list_files, open_file, partitions_of, require_pyarrow, split_of, suffix_of

COLUMNS = ("image", "photo", "bytes", "jpg")
CLASS_COLUMNS = ("species", "breed", "label", "split", "individual")
ROWS = 4096  # of the class columns that are read at a time


def table(source: str, column: str | None = None) -> Iterator[SourcePhoto]:
    """Yield the photos of a Parquet file, of those in a folder or matching a pattern, or of a saved data set.

    ``column`` names the column of photos: bytes, or Hugging Face's Image. By default, it is the column that the table
    declares as an Image, else ``image``, ``photo``, ``bytes`` or ``jpg``. The class is in the columns ``species`` and
    ``breed``, or in ``label`` as SPECIES/BREED (text or Hugging Face's ClassLabel), or in the names of partitions such
    as ``species=dog/breed=pug``. The split is in the column or partition ``split``, or the one that the name of the
    file begins with or its folder is called. Only the columns of classes are read, not the photos. A table that is
    damaged or has no photos is yielded as one photo with a problem; tables of predictions are skipped.

    :raises DataError: a saved data set is damaged.
    """
    for file in _saved(Path(source)) or list_files(source, ".parquet"):
        require_pyarrow()
        try:
            if not is_predictions(file):
                yield from _rows(file, column)
        except DataError as error:
            yield SourcePhoto(file, problem=str(error))
        except (OSError, ValueError) as error:
            problem = f"cannot be read as a table: {next(iter(str(error).splitlines()), '')}"
            yield SourcePhoto(file, problem=problem)


def _saved(folder: Path) -> list[str]:
    """Return the Arrow files, in order, of a saved ``Dataset`` or of each split of a ``DatasetDict``; none otherwise.

    :raises DataError: the JSON files that ``save_to_disk`` writes beside them are damaged.
    """
    try:
        return _arrow_files(folder)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{folder}: not as save_to_disk writes it ({reason}); save it again") from error


def _arrow_files(folder: Path) -> list[str]:
    if is_file(folder / "dataset_dict.json"):
        splits = json.loads((folder / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return [file for split in splits for file in _arrow_files(folder / split)]
    if not is_file(folder / "state.json") or not is_file(folder / "dataset_info.json"):
        return []
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return [str(folder / file["filename"]) for file in state["_data_files"]]


def _rows(file: str, column: str | None) -> Iterator[SourcePhoto]:
    import pyarrow.parquet as pq

    if suffix_of(file) != ".parquet":
        with require_pyarrow().memory_map(file) as mapped:  # so that the photos are not read
            yield from _photos(file, column, *_arrow(mapped))
        return
    with open_file(file) as opened, pq.ParquetFile(opened) as whole:
        schema, rows = whole.schema_arrow, whole.metadata.num_rows
        classes = [name for name in CLASS_COLUMNS if name in schema.names]
        batches = whole.iter_batches(ROWS, columns=classes) if classes else iter([[{}] * rows])
        yield from _photos(file, column, schema, batches)


def _arrow(opened: Any) -> tuple[Any, Iterator[Any]]:
    """The schema of an Arrow file and its batches, of the class columns alone."""
    table = open_arrow(opened).read_all()
    classes = [name for name in CLASS_COLUMNS if name in table.schema.names]
    return table.schema, iter(table.select(classes).to_batches() if classes else [[{}] * len(table)])


def _photos(file: str, column: str | None, schema: Any, batches: Iterator[Any]) -> Iterator[SourcePhoto]:
    features, above, row = _features(schema), {"split": split_of(file), **partitions_of(file)}, 0
    photos = _photo_column(column, schema, features)
    names = {name: features[name]["names"] for name in CLASS_COLUMNS if "names" in features.get(name, {})}
    for batch in batches:
        for fields in batch if isinstance(batch, list) else batch.to_pylist():
            classes = {name: _named(value, names.get(name)) for name, value in fields.items()}
            yield SourcePhoto.of(f"{file}:{photos}:{row}", {**above, **classes})
            row += 1


def _features(schema: Any) -> dict[str, Any]:
    """Return the feature type that Hugging Face's ``datasets`` declares for each column, if it wrote the table."""
    written = (schema.metadata or {}).get(b"huggingface")
    found: dict[str, Any] = json.loads(written).get("info", {}).get("features") or {} if written else {}
    return {name: feature if isinstance(feature, dict) else {} for name, feature in found.items()}


def _photo_column(given: str | None, schema: Any, features: dict[str, Any]) -> str:
    declared = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    wanted = [given] if given else [*declared, *COLUMNS]
    for name in wanted:
        if name in schema.names and _holds_bytes(schema.field(name).type):
            return name
    raise DataError(
        f"no column of photos; expected bytes, or Hugging Face's Image, in {' or '.join(wanted)}; "
        f"its columns are {', '.join(schema.names)}; keep a table without photos elsewhere"
    )


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else kind
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _named(value: Any, names: list[str] | None) -> Any:
    """Return the name of a ClassLabel's number; None for -1, Hugging Face's number for an unknown class."""
    if names is None or not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
