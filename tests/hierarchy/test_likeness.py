"""How much a photo looks like another animal: linear in its features."""

import numpy as np
import pytest
from pydantic import ValidationError

from hierpets.hierarchy.likeness import OtherAnimal, likeness_to

HORSES = tuple(OtherAnimal(name="horse", weights=weights, bias=-1.0) for weights in ((2.0, 0.0), (0.0, 3.0)))
ZEBRA = OtherAnimal(name="zebra", weights=(5.0, 5.0), bias=0.0)


def test_a_photo_looks_like_what_it_looks_like_most():
    features = np.array([1.0, 2.0], np.float32)
    assert [animal.likeness(features) for animal in (*HORSES, ZEBRA)] == [1.0, 5.0, 15.0]
    assert likeness_to(["horse", "cow"], features, (*HORSES, ZEBRA), unknown=7.0) == 5.0
    assert likeness_to(["cow"], features, (*HORSES, ZEBRA), unknown=7.0) == 7.0


@pytest.mark.parametrize("fields", [{"weights": (np.nan,)}, {"bias": np.inf}, {"name": "a horse"}])
def test_numbers_must_be_finite_and_the_name_plain(fields):
    with pytest.raises(ValidationError):
        OtherAnimal(**{"name": "horse", "weights": (1.0,), "bias": 0.0, **fields})
