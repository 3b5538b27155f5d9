"""Make the output for a photo independent of its batch size, to the last bit.

A matrix is multiplied with a single row by another kernel, and in another order, than with several rows. Convolutions
have no such difference. So the heads compute each row twice, and never see a single row.
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
    """Run a network's heads on features [B, D], with each row computed twice and returned once."""
    output = network.forward_head(features.repeat(2, 1))
    first = {name: rows.unflatten(0, (2, -1))[0] for name, rows in output._asdict().items()}
    return output._replace(**first | {"features": features})


def mark_paired(graph: ov.Model) -> None:
    """Mark a graph as one whose heads are computed in pairs."""
    graph.set_rt_info("yes", MARK)


def are_paired(graph: ov.Model) -> bool:
    """Whether the heads of a graph are computed in pairs; those written by early versions of hierpets are not."""
    return bool(graph.has_rt_info(MARK))
