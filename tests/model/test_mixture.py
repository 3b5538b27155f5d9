import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from hierpets.hierarchy.probabilities import joint_probabilities, species_probabilities
from hierpets.model.mixture import BreedGate, BreedMixture, SpeciesWeights
from hierpets.model.ood import SIGNALS, Evidence
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import PRETRAINED_TEMPERATURE
from hierpets.plugin import PretrainedBreed, PretrainedHead
from hierpets.taxonomy import Taxonomy

TRAINED = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("beagle", "pug"), "rabbit": ()})
HEAD = PretrainedHead(
    torch.nn.Linear(4, 5),
    {},
    {
        0: (PretrainedBreed("dog", "beagle"),),
        1: (PretrainedBreed("dog", "collie"),),
        2: (PretrainedBreed("dog", "kuvasz"),),
    },
)
BREEDS = PretrainedBreeds.of(TRAINED, HEAD, extended={"dog"})
DIVISORS = np.array([2.0, 4.0, 1.0])


def gate(generator) -> BreedGate:
    closed = BreedGate.closed(3)
    weight, bias = closed.weight.copy(), closed.bias.copy()
    weight[1], bias[1] = generator.normal(size=(3, len(SIGNALS))), generator.normal(size=3)
    return BreedGate(np.full(len(SIGNALS), 0.5, np.float32), np.full(len(SIGNALS), 2.0, np.float32), weight, bias)


def photos(generator, n: int = 6) -> tuple[torch.Tensor, Evidence]:
    logits = torch.from_numpy(generator.normal(size=(n, 5)).astype(np.float32) * 5)
    shapes = ((n, 3), (n, 3), (n, 3, len(SIGNALS)), (n, 3))
    tables = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return logits, Evidence(*map(torch.from_numpy, tables))


def expected(logits, evidence, weights):
    """The dogs' distribution, spelled out: beagle, collie, kuvasz, pug."""
    signals = (evidence.breed[:, 1].numpy() - 0.5) / 2.0
    trained, pretrained, _ = softmax(signals @ weights.weight[1].T + weights.bias[1], axis=1).T
    own = softmax(logits[:, 2:4].numpy() / 4.0, axis=1)
    known = softmax(evidence.classes.numpy() / PRETRAINED_TEMPERATURE, axis=1)
    return np.stack(
        [
            trained * own[:, 0] + pretrained * known[:, 0],
            pretrained * known[:, 1],
            pretrained * known[:, 2],
            trained * own[:, 1],
        ],
        axis=1,
    )


@given(st.integers(0, 2**32 - 1))
def test_the_gate_weighs_both_heads_and_a_trained_breed_takes_what_pretraining_says_of_it(seed):
    generator = np.random.default_rng(seed)
    weights, (logits, evidence) = gate(generator), photos(generator)
    leaf, listed = BreedMixture.build(BREEDS, weights, DIVISORS)(logits, evidence)
    dogs = expected(logits, evidence, weights)
    np.testing.assert_allclose(leaf.exp().numpy()[:, 2:6], dogs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(listed[:, 1].numpy(), dogs.sum(axis=1), rtol=1e-3, atol=1e-5)
    assert (listed <= 1).all()


def test_both_heads_are_heard_on_the_species_as_much_as_their_weights_say():
    logits, (_, evidence) = torch.randn(6, 3), photos(np.random.default_rng(4))
    weighted = BreedMixture.build(BREEDS, BreedGate.closed(3), DIVISORS, species_weights=SpeciesWeights(0.5, 2.0))
    found = weighted.mix_species(logits, evidence)
    torch.testing.assert_close(found, 0.5 * logits + 2.0 * evidence.species)
    plain = BreedMixture.build(BREEDS, BreedGate.closed(3), DIVISORS)
    assert plain.mix_species(logits, evidence) is logits
    assert "species_weights" not in plain.state_dict()


def test_a_closed_gate_leaves_the_trained_breeds_alone():
    generator = np.random.default_rng(0)
    logits, evidence = photos(generator)
    leaf, listed = BreedMixture.build(BREEDS, BreedGate.closed(3), DIVISORS)(logits, evidence)
    np.testing.assert_allclose(leaf.exp().numpy()[:, :2], softmax(logits[:, :2].numpy() / 2.0, axis=1), rtol=1e-4)
    assert (leaf.exp()[:, 3:5] < 1e-6).all()
    torch.testing.assert_close(leaf[:, 6], torch.zeros(len(leaf)), atol=1e-5, rtol=0)
    torch.testing.assert_close(listed, torch.ones_like(listed))


def test_a_mixture_without_a_pretrained_head_is_that_of_its_trained_breeds():
    breeds = PretrainedBreeds.of(TRAINED, None)
    generator = np.random.default_rng(1)
    logits, evidence = photos(generator)
    leaf, _ = BreedMixture.build(breeds, BreedGate.closed(3), DIVISORS)(
        logits, evidence._replace(classes=torch.zeros(6, 0))
    )
    np.testing.assert_allclose(leaf.exp().numpy()[:, 2:4], softmax(logits[:, 2:4].numpy() / 4.0, axis=1), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mixture_is_finite_whatever_the_logits(dtype):
    logits, evidence = photos(np.random.default_rng(2))
    extreme = evidence._replace(breed=evidence.breed * 100, classes=evidence.classes * 10 - 30)
    mixture = BreedMixture.build(BREEDS, gate(np.random.default_rng(3)), DIVISORS).to(dtype)
    leaf, listed = mixture((logits * 1000).to(dtype), Evidence(*(column.to(dtype) for column in extreme)))
    assert leaf.isfinite().all() and listed.isfinite().all()


def test_a_leaf_without_any_probability_is_a_number_in_onnx_too(tmp_path):
    """torch's exporter drops a sum with as little as 1e-12, and the logarithm of zero with it."""
    onnxruntime = pytest.importorskip("onnxruntime")

    class Logarithms(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mixture = BreedMixture.build(BREEDS, gate(np.random.default_rng(0)), DIVISORS)

        def forward(self, logits, *evidence):
            return self.mixture(logits, Evidence(*evidence))[0]

    logits, evidence = photos(np.random.default_rng(0))
    logits[:, 0] = 1000.0  # a birman, and by no chance a Siamese
    given = (logits, *evidence)
    torch.onnx.export(Logarithms(), given, tmp_path / "mixture.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "mixture.onnx")
    inputs = {one.name: value.numpy() for one, value in zip(session.get_inputs(), given, strict=True)}
    (found,) = session.run(None, inputs)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, Logarithms()(*given).numpy(), atol=1e-4)


@pytest.mark.parametrize("combiner", ["flat", "shared_softmax"])
@pytest.mark.parametrize("closed", [True, False])
def test_combiners_that_compare_species_get_what_they_were_trained_with(combiner, closed):
    """A gate says whether a breed is listed, which is no evidence for or against a species."""
    generator = np.random.default_rng(2)
    logits, evidence = photos(generator)
    species = torch.from_numpy(generator.normal(size=(len(logits), 3)).astype(np.float32)) * 3
    chosen = BreedGate.closed(3) if closed else gate(generator)
    served, _ = BreedMixture.build(BREEDS, chosen, DIVISORS, combiner=combiner)(logits, evidence)
    raw = logits.numpy() / DIVISORS[TRAINED.leaf_species]
    wanted = joint_probabilities(species.numpy(), raw, TRAINED, combiner=combiner)
    found = joint_probabilities(species.numpy(), served.numpy(), BREEDS.taxonomy, combiner=combiner)
    by_species = [species_probabilities(joint, tree) for joint, tree in ((wanted, TRAINED), (found, BREEDS.taxonomy))]
    np.testing.assert_allclose(*by_species, atol=1e-4)
    if closed:
        np.testing.assert_allclose(found[:, BREEDS.trained_columns], wanted, atol=1e-4)
