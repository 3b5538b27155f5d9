"""Heads that round a photo's answer alike, whether it comes alone or with others.

A matrix times a single row is computed by another kernel than a matrix times several, in another order. Convolutions
are not: so a photo alone is made two rows where the heads begin, and a graph may compute as many photos as it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierpets.model.graph.runtime import openvino as ov

if TYPE_CHECKING:  # prediction needs no torch
    import torch

    from hierpets.model.network import HierarchicalNetwork, NetworkOutput

__all__ = ["are_paired", "forward_in_pairs", "mark_paired"]

MARK = ["hierpets", "paired"]


def forward_in_pairs(network: HierarchicalNetwork, features: torch.Tensor) -> NetworkOutput:
    """What the heads of a network make of features [B, D], computed for every row twice and given once."""
    output = network.forward_head(features.repeat(2, 1))
    first = {name: rows.unflatten(0, (2, -1))[0] for name, rows in output._asdict().items()}
    return output._replace(**first | {"features": features})


def mark_paired(graph: ov.Model) -> None:
    """Note in a graph that its heads are computed so."""
    graph.set_rt_info("yes", MARK)


def are_paired(graph: ov.Model) -> bool:
    """Whether the heads of a graph are: not if an earlier hierpets wrote it."""
    return bool(graph.has_rt_info(MARK))
