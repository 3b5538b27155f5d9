"""Collects all that a page needs to know of a bundle: preprocessing, temperatures, thresholds and recommendations."""

from __future__ import annotations

from collections.abc import Sequence

import hierpets
from hierpets.bundle.identity import ModelId
from hierpets.bundle.info import species_thresholds
from hierpets.bundle.manifest import Manifest
from hierpets.export.web.advice import advise
from hierpets.export.web.schema import (
    About,
    AnimalRules,
    BystanderRules,
    DetectorRules,
    Network,
    NetworkTemperatures,
    OpinionRules,
    Rules,
    SecondLookRules,
    Species,
    WebLeaf,
    WebModel,
)
from hierpets.hierarchy.policy import MAX_SET, PET_SCORE_BAND, SURE_BREED
from hierpets.inference.detector.bystanders import SEARCH
from hierpets.inference.detector.network import ANIMALS, SIZE, VERSION, known_animals
from hierpets.inference.detector.second_look import (
    ALLOWED_LOGIT,
    MAX_CERTAINTY,
    MIN_LEAD,
    MIN_LIKENESS,
    OBJECTION_WEIGHT,
    SURE_LIKENESS,
    SecondLookRule,
)
from hierpets.inference.engines.cascade import DETAIL
from hierpets.inference.options import PredictOptions
from hierpets.recommend.choose import Recommender
from hierpets.regions.boxes import MARGIN
from hierpets.regions.detections import MAX_OVERLAP, MAX_SHARE, MIN_SCORE, MIN_SIDE

__all__ = ["DETECTOR", "describe"]

DETECTOR = f"detector-{VERSION}.onnx"
"""Name of the detector's file; a page has it only if the detector knows a species of the model."""


def describe(
    manifest: Manifest, model: ModelId, files: Sequence[str], recommender: Recommender, *, scripts: str
) -> WebModel:
    """Describe a model for its page, with sentences in the current language.

    ``files`` are those of the networks, in the order in which they are run; ``scripts`` is the digest of the page's
    scripts.

    :raises PluginError: a shampoo rule fails.
    """
    return WebModel(
        scripts=scripts,
        about=About(hierpets_version=hierpets.__version__, model=model, taxonomy=manifest.taxonomy.tree),
        networks=tuple(_network(manifest, stage, file) for stage, file in enumerate(files)),
        decoded_side=manifest.decoded_side,
        detail=DETAIL,
        rules=_rules(manifest),
        detector=_detector(manifest.taxonomy.species),
        second_look=_second_look(SecondLookRule.of(manifest)),
        bystanders=BystanderRules(
            min_score=SEARCH.min_score,
            min_probability=SEARCH.min_probability,
            max_boxes=SEARCH.max_boxes,
            view=SEARCH.view,
        ),
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
        pet_score_band=PET_SCORE_BAND,
        sure_breed=SURE_BREED,
        max_set=MAX_SET,
        top_k=PredictOptions().top_k,
    )


def _species(manifest: Manifest, s: int) -> Species:
    name, columns = manifest.taxonomy.species[s], manifest.taxonomy.slices[s]
    return Species(
        name=name,
        first=columns.start,
        end=columns.stop,
        thresholds=species_thresholds(manifest.policy, name),
        others=bool(manifest.policy.knows_others([name]).all()),
        grown=name in manifest.grown_species,
    )


def _second_look(rule: SecondLookRule | None) -> SecondLookRules | None:
    if rule is None:
        return None
    return SecondLookRules(
        pets=_indices(rule.species),
        opinions=tuple(OpinionRules(pets=_indices(one.pets), others=_indices(one.others)) for one in rule.opinions),
        animals=tuple(
            AnimalRules(animal=ANIMALS.index(one.name), weights=one.weights, bias=one.bias)
            for one in rule.animals
            if one.name in ANIMALS
        ),
        pet_threshold=rule.pet_threshold,
        max_certainty=MAX_CERTAINTY,
        min_likeness=MIN_LIKENESS,
        sure_likeness=SURE_LIKENESS,
        min_lead=MIN_LEAD,
        allowed_logit=ALLOWED_LOGIT,
        weight=OBJECTION_WEIGHT,
        closer=rule.closer,
        max_share=MAX_SHARE,
    )


def _detector(species: Sequence[str]) -> DetectorRules | None:
    """The rules of the detector; None if it knows none of the species."""
    if not known_animals(species):
        return None
    return DetectorRules(
        file=DETECTOR,
        size=SIZE,
        animals=tuple(ANIMALS.index(name) if name in ANIMALS else None for name in species),
        min_score=MIN_SCORE,
        min_side=MIN_SIDE,
        max_overlap=MAX_OVERLAP,
        margin=MARGIN,
    )


def _indices(animals: Sequence[str]) -> tuple[int, ...]:
    return tuple(map(ANIMALS.index, animals))
