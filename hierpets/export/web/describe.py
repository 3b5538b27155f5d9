"""From a bundle to what its page knows: thresholds found, rules asked, nothing left to fit."""

from __future__ import annotations

from collections.abc import Sequence

import hierpets
from hierpets.bundle.info import species_thresholds
from hierpets.bundle.manifest import Manifest, ModelId
from hierpets.export.web.advice import advise
from hierpets.export.web.schema import (
    About,
    Network,
    NetworkTemperatures,
    Rules,
    Species,
    WebLeaf,
    WebModel,
)
from hierpets.hierarchy.policy import MAX_SET
from hierpets.inference.options import PredictOptions
from hierpets.recommend.choose import Recommender

__all__ = ["describe"]


def describe(manifest: Manifest, model: ModelId, files: Sequence[str], recommender: Recommender) -> WebModel:
    """What a page with the networks' ``files``, in the order in which they are asked, must know; its sentences are in
    the language that is spoken.

    :raises PluginError: a shampoo rule fails.
    """
    return WebModel(
        about=About(hierpets_version=hierpets.__version__, model=model, taxonomy=manifest.taxonomy.tree),
        networks=tuple(_network(manifest, stage, file) for stage, file in enumerate(files)),
        decoded_side=manifest.decoded_side,
        rules=_rules(manifest),
        advice=advise(recommender, manifest),
    )


def _network(manifest: Manifest, stage: int, file: str) -> Network:
    own = manifest.alone(stage)
    breeds = own.temperatures.divisors(manifest.taxonomy)
    return Network(
        file=file,
        preprocess=own.preprocess,
        temperatures=NetworkTemperatures(species=own.temperatures.species, breeds=tuple(breeds.tolist())),
        threshold=manifest.networks[stage].threshold,
    )


def _rules(manifest: Manifest) -> Rules:
    tree, policy = manifest.taxonomy, manifest.policy
    return Rules(
        species=tuple(_species(manifest, s) for s in range(len(tree.species))),
        leaves=tuple(
            WebLeaf(species=int(s), breed=leaf.breed, origin=origin, grown=policy.leaf_probability(leaf))
            for leaf, s, origin in zip(tree.leaves, tree.leaf_species, manifest.origins, strict=True)
        ),
        combiner=manifest.combiner,
        ood=manifest.ood is not None,
        max_set=MAX_SET,
        top_k=PredictOptions().top_k,
    )


def _species(manifest: Manifest, s: int) -> Species:
    name, columns = manifest.taxonomy.species[s], manifest.taxonomy.slices[s]
    return Species(
        name=name, first=columns.start, end=columns.stop, thresholds=species_thresholds(manifest.policy, name)
    )
