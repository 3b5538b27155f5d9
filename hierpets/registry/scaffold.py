"""Creates a new, working plugin: a file of a few lines and three lines in ``registry.yaml``."""

from __future__ import annotations

import ast
import keyword
import re
from pathlib import Path

import yaml

from hierpets.errors import ConfigError, RegistryError
from hierpets.files import write_file
from hierpets.plugin.kinds import Kind
from hierpets.registry.examine import read_registry_file
from hierpets.validation.document import parse_yaml

__all__ = ["create_plugin"]

_FOLDERS: dict[Kind, str] = {
    "backbone": "backbones",
    "sampler": "samplers",
    "shampoo_rule": "shampoo",
    "reader": "readers",
    "tracker": "trackers",
}

_TEMPLATES: dict[Kind, str] = {
    "backbone": '''\
"""A small convolutional network."""

from hierpets.plugin import Backbone, Preprocess


def {name}(width: int = 32) -> Backbone:
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(module, feature_dim=4 * width, preprocess=Preprocess(size=64))
''',
    "sampler": '''\
"""Draw rare species more often."""

import numpy as np

from hierpets.plugin import Labels


def {name}(labels: Labels, power: float = 0.5) -> np.ndarray:
    photos = np.bincount(labels.species)[labels.species]  # of the same species as each photo
    weights: np.ndarray = 1.0 / photos**power
    return weights
''',
    "shampoo_rule": '''\
"""Advise a product that suits the likely coat."""

from collections.abc import Iterator

from hierpets.plugin import Advice, Case


def {name}(case: Case, coat: str = "long_silky", product: str = "silk_detangle") -> Iterator[Advice]:
    share = case.coats.get(coat, 0.0)
    if share > 0.5:
        yield Advice(product, f"The coat is probably {{coat.replace('_', ' and ')}} ({{share:.0%}}).", score=share)
''',
    "reader": '''\
"""Photos listed in a text file: path, species and breed, separated by tabs."""

from collections.abc import Iterator
from pathlib import Path

from hierpets.plugin import SourcePhoto


def {name}(source: str, ending: str = ".pets") -> Iterator[SourcePhoto]:
    if source.endswith(ending):  # of any other source it yields nothing
        for line in Path(source).read_text(encoding="utf-8").splitlines():
            path, species, breed = line.split("\\t")
            yield SourcePhoto(str(Path(source).parent / path), species, breed)
''',
    "tracker": '''\
"""Write loss and accuracies of every epoch to a CSV file in the run folder."""

from collections.abc import Mapping
from csv import DictWriter
from pathlib import Path
from typing import Any

from hierpets.plugin import Tracker


def {name}(run: str, file: str = "epochs.csv") -> Tracker:
    def track(event: Mapping[str, Any]) -> None:
        if event["event"] == "epoch":
            with (Path(run) / file).open("a" if event["epoch"] else "w", encoding="utf-8", newline="") as table:
                rows = DictWriter(table, ["epoch", "loss", "species", "breed"], extrasaction="ignore")
                if event["epoch"] == 0:  # before fine-tuning: it has no loss
                    rows.writeheader()
                rows.writerow(event)

    return track
''',
}


def create_plugin(kind: Kind, name: str, registry: Path) -> Path:
    """Write the plugin's file and add it to ``registry``, which is created if missing. Return the new file.

    Existing files of plugins are never overwritten.

    :raises ConfigError: ``name`` is not a valid function name, is taken, or is used inside the new file.
    :raises RegistryError: the existing registry is invalid.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ConfigError(f"expected a function name of lowercase letters, digits and '_', got {name!r}")
    if name in _names(_TEMPLATES[kind].format(name="_")):
        raise ConfigError(f"{name!r} is a name that the file of a new {kind} uses; choose another name")
    entry = f"plugins/{_FOLDERS[kind]}/{name}.py"
    file = registry.parent / entry
    if file.exists():
        raise ConfigError(f"{file} already exists; choose another name")
    if registry.exists() and any((p.kind, p.name) == (kind, name) for p in read_registry_file(registry).plugins):
        raise ConfigError(f"{registry} already lists a {kind} {name!r}; choose another name")
    before = registry.read_text(encoding="utf-8") if registry.exists() else "plugins: []\n"
    after = _with_entry(before, [f"- name: {name}", f"  kind: {kind}", f"  entry: {entry}:{name}"], registry)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, _TEMPLATES[kind].format(name=name))
    write_file(registry, after)
    read_registry_file(registry)
    return file


def _names(source: str) -> set[str]:
    """The names that a file imports, assigns or uses, at any depth."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = (
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
    )
    named = (node.id for node in nodes if isinstance(node, ast.Name))
    return {*imported, *named}


def _with_entry(text: str, entry: list[str], registry: Path) -> str:
    """Add a plugin to the text of a registry; comments and everything else stay as they are."""
    root = parse_yaml(text).root
    plugins = next(value for key, value in root.value if key.value == "plugins") if root else None
    assert isinstance(plugins, yaml.SequenceNode)  # the registry was read
    if plugins.value:
        end, indent = _last_line(plugins) + 1, plugins.start_mark.column
    else:
        head = text[: plugins.start_mark.index].rstrip()
        text = head + text[plugins.end_mark.index :]
        end, indent = head.count("\n") + 1, 2
    lines = text.splitlines()
    lines[end:end] = [" " * indent + line for line in entry]
    edited = "\n".join(lines) + "\n"
    if len(_plugins(edited)) != len(plugins.value) + 1:  # such as a list written in [brackets]
        shown = "; ".join(line.removeprefix("- ").strip() for line in entry)
        raise RegistryError([f"{registry}:{plugins.start_mark.line + 1}: plugins: add this one by hand: {shown}"])
    return edited


def _plugins(text: str) -> list[object]:
    value = parse_yaml(text).value
    plugins = value.get("plugins") if isinstance(value, dict) else None
    return plugins if isinstance(plugins, list) else []


def _last_line(node: yaml.Node) -> int:
    """The line (from 0) on which a node's last value ends: a block's own end mark is after the comments below it."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(node, yaml.MappingNode) else last)
    mark = node.end_mark
    return int(mark.line) - (mark.column == 0)  # a text block ends where the next line starts
