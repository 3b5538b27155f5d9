"""Remove breeds or species from a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hierpets.bundle.layout import BUNDLE, MANIFEST, released_bundle
from hierpets.bundle.manifest import Manifest
from hierpets.bundle.seen import seen_count
from hierpets.errors import ConfigError, DataError
from hierpets.files import check_folder
from hierpets.growing.bundle import OpenBundle, open_bundle
from hierpets.growing.network import OpenNetwork
from hierpets.growing.result import ForgetResult
from hierpets.hierarchy.policy import Policy
from hierpets.inference.options import find_class
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.registry.loading import Registry, load_registry
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.validation.arguments import checked

__all__ = ["forget"]


@checked
def forget(
    model: str | os.PathLike[str] | None,
    *names: str,
    out: str | os.PathLike[str],
    overwrite: bool = False,
    registry: Registry | str | os.PathLike[str] | None = None,
) -> ForgetResult:
    """Remove breeds (``"dog/pug"``) or whole species (``"rabbit"``) from a bundle that keeps statistics of its classes.

    Classes are named as in the option ``only`` of a prediction. ``model`` None is the released bundle. ``registry`` has
    the plugins of its backbones: they know which classes of a pretrained head show a removed species, whose animals
    then no longer count as known pets.

    The contribution of removed photos to the variation within breeds stays: it is stored as one sum over all classes. A
    breed that was known from pretraining before it had photos is known from pretraining alone again. A species is
    removed with its last breed that was learned from photos.

    :raises BundleError: a bundle that is missing or damaged, or that keeps no statistics.
    :raises RegistryError: an invalid registry.
    :raises PluginError: a species is removed, and the registry lacks the backbone, whose pretrained head knows it.
    :raises DataError: the bundle does not know a name, or several species have such a breed; fewer than two leaves
        would be left.
    :raises ConfigError: no name; or ``out`` exists and ``overwrite`` is not given, or is no bundle.
    """
    if not names:
        raise ConfigError("forget: expected the name of a breed or a species")
    target = Path(out).absolute()
    check_folder(target, overwrite=overwrite, mark=MANIFEST, kind="bundle", holds=BUNDLE)
    plugins = load_registry(registry)
    before = open_bundle(Path(model) if model is not None else released_bundle(), plugins)
    gone = {leaf for name in names for leaf in _leaves(name, before.manifest.taxonomy)}
    after = _without(before, gone)
    after.write(target, overwrite=overwrite)
    left = {*after.manifest.taxonomy.leaves}
    forgotten = [leaf for leaf in before.manifest.taxonomy.leaves if leaf not in left]
    return ForgetResult(
        target,
        tuple(forgotten),
        pretrained=tuple(sorted(gone & left)),
        untaught=tuple(sorted({leaf.species for leaf in forgotten if leaf not in gone})),
        taken=_taken(before.main, after.main),
        registry=plugins,
    )


def _leaves(name: str, taxonomy: Taxonomy) -> list[Leaf]:
    label = find_class(name, taxonomy)
    return [leaf for leaf in taxonomy.leaves if label in (leaf, Leaf(leaf.species, None))]


def _without(before: OpenBundle, gone: set[Leaf]) -> OpenBundle:
    old = before.manifest
    kept = {*old.taxonomy.leaves} - gone
    # A species stays as long as it has a leaf that photos taught.
    species = {leaf.species for leaf in kept - old.pretrained}
    again = {leaf for leaf in gone if _was_pretrained(leaf, old)}
    left = {leaf for leaf in kept | again if leaf.species in species}
    if len(left) < 2:
        remaining = "only one class" if left else "no class"
        raise DataError(f"{remaining} would be left; a bundle needs at least two")
    pretrained = left & (old.pretrained | again)
    rows = [label for label in before.main.statistics.labels if label in gone or label.species not in species]
    return before.of(
        [network.refitted(_without_rows(network.statistics, rows), pretrained) for network in before.networks],
        policy=_policy(old.policy, species, left),
        forgotten=old.forgotten | dict.fromkeys(map(str, rows), seen_count(before.source)),
        training=_training(old, rows) | {"species": len(species), "leaves": len(left - pretrained)},
    )


def _taken(before: OpenNetwork, after: OpenNetwork) -> dict[Leaf, str]:
    """Removed classes, of species that stay, whose mean features the new species head predicts as another species.

    Each is mapped to that species.
    """
    tree = after.manifest.taxonomy
    gone = {*before.statistics.labels} - {*after.statistics.labels}
    left = sorted((label for label in gone if label.species in tree.species), key=str)
    if not left:
        return {}
    scores = after.heads.get_heads().species(before.statistics.means_of(left))
    found = dict(zip(left, (tree.species[s] for s in scores.argmax(axis=1)), strict=True))
    return {label: species for label, species in found.items() if species != label.species}


def _was_pretrained(leaf: Leaf, manifest: Manifest) -> bool:
    """Whether a leaf was known from pretraining before it was grown: others have a threshold of their own."""
    origin = manifest.origins[manifest.taxonomy.leaves.index(leaf)]
    return origin == "grown" and str(leaf) not in manifest.policy.leaves


def _without_rows(statistics: ClassStatistics, labels: Iterable[Leaf]) -> ClassStatistics:
    for label in labels:
        statistics = statistics.without(label)
    return statistics


def _training(manifest: Manifest, gone: Iterable[Leaf]) -> dict[str, Any]:
    """The training notes of the manifest, with removed (``gone``) photos of grown classes subtracted from the count."""
    if "grown" not in manifest.training:
        return manifest.training
    assert manifest.statistics is not None
    origins = dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))
    added = {label for label, origin in origins.items() if origin == "grown"}
    added |= {Leaf(species, None) for species in manifest.grown_species}
    left = manifest.training["grown"] - sum(manifest.statistics.photos[str(label)] for label in gone if label in added)
    rest = {key: value for key, value in manifest.training.items() if key != "grown"}
    return rest | {"grown": left} if left else rest


def _policy(policy: Policy, species: set[str], leaves: Iterable[Leaf]) -> Policy:
    """The policy without removed classes. The scores of all photos predicted as a remaining species are kept."""
    named = {str(leaf) for leaf in leaves}
    scores = {
        population: {name: rows for name, rows in by_species.items() if name in species}
        for population, by_species in policy.scores.items()
    }
    kept = {name: own for name, own in policy.leaves.items() if name in named}
    return policy.model_copy(update={"scores": scores, "leaves": kept})
