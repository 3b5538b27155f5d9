import numpy as np
import torch
from helpers.fakes import TAXONOMY

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


def test_output_has_a_column_for_each_species_and_leaf():
    output = network()(torch.zeros(5, 3, 4, 4))
    assert output.features.shape == (5, D)
    assert output.species.shape == (5, 3)
    assert output.leaf.shape == (5, 6)


def test_an_answer_does_not_depend_on_its_batch():
    net, images = network().eval(), torch.randn(4, 3, 4, 4)
    together = net(images)
    for i in range(4):
        alone = net(images[i : i + 1])
        torch.testing.assert_close(alone.leaf[0], together.leaf[i])
        torch.testing.assert_close(alone.species[0], together.species[i])


def test_heads_go_in_and_come_out_as_they_were_but_for_species_without_breeds():
    net, heads = network(), random_heads()
    net.set_heads(heads)
    back = net.get_heads()
    np.testing.assert_array_equal(back.species.weight, heads.species.weight)
    np.testing.assert_array_equal(back.leaf.weight[:5], heads.leaf.weight[:5])
    np.testing.assert_array_equal(back.leaf.bias[:5], heads.leaf.bias[:5])
    assert (back.leaf.weight[5] == 0).all()  # rabbit
    assert back.leaf.bias[5] == 0


def test_the_network_computes_what_the_heads_compute():
    net, heads = network().eval(), random_heads(1)
    net.set_heads(heads)
    output = net(torch.randn(3, 3, 4, 4))
    species, leaf = net.get_heads()(output.features.detach().numpy())
    np.testing.assert_allclose(output.species.detach().numpy(), species, atol=1e-5)
    np.testing.assert_allclose(output.leaf.detach().numpy(), leaf, atol=1e-5)
