import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.workers import MemoryBudget, ProcessLock, cores, run_in_order


@given(st.lists(st.integers()), st.integers(1, 4), st.integers(1, 9))
def test_results_come_in_order_and_none_is_lost(items, workers, ahead):
    done = [f.result() for f in run_in_order(lambda i: i * 2, items, workers=workers, ahead=ahead)]
    assert done == [i * 2 for i in items]


def test_a_slow_piece_keeps_its_place():
    def work(i):
        time.sleep(0.05 if i == 0 else 0)
        return i

    assert [f.result() for f in run_in_order(work, range(20), workers=3, ahead=8)] == list(range(20))


def test_no_more_than_a_bounded_number_is_taken_ahead():
    taken = itertools.count()
    gate = threading.Event()
    results = run_in_order(lambda _: gate.wait(), (next(taken) for _ in itertools.repeat(0)), workers=2, ahead=5)
    threading.Timer(0.05, gate.set).start()
    next(results).result()
    assert next(taken) <= 6
    results.close()


def test_what_is_done_is_handed_out_before_an_item_that_is_still_to_come():
    taken, handed_out = [], []

    def items():
        for item in range(4):
            taken.append(item)
            yield item

    for future in run_in_order(lambda i: i, items(), workers=2, ahead=50, live=lambda: len(taken) != 2):
        handed_out.append((future.result(), len(taken)))
    assert handed_out == [(0, 1), (1, 3), (2, 3), (3, 4)]


def test_what_was_taken_before_items_fail_is_handed_out():
    def items():
        yield from range(3)
        raise ValueError("no more")

    handed_out = []
    with pytest.raises(ValueError, match="no more"):
        handed_out.extend(f.result() for f in run_in_order(lambda i: i, items(), workers=2, ahead=50))
        pytest.fail("it should have raised")
    results = run_in_order(lambda i: i, items(), workers=2, ahead=50)
    assert [next(results).result() for _ in range(3)] == [0, 1, 2]


def test_an_error_stays_with_its_item():
    def work(i):
        if i == 1:
            raise ValueError("one")
        return i

    first, second, third = run_in_order(work, range(3), workers=2, ahead=3)
    assert (first.result(), third.result()) == (0, 2)
    with pytest.raises(ValueError, match="one"):
        second.result()


def test_stopping_early_ends_the_threads():
    results = run_in_order(lambda i: i, itertools.count(), workers=2, ahead=4, name="stopped")
    next(results)
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("stopped")]


def test_there_is_a_core():
    assert cores() >= 1


def test_memory_budget_is_never_exceeded():
    budget, held, most = MemoryBudget(100), [], 0

    def work(size: int) -> int:
        with budget.hold(size):
            held.append(min(size, 100))
            total = sum(held)
            time.sleep(0.002)
            held.remove(min(size, 100))
            return total

    with ThreadPoolExecutor(8) as pool:
        most = max(pool.map(work, [60, 50, 40, 30, 1000, 20, 99, 5] * 5))
    assert 60 < most <= 100


def test_memory_budget_is_given_back_after_an_error():
    budget = MemoryBudget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), budget.hold(10):
            raise ValueError("damaged")


def holds_in_a_fork(held):
    """Whether a process that is forked meanwhile can hold it too, before a second is over."""
    with held():
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(1)
            with held():
                os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_waits_for_no_thread_of_the_first():
    lock, budget = ProcessLock(), MemoryBudget(10)
    assert holds_in_a_fork(lambda: lock)
    assert holds_in_a_fork(lambda: budget.hold(10))
    taken = threading.Lock()
    assert not holds_in_a_fork(lambda: taken), "what those two are for"
