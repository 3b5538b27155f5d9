import numpy as np
import pytest
import torch
from helpers.fakes import TAXONOMY
from hypothesis import given
from hypothesis import strategies as st

from hierpets.hierarchy.probabilities import COMBINERS, log_joint_probabilities, species_probabilities
from hierpets.training.finetuning.loss import Targets, hierarchical_loss, log_levels

S, L = len(TAXONOMY.species), len(TAXONOMY.leaves)


def logits(seed: int, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = (rows, S), (rows, L)
    species, leaf = (torch.randn(size, generator=generator, dtype=torch.float64) * 3 for size in sizes)
    return species.requires_grad_(), leaf.requires_grad_()


def targets(leaf: list[int], species: list[int] | None = None, weight: list[float] | None = None) -> Targets:
    species = TAXONOMY.leaf_species[leaf].tolist() if species is None else species
    weights = torch.tensor(weight or [1.0] * len(leaf), dtype=torch.float64)
    return Targets(torch.tensor(species), torch.tensor(leaf), weights)


@pytest.mark.parametrize("combiner", COMBINERS)
@given(seed=st.integers(0, 1000))
def test_log_levels_multiply_to_the_joint_that_is_served(combiner, seed):
    species, leaf = logits(seed)
    levels = log_levels(species, leaf, TAXONOMY, combiner)
    served = log_joint_probabilities(species.detach().numpy(), leaf.detach().numpy(), TAXONOMY, combiner=combiner)
    joint = levels.breed + levels.species[:, TAXONOMY.leaf_species]
    np.testing.assert_allclose(joint.detach().numpy(), served, atol=1e-9)


@pytest.mark.parametrize("combiner", COMBINERS)
@given(seed=st.integers(0, 1000))
def test_hierarchical_loss_is_the_likelihood_of_the_label(combiner, seed):
    species, leaf = logits(seed)
    labels = [0, 1, 4, 5, -1, -1]
    owners = [0, 0, 1, 2, 0, 1]
    losses = hierarchical_loss(log_levels(species, leaf, TAXONOMY, combiner), targets(labels, owners))
    joint = log_joint_probabilities(species.detach().numpy(), leaf.detach().numpy(), TAXONOMY, combiner=combiner)
    mass = np.log(species_probabilities(np.exp(joint), TAXONOMY))
    expected = [-joint[i, label] if label >= 0 else -mass[i, owners[i]] for i, label in enumerate(labels)]
    np.testing.assert_allclose(losses.detach().numpy(), expected, atol=1e-9)


@given(seed=st.integers(0, 1000))
def test_hierarchical_loss_is_two_cross_entropies_under_conditional(seed):
    species, leaf = logits(seed)
    wanted = targets([0, 2, 3, 5, 1, 4], weight=[1, 2, 3, 0.5, 1, 1])
    losses = hierarchical_loss(log_levels(species, leaf, TAXONOMY, "conditional"), wanted)
    entropy = torch.nn.CrossEntropyLoss()
    for row in range(6):
        s = int(wanted.species[row])
        columns = TAXONOMY.slices[s]
        breed = entropy(leaf[row, columns], wanted.leaf[row] - columns.start)
        expected = wanted.weight[row] * (entropy(species[row], wanted.species[row]) + breed)
        assert losses[row].item() == pytest.approx(expected.item())


@given(seed=st.integers(0, 1000))
def test_hierarchical_loss_without_a_breed_moves_no_breed_head(seed):
    species, leaf = logits(seed)
    labels = targets([-1, 0, -1, 3, -1, -1], species=[0, 0, 1, 1, 1, 2])
    hierarchical_loss(log_levels(species, leaf, TAXONOMY, "conditional"), labels).sum().backward()
    masked = labels.leaf < 0
    assert (leaf.grad[masked] == 0).all()
    assert (species.grad[masked] != 0).any(dim=1).all()
    assert (leaf.grad[~masked] != 0).any(dim=1).all()


def test_hierarchical_loss_of_a_breed_moves_its_own_head_alone():
    species, leaf = logits(0, rows=1)
    levels = log_levels(species, leaf, TAXONOMY, "conditional")
    hierarchical_loss(levels, targets([3])).sum().backward()
    dogs = TAXONOMY.slices[1]
    assert (leaf.grad[0, dogs] != 0).all()
    assert (np.delete(leaf.grad[0].numpy(), np.r_[dogs]) == 0).all()


@pytest.mark.parametrize("combiner", ["shared_softmax", "flat"])
def test_hierarchical_loss_lifts_a_whole_species_under_one_softmax(combiner):
    species, leaf = logits(1, rows=1)
    levels = log_levels(species, leaf, TAXONOMY, combiner)
    hierarchical_loss(levels, targets([-1], species=[1])).sum().backward()
    assert (leaf.grad[0, TAXONOMY.slices[1]] < 0).all()
    assert (leaf.grad[0, TAXONOMY.slices[0]] > 0).all()


@pytest.mark.parametrize("combiner", COMBINERS)
def test_hierarchical_loss_is_finite_for_logits_of_any_size(combiner):
    species = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    leaf = torch.tensor([[1e4, -1e4, 0.0, 1.0, -1e4, 0.0]], requires_grad=True)
    loss = hierarchical_loss(log_levels(species, leaf, TAXONOMY, combiner), targets([4])).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(leaf.grad).all()
