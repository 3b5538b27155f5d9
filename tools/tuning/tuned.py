"""A backbone fine-tuned on one part of the photos, from a linear head to the interpolated weights."""

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
    """``backbone``, a linear head beside it (``network``), and the weights of both before and after training."""

    backbone: Backbone
    network: HierarchicalNetwork
    start: Weights
    end: Weights

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return next(self.network.parameters()).device.type

    def at(self, alpha: float) -> HierarchicalNetwork:
        """The network ``alpha`` of the way from start to end, until it is asked for another."""
        self.network.load_state_dict(interpolate(self.start, self.end, alpha))
        return self.network.eval()

    def backbone_weights(self, alpha: float) -> Weights:
        """The backbone's weights there, as they are released: float16, on the CPU."""
        weights = copy_weights(self.at(alpha).backbone)
        return {
            name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
            for name, tensor in weights.items()
        }


def tune(
    photos: PhotoIndex, squares: Squares, procedure: Procedure, registry: Registry, *, progress: Progress = no_progress
) -> Tuned:
    """Fine-tune the backbone of ``procedure`` on photos of known breeds, given as squares as well, on their device.

    :raises ConfigError: training diverges, or the device does not support the precision.
    """
    device = squares.pixels.device
    backbone, _ = build_backbone(registry, procedure.backbone.name, procedure.backbone.options, seed=procedure.seed)
    torch.manual_seed(procedure.seed)  # of the heads that are not set below
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
