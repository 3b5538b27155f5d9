import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierpets.serve.limits.batching import Batcher, Closed, Full


class Gate:
    """Work that waits until it is let through, so that what comes meanwhile has to queue."""

    def __init__(self):
        self.batches = []
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, items):
        self.entered.set()
        assert self.open.wait(10)
        self.batches.append(list(items))
        return [-item for item in items]


@pytest.fixture
def gate():
    return Gate()


def batcher_of(work, **more):
    return Batcher(work, **({"size": 4, "wait": 0.0, "room": 100} | more))


@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=9), max_size=12),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.001]),
    st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_batcher_gives_each_item_its_result_in_bounded_batches(requests, size, wait, workers):
    sizes = []

    def work(items):
        sizes.append(len(items))
        return [item * 2 for item in items]

    batcher = Batcher(work, size=size, wait=wait, room=1000, workers=workers)
    futures = [batcher.submit(request) for request in requests]
    batcher.close()
    assert [[future.result(0) for future in some] for some in futures] == [[2 * i for i in r] for r in requests]
    assert max(sizes, default=0) <= size
    assert batcher.waiting == 0


def test_batcher_shares_a_batch_among_requests(gate):
    batcher = batcher_of(gate)
    first = batcher.submit([0])
    gate.entered.wait(10)
    rest = [batcher.submit([n])[0] for n in range(1, 6)]
    gate.open.set()
    assert [f.result(10) for f in (*first, *rest)] == [0, -1, -2, -3, -4, -5]
    assert gate.batches == [[0], [1, 2, 3, 4], [5]]


def test_batcher_waits_for_more_items_but_not_for_long():
    seen = []
    batcher = Batcher(lambda items: seen.append(len(items)) or items, size=8, wait=0.2, room=10)
    start = time.monotonic()
    one = batcher.submit([1])
    time.sleep(0.05)
    two = batcher.submit([2])
    assert one[0].result(10) == 1
    assert two[0].result(10) == 2
    assert seen == [2]
    assert 0.15 < time.monotonic() - start < 2


def test_batcher_gives_the_room_of_cancelled_items_to_others(gate):
    batcher = batcher_of(gate, room=2)
    first = batcher.submit([0])
    gate.entered.wait(10)
    for future in batcher.submit([1, 2]):
        future.cancel()
    others = batcher.submit([3, 4])
    gate.open.set()
    assert [future.result(10) for future in (*first, *others)] == [0, -3, -4]
    batcher.close()
    assert gate.batches == [[0], [3, 4]]


def test_batcher_submit_refuses_all_items_where_some_find_no_room(gate):
    batcher = batcher_of(gate, room=3)
    running = batcher.submit([0])
    gate.entered.wait(10)
    kept = batcher.submit([1, 2])
    with pytest.raises(Full) as refused:
        batcher.submit([3, 4])
    assert refused.value.retry_after >= 1
    assert batcher.waiting == 2
    last = batcher.submit([5])
    gate.open.set()
    assert [f.result(10) for f in (*running, *kept, *last)] == [0, -1, -2, -5]


def test_batcher_counts_items_by_their_weight(gate):
    batcher = batcher_of(gate, room=8, size=1)
    futures = batcher.submit([0])
    gate.entered.wait(10)
    futures += batcher.submit([1], weight=4)
    with pytest.raises(Full):
        batcher.submit([2, 3], weight=4)
    futures += batcher.submit([4], weight=4)
    with pytest.raises(Full):
        batcher.submit([5])
    gate.open.set()
    assert [future.result(10) for future in futures] == [0, -1, -4]


def test_batcher_in_which_nothing_waits_takes_items_above_its_room(gate):
    gate.open.set()
    batcher = batcher_of(gate, room=8)
    for _ in range(2):
        assert [future.result(10) for future in batcher.submit([1, 2, 3], weight=4)] == [-1, -2, -3]


def test_batcher_close_finishes_what_waits_and_takes_no_more(gate):
    batcher = batcher_of(gate)
    futures = [batcher.submit([n])[0] for n in range(9)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while batcher.ready:
        time.sleep(0.001)
    with pytest.raises(Closed):
        batcher.submit([10])
    gate.open.set()
    closing.join(10)
    assert [f.result(0) for f in futures] == [-n for n in range(9)]


def test_batcher_passes_an_exception_on_and_runs_the_next_batch():
    def work(items):
        if 0 in items:
            raise ZeroDivisionError
        return items

    batcher = batcher_of(work, size=1)
    bad, good = batcher.submit([0, 7])
    with pytest.raises(ZeroDivisionError):
        bad.result(10)
    assert good.result(10) == 7


def test_batcher_skips_items_that_were_cancelled(gate):
    batcher = batcher_of(gate, size=1)
    batcher.submit([0])
    gate.entered.wait(10)
    one, two = batcher.submit([1, 2])
    assert one.cancel()
    gate.open.set()
    assert two.result(10) == -2
    assert gate.batches == [[0], [2]]


def test_batcher_leaves_nobody_waiting_for_a_missing_result():
    one, two = batcher_of(lambda items: items[:1]).submit([1, 2])
    assert one.result(10) == 1
    with pytest.raises(ValueError, match="zip"):
        two.result(10)


def test_batcher_deals_the_items_of_a_request_to_idle_workers():
    both = threading.Barrier(2)
    seen = []

    def work(items):
        seen.append(list(items))
        both.wait(10)
        return items

    futures = batcher_of(work, size=8, workers=2).submit(range(6))
    assert [future.result(10) for future in futures] == list(range(6))
    assert sorted(seen) == [[0, 1, 2], [3, 4, 5]]


def test_batcher_fills_a_batch_while_other_workers_are_busy(gate):
    batcher = batcher_of(gate, workers=2)
    first = [*batcher.submit([0]), *batcher.submit([1])]
    while batcher.waiting:
        time.sleep(0.001)
    rest = batcher.submit([2, 3, 4, 5])
    gate.open.set()
    assert [future.result(10) for future in (*first, *rest)] == [0, -1, -2, -3, -4, -5]
    assert sum(map(len, gate.batches)) == 6
    assert max(map(len, gate.batches)) >= 2


def test_batcher_of_several_workers_finishes_what_waits_when_it_closes(gate):
    batcher = batcher_of(gate, size=2, workers=3)
    futures = batcher.submit(range(9))
    closing = threading.Thread(target=batcher.close)
    closing.start()
    gate.open.set()
    closing.join(10)
    assert not batcher.ready
    assert [future.result(0) for future in futures] == [-n for n in range(9)]
