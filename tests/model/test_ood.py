import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from hierpets.model.ood import SIGNALS, OODScorer
from hierpets.model.pretrained_breeds import PretrainedBreeds
from hierpets.model.pretrained_head import (
    PRETRAINED_TEMPERATURE,
    classes_by_species,
    pretrained_probabilities,
    species_classes,
)
from hierpets.model.statistics.classes import ClassStatistics
from hierpets.plugin import PretrainedBreed, PretrainedHead
from hierpets.taxonomy import Leaf, Taxonomy
from hierpets.training.frozen.lda import fit_lda

D, K = 12, 6
ANY = torch.zeros(60, 1)  # of logits of species; only a grown one changes what is a pet


@pytest.fixture
def photos():
    """Three clouds, and outliers from elsewhere: features and labels."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(3, D, generator=generator) * 3
    labels = torch.arange(60) % 3
    known = centers[labels] + 0.3 * torch.randn(60, D, generator=generator)
    outliers = torch.randn(60, D, generator=generator) * 3
    return known, labels, outliers


def knowledge(species_classes) -> PretrainedHead:
    torch.manual_seed(1)
    return PretrainedHead(head=torch.nn.Linear(D, K), species_classes=species_classes)


def fit(known, labels, head, species) -> OODScorer:
    names = tuple(Leaf("cat", str(c)) for c in range(int(labels.max()) + 1))
    probabilities = pretrained_probabilities(head.head, known).detach().numpy() if head else None
    statistics = ClassStatistics.of(known.numpy(), labels.numpy(), np.ones(len(labels)), names, probabilities)
    return OODScorer.build(
        known=names,
        breeds=PretrainedBreeds.of(Taxonomy.from_pairs(names), head),
        means=statistics.means,
        profiles=statistics.profiles_of(names),
        discriminant=fit_lda(statistics, names, shrinkage=0.4),
        pretrained_head=head.head if head else None,
        species_classes=species_classes(head, species),
    )


def test_cosine_agrees_with_scikit_learn(photos):
    known, labels, outliers = photos
    part = fit(known, labels, None, ("cat",))
    means = torch.stack([known[labels == c].mean(dim=0) for c in range(3)])
    expected = cosine_similarity(outliers.numpy(), means.numpy()).max(axis=1)
    np.testing.assert_allclose(part(outliers).pet[:, 0, 0].detach().numpy(), expected, atol=0.02)


@pytest.mark.parametrize("species_classes", [{"cat": (0, 1)}, {}])
def test_strangers_score_lower_than_pets(photos, species_classes):
    known, labels, outliers = photos
    part = fit(known, labels, knowledge(species_classes), ("cat",))
    part.standardize(part(known).pet.detach())
    pets, others = (part.pet_score(part(x).pet, ANY) for x in (known, outliers))
    assert (pets.median() > others).float().mean() > 0.9


def test_profile_is_one_for_what_was_always_seen(photos):
    known, _labels, _ = photos
    same = known[:1].expand(9, -1)
    part = fit(same, torch.zeros(9, dtype=torch.int64), knowledge({"cat": (0,)}), ("cat",))
    assert part(same).breed[..., SIGNALS.index("profile")].abs().max() < 0.02


def test_kin_is_the_log_of_what_the_pretrained_head_gives_to_the_species(photos):
    known, labels, outliers = photos
    head = knowledge({"cat": (0, 2), "dog": (3,)})
    part = fit(known, labels, head, ("cat", "dog"))
    # A softmax to a power, normalized, is the softmax at another temperature.
    seen = (head.head(outliers) / PRETRAINED_TEMPERATURE).softmax(dim=1)[:, [0, 2, 3]].sum(dim=1).log()
    torch.testing.assert_close(part(outliers).pet[:, 0, 1], seen, atol=0.1, rtol=0.05)


def test_lead_is_that_of_the_species_over_everything_else(photos):
    known, labels, outliers = photos
    part = fit(known, labels, knowledge({"cat": (0, 2), "dog": (3,)}), ("cat", "dog"))
    seen = pretrained_probabilities(part.pretrained_head, outliers).detach()
    lead = (seen[:, [0, 2, 3]].amax(dim=1) / seen[:, [1, 4, 5]].amax(dim=1)).log()
    torch.testing.assert_close(part(outliers).pet[:, 0, 2], lead, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("hidden", [(), (2,)])
def test_what_the_pretrained_head_says_of_breeds_that_photos_taught_and_of_others(photos, hidden):
    """Its class 1 shows a trained breed and another, alike; class 2 a breed that no photo taught."""
    known, labels, outliers = photos
    one, two, lop, manx = (PretrainedBreed("cat", name) for name in ("0", "1", "lop", "manx"))
    head = PretrainedHead(knowledge({}).head, {"cat": range(3)}, {0: (one,), 1: (two, lop), 2: (manx,)})
    part = fit(known, labels, head, ("cat",))
    hide = torch.zeros(len(outliers), 3, dtype=torch.bool)
    hide[:, list(hidden)] = True
    found = dict(zip(SIGNALS, part(outliers, hide).breed[:, 0].detach().T, strict=True))
    classes = pretrained_probabilities(part.pretrained_head, outliers).detach().double()[:, :3].masked_fill(hide, 0.0)
    within = classes / classes.sum(dim=1, keepdim=True)
    trained, others = within * torch.tensor([1, 0.5, 0]), within * torch.tensor([0, 0.5, 1])
    winner = part.discriminant(outliers).argmax(dim=1)
    expected = {
        "species": classes.sum(dim=1).log().clamp(min=-8),
        "untrained": (others.sum(dim=1) / trained.sum(dim=1)).log().clamp(-12, 12),
        "best_untrained": others.amax(dim=1).log().clamp(min=-8),
        "winner": trained.gather(1, winner[:, None])[:, 0].log().clamp(min=-8),
    }
    for name, signal in expected.items():
        torch.testing.assert_close(found[name].double(), signal, atol=1e-2, rtol=1e-2, msg=name)


def test_a_single_photo_sets_no_scale(photos):
    known, labels, _ = photos
    part = fit(known, labels, None, ("cat",))
    part.standardize(part(known[:1]).pet.detach())
    assert part.center.abs().max() == 0
    assert (part.scale == 1).all()


def test_a_species_that_pretraining_does_not_name_makes_kin_unused(photos):
    known, labels, _ = photos
    part = fit(known, labels, knowledge({"cat": (0,)}), ("cat", "axolotl"))
    assert (part(known).pet[..., 1] == 0).all()


PETS = Taxonomy(tree={"cat": ("birman", "siamese"), "dog": ("pug",), "ferret": ()})


def of_species(known, labels, shows_each) -> OODScorer:
    """A scorer of a head of which 0 and 1 show cats, 3 shows dogs, and none a ferret."""
    head = knowledge({}).head
    probabilities = torch.softmax(head(known), dim=1).detach().numpy()
    statistics = ClassStatistics.of(known.numpy(), labels.numpy(), np.ones(len(labels)), PETS.leaves[:3], probabilities)
    return OODScorer.build(
        known=PETS.leaves[:3],
        breeds=PretrainedBreeds.of(PETS, None),
        means=statistics.means,
        profiles=statistics.profiles_of(PETS.leaves[:3]),
        discriminant=fit_lda(statistics, PETS.leaves[:3], shrinkage=0.4),
        pretrained_head=head,
        species_classes=[],
        shows_each=shows_each,
    )


def test_the_mass_of_a_species_is_that_of_its_classes_or_what_shows_no_other(photos):
    known, labels, outliers = photos
    shows_each = classes_by_species({"cat": (0, 1), "dog": (3,), "horse": (4,)}, PETS, K)
    part = of_species(known, labels, shows_each)
    sharp = pretrained_probabilities(part.pretrained_head, outliers) ** (1 / PRETRAINED_TEMPERATURE)
    mass = (sharp / sharp.sum(dim=1, keepdim=True)).detach()
    expected = torch.stack([mass[:, [0, 1]].sum(dim=1), mass[:, 3], mass[:, [2, 4, 5]].sum(dim=1)], dim=1)
    torch.testing.assert_close(part(outliers).species.detach().exp(), expected, atol=1e-4, rtol=1e-3)
    again = OODScorer(D, part.spec)
    again.load_state_dict(part.state_dict())
    torch.testing.assert_close(again(outliers).species, part(outliers).species)


def test_a_head_that_has_no_say_in_the_species_says_nothing(photos):
    known, labels, outliers = photos
    part = of_species(known, labels, None)
    assert (part(outliers).species == 0).all()
    assert "shows_each" not in part.state_dict()


@pytest.mark.parametrize(
    ("shown", "tree"),
    [
        ({"horse": (4,)}, PETS.tree),  # shows none of them
        ({"cat": (0,)}, {"cat": ("birman", "siamese")}),  # nothing to tell apart
        ({"cat": (0,), "dog": (3,)}, {"cat": (), "dog": ()}),  # all kinds of cats and dogs were seen
    ],
)
def test_a_head_has_no_say_in_the_species_where_it_helps_nobody(shown, tree):
    assert classes_by_species(shown, Taxonomy(tree=tree), K) is None


def test_the_spec_builds_the_same_shapes(photos):
    known, labels, _ = photos
    part = fit(known, labels, knowledge({"cat": (0, 1)}), ("cat",))
    again = OODScorer(D, part.spec)
    again.load_state_dict(part.state_dict())
    for one, other in zip(again(known), part(known), strict=True):
        torch.testing.assert_close(one, other)


def test_a_species_of_one_leaf_leads_by_nothing(photos):
    """Or its photos would set the scale on which the lead of every other species is measured."""
    known, labels, outliers = photos
    names = (Leaf("cat", "a"), Leaf("cat", "b"), Leaf("rabbit", None))
    statistics = ClassStatistics.of(known.numpy(), labels.numpy(), np.ones(len(labels)), names)
    part = OODScorer.build(
        known=names,
        breeds=PretrainedBreeds.of(Taxonomy.from_pairs(names), None),
        means=statistics.means,
        profiles=statistics.profiles_of(names),
        discriminant=fit_lda(statistics, names, shrinkage=0.4),
        pretrained_head=None,
        species_classes=species_classes(None, ("cat", "rabbit")),
    )
    margin = part(torch.cat([known, outliers])).breed[..., SIGNALS.index("margin")]
    assert (margin[:, 1] == 0).all()
    assert (margin[:, 0] > 0).all()
