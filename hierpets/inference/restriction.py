"""Which leaves a user allows: ``--only dog``, ``--only cat/birman``, or a file of such names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hierpets.errors import ConfigError, did_you_mean
from hierpets.taxonomy import Taxonomy

__all__ = ["allowed_leaves"]


def allowed_leaves(names: Iterable[str], taxonomy: Taxonomy) -> np.ndarray:
    """bool [L]. A name is a species, ``species/breed``, a breed that one species alone has, or a file of names.

    :raises ConfigError: a name that the taxonomy does not know, with a suggestion.
    """
    allowed = np.zeros(len(taxonomy.leaves), dtype=bool)
    for name in _expand(names):
        found = [i for i, leaf in enumerate(taxonomy.leaves) if name in (leaf.species, str(leaf), leaf.breed)]
        if not found:
            known = [*taxonomy.species, *(leaf.breed or leaf.species for leaf in taxonomy.leaves)]
            raise ConfigError(f"--only {name!r}: not a species, a breed or a file{did_you_mean(name, known)}")
        owners = sorted({taxonomy.leaves[i].species for i in found})
        if len(owners) > 1:
            choices = " or ".join(f"{owner}/{name}" for owner in owners)
            raise ConfigError(f"--only {name!r}: a breed of {' and '.join(owners)}; say {choices}")
        allowed[found] = True
    return allowed


def _expand(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if Path(name).is_file():
            lines = (line.partition("#")[0].strip() for line in Path(name).read_text(encoding="utf-8").splitlines())
            yield from filter(None, lines)
        else:
            yield name
