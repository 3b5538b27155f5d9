"""Read labeled photos: the demo set, a CSV, Oxford-IIIT Pet, whatever a reader knows, or folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hierpets.data.addresses import file_of, is_demo
from hierpets.data.labeled.folders import read_folders
from hierpets.data.labeled.sources import Found, read_records, read_source
from hierpets.data.labeled.tables import is_oxford, read_csv, read_oxford
from hierpets.data.labeled.unread import refuse_unread
from hierpets.data.records import PhotoIndex, index_of
from hierpets.errors import ConfigError, DataError
from hierpets.files import is_file, is_folder
from hierpets.plugin import SourcePhoto
from hierpets.plugin.reading import is_uri
from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import Taxonomy, class_order
from hierpets.text import join_words

__all__ = ["check_apart", "check_source", "read_index"]

_NAMED = 3


def read_index(
    source: str | os.PathLike[str],
    *,
    taxonomy: Taxonomy | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
) -> PhotoIndex:
    """Read the labeled photos of ``source``, in its order.

    ``source`` is ``"demo"`` (unless a file or folder has that name), a CSV file, a folder in the layout
    ``SPECIES/BREED/photo.jpg`` or of Oxford-IIIT Pet, or what a reader of ``registry`` knows. With ``taxonomy``, the
    labels are indices into it, and a label that it does not know is refused.

    :raises DataError: no photos there, or labels that cannot be used.
    :raises PluginError: a reader fails.
    """
    index = _read(os.fspath(source), load_registry(registry))
    return index if taxonomy is None else _mapped(index, taxonomy, source)


def check_apart(out: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Check that ``out`` does not lie among the photos of ``source``: the next reader would take its folder for a
    species, and its figures for photos. Hidden folders are fine, as they are not read.

    :raises ConfigError: it does.
    """
    folder, root = Path(out).resolve(), Path(source).resolve()
    if not is_folder(root) or is_oxford(root) or not folder.is_relative_to(root):
        return
    if not any(part.startswith(".") for part in folder.relative_to(root).parts):
        raise ConfigError(
            f"{out}: lies in the folder of photos, {source}, where it would be read as more of them; "
            "choose a folder beside it"
        )


def check_source(source: str, *, registry: Registry | str | os.PathLike[str] | None) -> None:
    """Check that :func:`read_index` has something to read, before a slow start. A source on another machine is not
    checked: it is requested once, when it is read.

    :raises DataError: there is no such folder or file, and no reader finds a photo.
    :raises RegistryError, PluginError: an invalid registry, or a reader that fails.
    """
    if is_demo(source) or is_uri(source) or is_folder(source) or is_file(source):
        return
    plugins = load_registry(registry)
    if read_source(source, plugins) is None:
        raise _nothing(source, plugins)


def _nothing(source: str, registry: Registry) -> DataError:
    return DataError(
        f"{source}: no such folder or file, or no photos in it; expected a folder SPECIES/BREED/photo.jpg, a CSV, "
        f"demo, or what a reader knows ({_readers(registry)})"
    )


def _readers(registry: Registry) -> str:
    return ", ".join(plugin.name for plugin in registry.of_kind("reader"))


def _read(source: str, registry: Registry) -> PhotoIndex:
    path = Path(source)
    if is_demo(source):
        from hierpets.data.demo import demo_index

        return demo_index()
    if path.suffix.lower() == ".csv" and path.is_file():
        return index_of(read_csv(path))
    if is_oxford(path):
        return index_of(read_oxford(path))
    if (found := read_source(source, registry)) is not None:
        photos = _whole(source, found) if found.is_builtin else found.photos
        return index_of(read_records(source, photos))
    if path.is_dir():
        records, leaves = read_folders(path)
        refuse_unread(source, "folders SPECIES/BREED", {record.path for record in records})
        return index_of(records, leaves)
    if path.is_file():
        raise DataError(f"{path}: expected a folder, a .csv file, or what a reader knows ({_readers(registry)})")
    raise _nothing(source, registry)


def _whole(source: str, found: Found) -> Iterator[SourcePhoto]:
    """Yield the photos of a reader; its own problems come first.

    :raises DataError: after the last photo, if the source holds more. That is reported before problems of labels,
        which may be due to it: in a folder of two forms, those of one may be invalid.
    """
    read, problems = set(), False
    for photo in found.photos:
        read.add(file_of(photo.path))
        problems |= photo.problem is not None
        yield photo
    if not problems:
        refuse_unread(source, found.reader, read)


def _mapped(index: PhotoIndex, taxonomy: Taxonomy, source: str | os.PathLike[str]) -> PhotoIndex:
    unknown = []
    for label in sorted({record.label for record in index.records}, key=class_order):
        try:
            taxonomy.leaf_index(*label)
        except DataError as error:
            unknown.append(str(error).partition(";")[0])  # without the list of all known ones
    if unknown:
        named = join_words(list(dict.fromkeys(unknown)), limit=_NAMED)  # an unknown species once, not for each breed
        raise DataError(f"{source}: labels unknown to the model: {named}; {_advice(index.taxonomy, taxonomy)}")
    return PhotoIndex(taxonomy, index.records)


def _advice(given: Taxonomy, known: Taxonomy) -> str:
    """Advise what to do about labels that a model does not know."""
    for species in given.species:
        if owner := known.owner(species):
            return f"{species} is a breed of {owner}: give the folder above, which has one for each species"
    return "remove these photos, or train a model on them"
