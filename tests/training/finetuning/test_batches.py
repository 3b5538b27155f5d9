import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.errors import ConfigError
from hierpets.training.finetuning.batches import BatchPlan, epoch_order


def test_epoch_order_shows_every_photo_once_by_equal_weights():
    order = epoch_order(np.full(50, 0.3), seed=1, epoch=0)
    assert sorted(order) == list(range(50))
    assert list(order) != list(range(50))


def test_epoch_order_draws_in_proportion_to_weights():
    weights = np.repeat([1.0, 3.0], [3000, 1000])
    order = epoch_order(weights, seed=0, epoch=0)
    assert len(order) == 4000
    assert (order >= 3000).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("weights", [np.ones(40), np.arange(1.0, 41.0)])
def test_epoch_order_is_decided_by_seed_and_epoch(weights):
    order = epoch_order(weights, seed=5, epoch=2)
    np.testing.assert_array_equal(order, epoch_order(weights, seed=5, epoch=2))
    assert (order != epoch_order(weights, seed=5, epoch=3)).any()
    assert (order != epoch_order(weights, seed=6, epoch=2)).any()


@given(photos=st.integers(8, 200), batch=st.integers(8, 64), world_size=st.integers(1, 4))
def test_batch_plans_of_processes_share_the_batches_of_one(photos, batch, world_size):
    plans = [BatchPlan(np.ones(photos), batch, seed=0, rank=r, world_size=world_size) for r in range(world_size)]
    shared = np.concatenate([plan.positions() for plan in plans], axis=1)
    np.testing.assert_array_equal(shared, BatchPlan(np.ones(photos), batch, seed=0).positions())
    assert len({plan.steps for plan in plans}) == 1
    assert all(plan.positions().shape[1] for plan in plans)
    assert shared.size > photos - batch


def test_batch_plan_skips_what_was_done_within_an_epoch():
    plan = BatchPlan(np.ones(40), 8, seed=0)
    np.testing.assert_array_equal(plan.positions(2), plan.positions()[2:])


def test_batch_plan_says_how_many_photos_the_processes_need():
    with pytest.raises(ConfigError, match=r"2 photos per step cannot be split over 3 processes; expected at least 3"):
        BatchPlan(np.ones(40), 2, seed=0, rank=0, world_size=3)
