"""Switches of the whole process, whose owner is whoever uses hierpets: set for a while, and put back."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
from helpers.switches import is_exact

from hierpets.model.cudnn import _in_float32, exact_float32, repeatable

CUDNN = torch.backends.cudnn
newer = pytest.mark.skipif(not hasattr(CUDNN, "conv"), reason="torch: this one has the older interface alone")


@pytest.fixture
def precisions():
    """A function: the settings of torch's newer interface; they are afterwards as before."""
    holders = torch.backends, CUDNN, CUDNN.conv, CUDNN.rnn

    def found():
        return [holder.fp32_precision for holder in holders]

    before = found()
    yield found
    for holder, precision in zip(holders, before, strict=True):
        holder.fp32_precision = precision


@newer
@pytest.mark.parametrize("precision", ["ieee", "tf32"])
@pytest.mark.parametrize("name", ["", "cudnn", "cudnn.conv"])
def test_exact_float32_beside_the_newer_interface_of_torch(precisions, name, precision):
    holder = torch.backends
    for part in filter(None, name.split(".")):
        holder = getattr(holder, part)
    holder.fp32_precision = precision
    before = precisions()
    with exact_float32:
        assert is_exact()
    assert precisions() == before


@newer
@pytest.mark.parametrize("allowed", [True, False])
def test_exact_float32_beside_the_older_interface_of_torch(precisions, monkeypatch, allowed):
    monkeypatch.setattr(CUDNN, "allow_tf32", allowed)
    with exact_float32:
        assert is_exact()
    assert CUDNN.allow_tf32 == allowed


def test_exact_float32_of_a_torch_that_has_the_older_interface_alone():
    cudnn = SimpleNamespace(allow_tf32=True)
    with _in_float32(cudnn):
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32


def test_who_leaves_last_puts_back_what_was_there_before_the_first():
    before, first, second = is_exact(), ExitStack(), ExitStack()
    first.enter_context(exact_float32)
    second.enter_context(exact_float32)
    first.close()
    assert is_exact()
    second.close()
    assert is_exact() == before


def test_switches_are_put_back_after_an_error():
    before = CUDNN.deterministic, CUDNN.benchmark
    with pytest.raises(ZeroDivisionError), repeatable:
        assert (CUDNN.deterministic, CUDNN.benchmark) == (True, False)
        _ = 1 / 0
    assert (CUDNN.deterministic, CUDNN.benchmark) == before
