"""Checks for the tests of a plugin: each calls the plugin as hierpets does, with every kind of input it may get.

>>> from hierpets.plugin.testing import check_sampler
>>> def test_root():
...     check_sampler(root, power=0.5)

A check passes silently, or raises an AssertionError of one line that names the function, the situation and what was
expected.
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
    """Build the backbone, run photos of noise through it, and check that

    - the features have the right shape and type, and are finite;
    - they depend on the photo and on nothing else;
    - built again, with ``pretrained=False`` if it has that option, it is the same network: it takes the same weights
      and then computes the same;
    - OpenVINO computes the same features.

    Pass ``pretrained=False`` if weights would be downloaded otherwise.

    :raises AssertionError: one of these checks fails.
    """
    backbone = _call("backbone", function, (), options, "when it is built")
    with _situation(function, "when it is given photos"):
        _check_features(backbone)
    no_weights = {"pretrained": False} if "pretrained" in Options(function, "backbone").names else {}
    situation = "with pretrained=False" if no_weights else "when it is built again"
    again = _call("backbone", function, (), {**options, **no_weights}, situation)
    with _situation(function, situation):
        _check_same_network(backbone, again)
    with _situation(function, "when it is converted for OpenVINO"):
        _check_conversion(backbone)


def check_sampler(function: Function, /, *labels: Labels, **options: Any) -> None:
    """Call the sampler with balanced and unbalanced labels, unknown breeds, a single class, several photos of one
    individual, and a single photo, then with ``labels``.

    :raises AssertionError: it does not return one positive, finite weight per photo, returns other weights at a second
        call, or changes the labels.
    """
    given = {f"for labels {index}": one for index, one in enumerate(labels)}
    for situation, one in {**sample_labels(), **given}.items():
        first, second = (_call("sampler", function, (one,), options, situation) for _ in range(2))
        with _situation(function, situation):
            _expect(np.array_equal(first, second), "the same weights each time")


def check_shampoo_rule(function: Function, /, *cases: Case, **options: Any) -> None:
    """Call the rule with a certain, an uncertain and an unknown breed, with several species, with some products and
    with none, then with ``cases``.

    :raises AssertionError: it does not return an iterable of valid Advice, or returns other advice at a second call.
    """
    given = {f"for case {index}": one for index, one in enumerate(cases)}
    for situation, case in {**sample_cases(), **given}.items():
        first, second = (_call("shampoo_rule", function, (case,), options, situation) for _ in range(2))
        with _situation(function, situation):
            _expect(first == second, "the same advice each time")


def check_reader(function: Function, source: str | os.PathLike[str], /, **options: Any) -> None:
    """Read ``source``, which the reader supports, then sources that it should not: an empty folder, a folder of photos,
    a text and a binary file, a JSON file of an empty list and a missing path.

    :raises AssertionError: ``source`` yields no photos, photos that do not exist, labels that training refuses, or
        other photos at a second call; or another source yields a photo or raises an error, except a :class:`DataError`
        for a file with the same suffix as ``source``.
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
    """Send the tracker the events of two trainings, one fine-tuned and one that ends at once, each in a new folder.

    :raises AssertionError: the plugin does not return a function, or the function fails on an event or changes one.
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
    """Create sources that most readers do not support, keyed by their description in a message."""
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
    """Whether a file, or a photo inside one, exists; object stores are not asked, and assumed to have it."""
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
    """Turn every error inside into an AssertionError of one line."""
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


def _check_same_network(backbone: Backbone, again: Backbone) -> None:
    """Check that a bundle's weights fit the network that is built without them, and make it compute the same."""
    shapes = [{name: tuple(t.shape) for name, t in b.module.state_dict().items()} for b in (backbone, again)]
    wrong = sorted(name for name in shapes[0].keys() | shapes[1].keys() if shapes[0].get(name) != shapes[1].get(name))
    _expect(not wrong, f"the same weights in the same shapes, but they differ at {', '.join(wrong[:3])}")
    _expect(again.feature_dim == backbone.feature_dim, f"feature_dim {backbone.feature_dim}, got {again.feature_dim}")
    _expect(again.preprocess == backbone.preprocess, f"{backbone.preprocess!r}, got {again.preprocess!r}")
    again.module.load_state_dict(backbone.module.state_dict())
    photos = noise_photos(2, backbone.preprocess.size)
    features, others = (extract_features(b.module, photos) for b in (backbone, again))
    _expect(_close(features, others), "the same features with the same weights: some of them are not in state_dict()")


def _check_conversion(backbone: Backbone) -> None:
    import openvino
    import torch

    size = backbone.preprocess.size
    photos = noise_photos(4, size)
    photos += torch.tensor([-2.0, 0.0, 0.0, 2.0]).view(-1, 1, 1, 1)  # dark and bright photos may take other branches
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
    """Whether two feature tensors are equal within a thousandth of the largest feature."""
    return bool((one - other).abs().max() <= 1e-3 * max(float(one.abs().max()), 1e-6))
