import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY

from hierpets.hierarchy.probabilities import COMBINERS, joint_probabilities
from hierpets.model.heads import Heads, Linear
from hierpets.model.network import HierarchicalNetwork

D = 7


def network() -> HierarchicalNetwork:
    torch.manual_seed(0)
    return HierarchicalNetwork(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, D)), D, TAXONOMY)


def random_heads(seed: int = 0) -> Heads:
    generator = np.random.default_rng(seed)

    def linear(rows: int) -> Linear:
        weight = generator.normal(size=(rows, D)).astype(np.float32)
        return Linear(weight, generator.normal(size=rows).astype(np.float32))

    return Heads(species=linear(3), leaf=linear(6))


def test_network_output_has_a_column_for_each_species_and_leaf():
    output = network()(torch.zeros(5, 3, 4, 4))
    assert output.features.shape == (5, D)
    assert output.species.shape == (5, 3)
    assert output.leaf.shape == (5, 6)


def test_network_output_does_not_depend_on_its_batch():
    net, images = network().eval(), torch.randn(4, 3, 4, 4)
    together = net(images)
    for i in range(4):
        alone = net(images[i : i + 1])
        torch.testing.assert_close(alone.leaf[0], together.leaf[i])
        torch.testing.assert_close(alone.species[0], together.species[i])


def test_set_heads_and_get_heads_are_inverse():
    net, heads = network(), random_heads()
    net.set_heads(heads)
    back = net.get_heads()
    for level in ("species", "leaf"):
        np.testing.assert_array_equal(getattr(back, level).weight, getattr(heads, level).weight)
        np.testing.assert_array_equal(getattr(back, level).bias, getattr(heads, level).bias)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_network_serves_what_the_fitted_heads_gave(combiner):
    """Also for a species without breeds, whose leaf logit counts under ``flat`` and ``shared_softmax``."""
    net, heads = network().eval(), random_heads(1)
    net.set_heads(heads)
    output = net(torch.randn(3, 3, 4, 4))
    served = joint_probabilities(
        output.species.detach().numpy(), output.leaf.detach().numpy(), TAXONOMY, combiner=combiner
    )
    measured = joint_probabilities(*heads(output.features.detach().numpy()), TAXONOMY, combiner=combiner)
    np.testing.assert_allclose(served, measured, atol=1e-5)
