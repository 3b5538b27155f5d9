"""Photos of several threads in one call."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hierpets.inference.engines.base import RawOutput
from hierpets.inference.engines.gathering import GatheringEngine


class Slow:
    """An engine that waits for ``go`` at its first call, and answers each photo with its first number."""

    name, device, precision, workers, batch = "slow", "cuda", "f16", 3, 8

    def __init__(self):
        self.go, self.started, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, images):
        self.batches.append(len(images))
        self.started.set()
        assert self.go.wait(30)
        if (images < 0).any():
            raise ValueError("a photo is broken")
        return RawOutput(*[images[:, :1]] * 4)


@pytest.fixture
def slow():
    return Slow()


def ask_while_busy(slow, engine, calls):
    """The first call computes; the others come meanwhile."""
    with ThreadPoolExecutor(len(calls)) as pool:
        first = pool.submit(engine, calls[0])
        assert slow.started.wait(30)
        others = [pool.submit(engine, call) for call in calls[1:]]
        while len(engine._waiting) < len(others):
            threading.Event().wait(0.001)
        slow.go.set()
        return [first, *others]


def photos(*numbers):
    return np.array([[number, 0.0] for number in numbers], np.float32)


def test_photos_that_come_while_it_computes_are_one_call_and_everyone_gets_their_own(slow):
    calls = [photos(1), photos(2, 3), photos(4), photos(5, 6)]
    for call, answer in zip(calls, ask_while_busy(slow, GatheringEngine(slow, 8), calls), strict=True):
        assert answer.result().species[:, 0].tolist() == call[:, 0].tolist()
    assert slow.batches == [1, 5]


def test_a_call_takes_no_more_photos_than_it_may_but_one_that_is_too_large_is_not_lost(slow):
    calls = [photos(1), photos(2, 3, 4), photos(5, 6), photos(*range(7, 14))]
    answers = ask_while_busy(slow, GatheringEngine(slow, 4), calls)
    assert [answer.result().leaf[:, 0].tolist() for answer in answers] == [call[:, 0].tolist() for call in calls]
    assert sorted(slow.batches) == [1, 2, 3, 7]


def test_a_call_alone_is_computed_at_once(slow):
    slow.go.set()
    engine = GatheringEngine(slow, 8)
    assert engine(photos(7)).scores.tolist() == [[7.0]]
    assert (engine.name, engine.device, engine.precision, engine.workers, engine.batch) == ("slow", "cuda", "f16", 3, 8)


def test_what_a_call_raises_reaches_all_who_were_in_it_and_nobody_later(slow):
    engine = GatheringEngine(slow, 8)
    first, broken, neighbor = ask_while_busy(slow, engine, [photos(1), photos(-1), photos(2)])
    assert first.result().species.tolist() == [[1.0]]
    for answer in (broken, neighbor):
        with pytest.raises(ValueError, match="broken"):
            answer.result()
    assert engine(photos(3)).species.tolist() == [[3.0]]
