"""Checks for the tests of a plugin's author: each calls the plugin as hierpets does, with all that it may be given.

>>> from hierpets.plugin.testing import check_sampler
>>> def test_root():
...     check_sampler(root, power=0.5)

A check passes silently, or raises an AssertionError of one line: which function, in which situation, what was expected.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hierpets.errors import DataError, ImageError
from hierpets.plugin import Backbone, Case, Labels
from hierpets.plugin.contracts import ContractError, check_result, extract_features, noise_photos
from hierpets.plugin.kinds import Kind
from hierpets.plugin.options import Options
from hierpets.plugin.reading import is_uri, suffix_of
from hierpets.plugin.samples import sample_cases, sample_events, sample_labels
from hierpets.validation.problems import one_line

__all__ = ["check_backbone", "check_reader", "check_sampler", "check_shampoo_rule", "check_tracker"]

Function = Callable[..., Any]


def check_backbone(function: Function, /, **options: Any) -> None:
    """Build the backbone and pass photos of noise through it: shape, type and finite values; features that depend on
    the photo and on nothing else; built again, with ``pretrained=False`` where it can be, it is the same network with
    the same weights; OpenVINO computes the same features.

    Where weights would be downloaded, give ``pretrained=False``.

    :raises AssertionError: something of this does not hold.
    """
    backbone = _call("backbone", function, (), options, "when it is built")
    with _situation(function, "when it is given photos"):
        _check_features(backbone)
    bare = {"pretrained": False} if "pretrained" in Options(function, "backbone").names else {}
    situation = "with pretrained=False" if bare else "when it is built again"
    again = _call("backbone", function, (), {**options, **bare}, situation)
    with _situation(function, situation):
        _check_same_network(backbone, again)
    with _situation(function, "when it is converted for OpenVINO"):
        _check_conversion(backbone)


def check_sampler(function: Function, /, *labels: Labels, **options: Any) -> None:
    """Weigh balanced and unbalanced photos, photos of unknown breed, of one class, several of one individual, and a
    single one, then ``labels``.

    :raises AssertionError: not one positive, finite weight a photo, other weights at a second call, or labels changed.
    """
    given = {f"for labels {index}": one for index, one in enumerate(labels)}
    for situation, one in {**sample_labels(), **given}.items():
        first, second = (_call("sampler", function, (one,), options, situation) for _ in range(2))
        with _situation(function, situation):
            _expect(np.array_equal(first, second), "the same weights each time")


def check_shampoo_rule(function: Function, /, *cases: Case, **options: Any) -> None:
    """Ask the rule about pets of a certain, an uncertain and no known breed, of several species, with some products and
    with none, then about ``cases``.

    :raises AssertionError: no iterable of valid Advice, or other advice at a second call.
    """
    given = {f"for case {index}": one for index, one in enumerate(cases)}
    for situation, case in {**sample_cases(), **given}.items():
        first, second = (_call("shampoo_rule", function, (case,), options, situation) for _ in range(2))
        with _situation(function, situation):
            _expect(first == second, "the same advice each time")


def check_reader(function: Function, source: str | os.PathLike[str], /, **options: Any) -> None:
    """Read a ``source`` of the reader's own, then what is not: an empty folder, one of photos, a text and a binary
    file, a JSON of nothing and a path that is not there.

    :raises AssertionError: no photo in its own source, one that is not there, labels that training refuses, other
        photos at a second call; or anything at all in what is not its own, but for a :class:`DataError` of a file with
        the same ending.
    """
    from hierpets.data.labeled.sources import read_records

    own = os.fspath(source)
    with _situation(function, "for its own source"):
        first, second = (list(_result("reader", function, (own,), options)) for _ in range(2))
        _expect(bool(first), "at least one photo")
        _expect(first == second, "the same photos each time")
        for photo in first:
            _expect(_is_there(photo.path), f"a file, or the address of a photo in one, got {photo.path!r}")
        read_records(own, first)
    with TemporaryDirectory() as folder:
        for what, other in _foreign_sources(Path(folder)).items():
            allowed = (DataError,) if suffix_of(other) and suffix_of(other) == suffix_of(own) else ()
            with _situation(function, f"for {what}"), suppress(*allowed):
                found = list(_result("reader", function, (other,), options))
                _expect(not found, "no photo: it is not its source")


def check_tracker(function: Function, /, **options: Any) -> None:
    """Send it the events of two trainings, one that was fine-tuned and one that ended at once, each in a new folder.

    :raises AssertionError: it returns no function, fails on an event or changes one.
    """
    for what, events in sample_events().items():
        situation = f"in {what}"
        with TemporaryDirectory() as run:
            tracker = _call("tracker", function, (run,), options, situation)
            for event in events:
                given = dict(event)
                with _situation(function, f"{situation}, at the event {event['event']!r}"):
                    tracker(given)
                    _expect(given == event, "the event as it was: others hear it too")


def _foreign_sources(folder: Path) -> dict[str, str]:
    """What most readers do not know, by the words for it in a message."""
    contents = {
        "notes.txt": b"nothing to read",
        "data.bin": bytes(range(256)),
        "list.json": b"[]",
        "dog/pug/1.jpg": b"",
    }
    for name, content in contents.items():
        (folder / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / name).write_bytes(content)
    (folder / "empty").mkdir()
    return {
        "an empty folder": f"{folder}/empty",
        "a text file": f"{folder}/files/notes.txt",
        "a path that is not there": f"{folder}/nowhere",
        "a binary file": f"{folder}/files/data.bin",
        "a JSON file of an empty list": f"{folder}/files/list.json",
        "a folder dog/pug of photos": f"{folder}/files",
    }


def _is_there(path: str) -> bool:
    """Whether a file is there, or a photo in one; an object store is not asked."""
    from hierpets.data.addresses import parse_address, read_address

    if is_uri(path):
        return True
    address = parse_address(path)
    with suppress(ImageError):
        return Path(path).is_file() if address is None else bool(read_address(address, 0))
    return False


def _call(kind: Kind, function: Function, given: tuple[Any, ...], options: Mapping[str, Any], situation: str) -> Any:
    with _situation(function, situation):
        return _result(kind, function, given, options)


def _result(kind: Kind, function: Function, given: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    values, problems = Options(function, kind).read(options)
    if problems:
        raise ContractError("; ".join(f"option {problem}" for problem in problems))
    return check_result(kind, function(*given, **values), given)


@contextmanager
def _situation(function: Function, situation: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes one line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        code = getattr(inspect.unwrap(function), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        name, reason = getattr(function, "__name__", function), one_line(error)
        kind = "" if isinstance(error, ContractError) else f"{type(error).__name__}: "
        raise AssertionError(f"{name}{where}, {situation}: {kind}{reason}") from error


def _expect(holds: bool, expected: str) -> None:
    if not holds:
        raise ContractError(f"expected {expected}")


def _check_features(backbone: Backbone) -> None:
    import torch

    photos = noise_photos(3, backbone.preprocess.size)
    features = extract_features(backbone.module, photos)
    again = extract_features(backbone.module, photos)
    alone = torch.cat([extract_features(backbone.module, photo[None]) for photo in photos])
    _expect(_close(features, again), "the same features for the same photos: something is drawn at random")
    _expect(_close(features, alone), "features of a photo that do not depend on the others in its batch")
    _expect(not _close(features[0], features[1]), "different features for different photos")


def _check_same_network(backbone: Backbone, bare: Backbone) -> None:
    """A bundle's weights must fit the network that is built without any, and make it compute the same."""
    shapes = [{name: tuple(t.shape) for name, t in b.module.state_dict().items()} for b in (backbone, bare)]
    wrong = sorted(name for name in shapes[0].keys() | shapes[1].keys() if shapes[0].get(name) != shapes[1].get(name))
    _expect(not wrong, f"the same weights in the same shapes, but they differ at {', '.join(wrong[:3])}")
    _expect(bare.feature_dim == backbone.feature_dim, f"feature_dim {backbone.feature_dim}, got {bare.feature_dim}")
    _expect(bare.preprocess == backbone.preprocess, f"{backbone.preprocess!r}, got {bare.preprocess!r}")
    bare.module.load_state_dict(backbone.module.state_dict())
    photos = noise_photos(2, backbone.preprocess.size)
    features, others = (extract_features(b.module, photos) for b in (backbone, bare))
    _expect(_close(features, others), "the same features with the same weights: some of them are not in state_dict()")


def _check_conversion(backbone: Backbone) -> None:
    import openvino
    import torch

    size = backbone.preprocess.size
    photos = noise_photos(4, size)
    photos += torch.tensor([-2.0, 0.0, 0.0, 2.0]).view(-1, 1, 1, 1)  # a dark and a bright one may take other paths
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the trace that OpenVINO reads
        traced = torch.jit.trace(backbone.module, photos[:1], check_trace=False)
        graph = openvino.convert_model(traced, example_input=photos[:1], input=[-1, 3, size, size])
    options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}  # as hierpets runs it
    compiled = openvino.compile_model(graph, "CPU", options)
    for several in (photos, *photos.split(1)):
        converted = torch.from_numpy(compiled(several.numpy())[0])
        _expect(_close(extract_features(backbone.module, several), converted), "the features that torch computes")


def _close(one: Any, other: Any) -> bool:
    """Equal to a thousandth of the largest feature."""
    return bool((one - other).abs().max() <= 1e-3 * max(float(one.abs().max()), 1e-6))
