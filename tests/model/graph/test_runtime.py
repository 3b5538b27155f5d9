"""What the converter does beside converting."""

import logging

import pytest
import torch

from hierpets.model.graph.convert import convert_module


class Unconvertible(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(images.flatten(1))


def test_a_conversion_that_fails_leaves_logging_as_it_was(caplog):
    root = logging.getLogger()
    before = root.level, root.handlers[:], root.filters[:]
    with pytest.raises(Exception, match="bessel_j0"):
        convert_module(Unconvertible(), 8)
    assert (root.level, root.handlers, root.filters) == before
    logging.getLogger("hierpets.test").warning("still heard")
    assert "still heard" in caplog.text
