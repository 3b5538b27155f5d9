"""Store the rounded weights of a graph as integers and scales, as a bundle does."""

from __future__ import annotations

import numpy as np
import torch

from hierpets.model.graph.filters import scaled
from hierpets.model.graph.runtime import openvino as ov
from hierpets.model.rounding import MIN_SIZE, pack_tensor

__all__ = ["integers_of", "pack_graph"]


def integers_of(node: ov.Node, *, min_size: int = 1) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the int8 integers and float32 scales of a rounded constant of at least ``min_size`` values, else None."""
    if node.get_type_name() != "Constant" or node.get_element_type() != ov.Type.f32:
        return None
    packed = pack_tensor(torch.from_numpy(np.array(node.data)), min_size=min_size)
    return packed if packed is None else (packed[0].numpy(), packed[1].numpy())


def pack_graph(model: ov.Model) -> None:
    """Replace the rounded filters and matrices of a graph by their integers and scales, in place."""
    for node in model.get_ordered_ops():
        packed = integers_of(node, min_size=MIN_SIZE)
        if packed is None:
            continue
        product = scaled(*packed)
        for target in list(node.output(0).get_target_inputs()):
            target.replace_source_output(product.output(0))
