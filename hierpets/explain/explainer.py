"""Explain predictions by Grad-CAM: show where the network looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hierpets.bundle.layout import released_bundle
from hierpets.data.photos import Photo, read_photo
from hierpets.data.transforms import apply
from hierpets.explain.gradcam import Target, gradcam
from hierpets.explain.overlay import overlay, spread
from hierpets.inference.loading import load
from hierpets.inference.options import PredictOptions
from hierpets.inference.prediction import Prediction
from hierpets.inference.predictor import Predictor
from hierpets.model.network import HierarchicalNetwork
from hierpets.model.reader import guards_of, read_networks
from hierpets.plugin import Guard
from hierpets.registry.loading import Registry, load_registry

__all__ = ["Explainer", "Explanation"]

SHOWN_SIDE = 480  # pixels of the shorter side of explanation pictures


@dataclass(frozen=True)
class Explanation:
    """A photo, its prediction, and pictures of the evidence for it.

    ``network`` is the backbone of the network that answered. ``species`` and ``breed`` are the photo with the evidence
    for the species and for the breed as an overlay; ``breed`` is None if the species has no breeds. All pictures are
    RGB uint8 [H, W, 3].
    """

    photo: np.ndarray
    prediction: Prediction
    network: str
    species: np.ndarray
    breed: np.ndarray | None


class Explainer:
    """Explains predictions by Grad-CAM on the network that answered, run by torch.

    ``networks`` are those of the manifest in its order, ``guards`` those of their backbones.
    """

    def __init__(self, networks: Sequence[HierarchicalNetwork], guards: Sequence[Guard], predictor: Predictor):
        self.manifest = predictor.manifest
        self._networks, self._guards = tuple(network.eval() for network in networks), tuple(guards)
        self._predictor = predictor

    @classmethod
    def load(
        cls, bundle: str | Path | None = None, *, registry: Registry | str | Path | None = None, **engine: Any
    ) -> Explainer:
        """Load a bundle folder, the released one when none is given. It predicts as ``hierpets predict`` does.

        ``engine``, ``device``, ``precision`` and ``compile`` as in :func:`hierpets.load`; Grad-CAM is always torch in
        float32 on the CPU.

        :raises BundleError: a missing or damaged bundle.
        """
        registry = load_registry(registry)
        folder = Path(bundle) if bundle is not None else released_bundle()
        predictor = load(folder, registry=registry, recommend=False, **engine)
        manifest = predictor.manifest
        return cls(read_networks(folder, manifest, registry), guards_of(manifest, registry), predictor)

    def cam(self, photo: np.ndarray, *targets: Target, stage: int) -> np.ndarray:
        """Grad-CAM maps of T targets over an RGB uint8 photo [H, W, 3], for the network at ``stage``: float32 [T, H, W]
        in [0, 1], NaN outside of what the network sees.

        :raises PluginError: the network fails, or has no map.
        """
        height, width = photo.shape[:2]
        preprocess = self.manifest.networks[stage].preprocess
        maps = gradcam(self._networks[stage], apply(preprocess, photo), *targets, guard=self._guards[stage])
        return np.stack([spread(cam, preprocess, height, width) for cam in maps])

    def __call__(self, path: str, *, leaf: int) -> np.ndarray:
        """The photo at a path with the evidence for a leaf as an overlay, RGB uint8 [H, W, 3]."""
        photo = self._read(path)
        return overlay(
            photo, self.cam(photo, Target("leaf", leaf), stage=self._stage(self._predictor.predict(path)))[0]
        )

    def explain(self, photo: Photo, options: PredictOptions | None = None, **words: Any) -> Explanation:
        """Predict a photo and show where the network looked; ``options`` and ``words`` are as in
        :meth:`hierpets.Predictor.predict`.

        :raises ConfigError: an option that does not exist or is out of range.
        :raises ImageError: the photo cannot be read.
        :raises HierpetsError: it cannot be predicted.
        """
        pixels = self._read(photo)
        prediction = self._predictor.predict(photo, options, **words)
        stage = self._stage(prediction)
        decision = prediction.decision
        assert decision is not None  # _stage raises without one
        tree = self.manifest.taxonomy
        targets = [Target("species", tree.species_index(decision.species))]
        if decision.breed is not None:
            targets.append(Target("leaf", tree.leaf_index(decision.species, decision.breed)))
        shown = [overlay(pixels, cam) for cam in self.cam(pixels, *targets, stage=stage)]
        network = self.manifest.networks[stage].backbone.name
        return Explanation(pixels, prediction, network, shown[0], shown[1] if len(shown) > 1 else None)

    @staticmethod
    def _stage(prediction: Prediction) -> int:
        if prediction.error is not None:
            raise prediction.error
        assert prediction.stage is not None
        return prediction.stage

    def _read(self, photo: Photo) -> np.ndarray:
        return read_photo(photo, shorter_side=max(SHOWN_SIDE, self.manifest.decoded_side))
