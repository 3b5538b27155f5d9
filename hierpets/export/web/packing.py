"""Stores rounded weights in an ONNX file as integers and scales, as a bundle does: a quarter of the size."""

from __future__ import annotations

from pathlib import Path

import torch

from hierpets.model.rounding import pack_tensor

__all__ = ["pack_onnx"]


def pack_onnx(path: Path) -> None:
    """Replace the rounded filters and matrices of an ONNX file by their integers and scales.

    Plain operations on constants multiply them, which every runtime does once, when it loads the file; it then computes
    in float32, as before.
    """
    import onnx_ir as ir

    model = ir.load(path)
    added = []
    for name, value in list(model.graph.initializers.items()):
        tensor = value.const_value
        packed = None
        if tensor is not None and tensor.dtype == ir.DataType.FLOAT:
            packed = pack_tensor(torch.from_numpy(tensor.numpy().copy()))
        if packed is None:
            continue
        parts = [
            ir.Value(name=f"{name}.{part}", const_value=ir.tensor(array.numpy(), name=f"{name}.{part}"))
            for part, array in zip(("integers", "scale"), packed, strict=True)
        ]
        model.graph.initializers.update({str(part.name): part for part in parts})
        cast = ir.node("Cast", [parts[0]], attributes={"to": ir.DataType.FLOAT})
        product = ir.node("Mul", [cast.outputs[0], parts[1]])
        value.replace_all_uses_with(product.outputs[0])
        del model.graph.initializers[name]
        added += [cast, product]
    model.graph.insert_before(model.graph[0], added)
    ir.save(model, path)
