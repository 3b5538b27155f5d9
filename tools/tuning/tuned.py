"""Fine-tune a backbone on one part of the photos: fit a linear head, train both, and interpolate the weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from hierpets.data.records import PhotoIndex
from hierpets.model.backbone import build_backbone
from hierpets.model.network import HierarchicalNetwork
from hierpets.plugin import Backbone
from hierpets.progress import Progress, no_progress
from hierpets.registry.loading import Registry
from hierpets.training.features.extractor import FeatureExtractor
from hierpets.training.finetuning.averaging import interpolate
from hierpets.training.finetuning.learner import Weights, copy_weights
from hierpets.training.frozen.linear_probe import fit_head
from plugins.samplers.balanced import breed_balanced
from tools.tuning.procedure import Procedure
from tools.tuning.squares import Squares
from tools.tuning.training import TrainingSet, train_network

__all__ = ["Tuned", "tune"]


@dataclass(frozen=True)
class Tuned:
    """The ``backbone``, the ``network`` of it and a linear head, and its weights before and after training."""

    backbone: Backbone
    network: HierarchicalNetwork
    start: Weights
    end: Weights

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return next(self.network.parameters()).device.type

    def at(self, alpha: float) -> HierarchicalNetwork:
        """Return the network with weights at ``alpha`` from start to end. The next call changes the same network."""
        self.network.load_state_dict(interpolate(self.start, self.end, alpha))
        return self.network.eval()

    def backbone_weights(self, alpha: float) -> Weights:
        """Return the backbone's weights at ``alpha`` as they are released: in float16, on the CPU."""
        weights = copy_weights(self.at(alpha).backbone)
        return {
            name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
            for name, tensor in weights.items()
        }


def tune(
    photos: PhotoIndex, squares: Squares, procedure: Procedure, registry: Registry, *, progress: Progress = no_progress
) -> Tuned:
    """Fine-tune the backbone of ``procedure`` on photos of known breeds and their ``squares``, on the device of these.

    :raises ConfigError: training diverges, or the device does not support the precision.
    """
    device = squares.pixels.device
    backbone, _ = build_backbone(registry, procedure.backbone.name, procedure.backbone.options, seed=procedure.seed)
    torch.manual_seed(procedure.seed)  # for the heads that are not set below
    network = HierarchicalNetwork(backbone.module, backbone.feature_dim, photos.taxonomy)
    features = FeatureExtractor(backbone, device.type).features(photos.paths, progress=progress)
    labels = photos.labels()
    balanced = breed_balanced(labels)
    head = fit_head(features, labels.leaf, balanced, classes=len(photos.taxonomy.leaves), spec=procedure.head)
    network.set_heads(replace(network.get_heads(), leaf=head))
    network.to(device)
    start = copy_weights(network)
    # Halfway between sampling every photo and every breed equally often.
    training = TrainingSet(squares, torch.from_numpy(labels.leaf).to(device), np.sqrt(balanced))
    average = train_network(network, training, procedure, backbone.preprocess, progress=progress)
    return Tuned(backbone, network, start, copy_weights(average))
