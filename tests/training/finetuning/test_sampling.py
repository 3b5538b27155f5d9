import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.errors import ConfigError
from hierpets.training.finetuning.mixup import draw_shares, partners
from hierpets.training.finetuning.sampling import BatchPlan, epoch_order


def test_equal_weights_show_every_photo_once():
    order = epoch_order(np.full(50, 0.3), seed=1, epoch=0)
    assert sorted(order) == list(range(50))
    assert list(order) != list(range(50))


def test_photos_are_drawn_in_proportion_to_their_weights():
    weights = np.repeat([1.0, 3.0], [3000, 1000])
    order = epoch_order(weights, seed=0, epoch=0)
    assert len(order) == 4000
    assert (order >= 3000).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("weights", [np.ones(40), np.arange(1.0, 41.0)])
def test_order_is_decided_by_seed_and_epoch(weights):
    order = epoch_order(weights, seed=5, epoch=2)
    np.testing.assert_array_equal(order, epoch_order(weights, seed=5, epoch=2))
    assert (order != epoch_order(weights, seed=5, epoch=3)).any()
    assert (order != epoch_order(weights, seed=6, epoch=2)).any()


@given(photos=st.integers(8, 200), batch=st.integers(8, 64), processes=st.integers(1, 4))
def test_processes_share_the_batches_of_one(photos, batch, processes):
    plans = [BatchPlan(np.ones(photos), batch, seed=0, rank=r, processes=processes) for r in range(processes)]
    shared = np.concatenate([plan.positions() for plan in plans], axis=1)
    np.testing.assert_array_equal(shared, BatchPlan(np.ones(photos), batch, seed=0).positions())
    assert len({plan.steps for plan in plans}) == 1
    assert all(plan.positions().shape[1] for plan in plans)
    assert shared.size > photos - batch


@given(rows=st.integers(1, 33), processes=st.integers(1, 4))
def test_pairs_for_mixup_never_part(rows, processes):
    if (rows + 1) // 2 < processes:
        return
    whole = partners(rows)
    assert (whole[whole] == np.arange(rows)).all()
    for rank in range(processes):
        own = BatchPlan(np.ones(rows), rows, seed=0, rank=rank, processes=processes).own_rows
        np.testing.assert_array_equal(whole[own], own.start + partners(own.stop - own.start))


def test_rows_keep_half_of_themselves_at_least_and_as_much_as_their_partner():
    shares = draw_shares(9, alpha=0.4, seed=(0, 1, 2))
    assert shares.shape == (9,)
    assert ((shares >= 0.5) & (shares <= 1)).all()
    np.testing.assert_array_equal(shares, shares[partners(9)])
    np.testing.assert_array_equal(shares, draw_shares(9, alpha=0.4, seed=(0, 1, 2)))


def test_going_on_within_an_epoch_skips_what_was_done():
    plan = BatchPlan(np.ones(40), 8, seed=0)
    np.testing.assert_array_equal(plan.positions(2), plan.positions()[2:])


def test_more_processes_than_pairs_is_an_error_that_says_how_many_photos_are_needed():
    with pytest.raises(ConfigError, match=r"4 photos a step cannot be shared by 3 processes; expected 6"):
        BatchPlan(np.ones(40), 4, seed=0, rank=0, processes=3)
