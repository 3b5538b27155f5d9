"""What a pretrained head says of horses, in standard deviations of the training photos."""

import numpy as np
import pytest
import torch
from helpers.features import blobs
from torch import nn

from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedHead
from hierpets.taxonomy import Leaf
from hierpets.training.frozen.other_animals import find_other_animals

LEAVES = [Leaf("cat", "siamese"), Leaf("dog", "beagle"), Leaf("dog", "pug")]
D, CLASSES, HORSE, PONY = 6, 8, 4, 5


def head_of(shown, inputs=D):
    torch.manual_seed(0)
    return PretrainedHead(nn.Linear(inputs, CLASSES), {"dog": (0, 1), "llama": (7,), **shown})


def statistics_of(features, labels, leaves=LEAVES):
    return ClassStatistics.of(features, labels, np.ones(len(features)), leaves)


@pytest.mark.parametrize("inputs", [D, D - 2])
def test_training_photos_have_a_mean_of_zero_and_a_deviation_of_one(inputs):
    """Also where the head takes the first features alone."""
    features, labels = blobs([30, 20, 10], dimensions=D)
    head = head_of({"horse": (HORSE, PONY)}, inputs)
    found = find_other_animals(statistics_of(features, labels), head)
    assert [animal.name for animal in found] == ["horse", "horse"]
    with torch.no_grad():
        logits = head.head(torch.from_numpy(features[:, :inputs])).double().numpy()
    for animal, shown in zip(found, (HORSE, PONY), strict=True):
        lead = logits[:, shown] - logits.mean(axis=1)
        expected = (lead - lead.mean()) / lead.std()
        np.testing.assert_allclose([animal.likeness(photo) for photo in features], expected, atol=1e-4)


def test_species_with_training_photos_are_no_other_animals():
    features, labels = blobs([5, 5], dimensions=D)
    head = head_of({"horse": (HORSE,)})
    assert len(find_other_animals(statistics_of(features, labels, [Leaf("cat", None), Leaf("dog", None)]), head)) == 1
    assert find_other_animals(statistics_of(features, labels, [Leaf("dog", None), Leaf("horse", None)]), head) == ()


def test_where_a_head_names_no_such_animal_or_photos_do_not_differ_nothing_is_known():
    features, labels = blobs([30, 20, 10], dimensions=D)
    known = statistics_of(features, labels)
    assert find_other_animals(known, None) == find_other_animals(known, head_of({})) == ()
    assert find_other_animals(statistics_of(features[:1], labels[:1]), head_of({"horse": (HORSE,)})) == ()
