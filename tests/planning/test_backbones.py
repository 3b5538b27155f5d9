"""Which backbone is advised: the fastest that the best is not shown to beat."""

from types import SimpleNamespace

import numpy as np
import pytest

from hierpets.config import TrainConfig
from hierpets.planning import backbones
from hierpets.plugin import Labels
from hierpets.progress import no_progress

LEAF = np.arange(200) % 2


@pytest.fixture
def rank(monkeypatch):
    """Ranks backbones by the photos that heads on them get wrong, and their seconds."""
    monkeypatch.setattr(backbones, "extract_features", lambda photos, extractor, *_, progress: extractor)
    monkeypatch.setattr(
        backbones,
        "cross_validate_sizes",
        lambda wrong, *_, **__: SimpleNamespace(guesses=np.where(np.isin(np.arange(200), wrong), -1, LEAF)[None, None]),
    )
    photos = SimpleNamespace(labels=lambda: Labels(LEAF, LEAF, ("cat", "dog"), ("cat", "dog")))

    def run(**given):
        prepared = [
            SimpleNamespace(choice=name, extractor=wrong, seconds=seconds) for name, (wrong, seconds) in given.items()
        ]
        return backbones.rank_backbones(prepared, photos, TrainConfig(), None, progress=no_progress)

    return run


def advised(ranks):
    return next(found.backbone for found in ranks if found.advised)


def test_the_fastest_is_advised_where_what_it_loses_may_be_chance(rank):
    ranks = rank(fast=(range(12), 0.01), best=(range(2, 12), 0.05), middle=(range(12), 0.02))
    assert [found.backbone for found in ranks] == ["best", "fast", "middle"]
    assert ranks[1].difference == pytest.approx(-0.01)
    assert ranks[1].interval[0] < -0.01 < ranks[1].interval[1] == 0
    assert advised(ranks) == "fast"


def test_a_faster_one_is_not_advised_where_the_best_is_shown_to_beat_it(rank):
    assert advised(rank(fast=(range(40), 0.01), best=(range(2), 0.05))) == "best"


def test_differences_are_told_photo_by_photo(rank):
    """Thirty photos lost and none won say more than fifty lost and twenty won."""
    paired = rank(fast=(range(30), 0.01), best=((), 0.05))[1]
    crossed = rank(fast=(range(50), 0.01), best=(range(100, 120), 0.05))[1]
    assert paired.difference == pytest.approx(crossed.difference)
    assert np.ptp(paired.interval) < np.ptp(crossed.interval)
