"""What a network's logits are worth."""

import math

import numpy as np

from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy
from hierpets.training.score import LabeledLogits


def test_the_loss_of_certainty_is_no_negative_zero():
    tree, zeros = Taxonomy(tree={"cat": (), "dog": ()}), np.zeros(1, int)
    labels = Labels(zeros, zeros, tree.species, tuple(map(str, tree.leaves)))
    logits = np.array([[900.0, 0.0]])
    nll = LabeledLogits(logits, np.zeros((1, 2)), labels, tree, "conditional").score().nll
    assert nll == 0 and math.copysign(1, nll) == 1
