"""Where a new breed takes photos from an old one, or is taken for one."""

from types import SimpleNamespace

import numpy as np

from hierpets.growing.steals import Steal, find_confused, find_taken
from hierpets.taxonomy import Leaf, Taxonomy

OLD = Taxonomy(tree={"dog": ("beagle", "pug")})
NEW = Taxonomy(tree={"dog": ("beagle", "husky", "pug")})
BEAGLE, PUG, HUSKY, AKITA = (Leaf("dog", breed) for breed in ("beagle", "pug", "husky", "akita"))


def evaluated(taxonomy, *answers, true=()):
    """What a bundle answers for photos that are numbered, and their true leaves in the old bundle."""
    rows = [taxonomy.leaves.index(answer) for answer in answers]
    leaf_true = np.array([OLD.leaves.index(leaf) if leaf else -1 for leaf in true])
    paths = tuple(f"{n}.jpg" for n in range(len(answers)))
    probabilities = np.eye(len(taxonomy.leaves))[rows]
    return SimpleNamespace(predictions=SimpleNamespace(paths=paths, leaf_true=leaf_true, probabilities=probabilities))


def test_a_new_breed_takes_what_was_right_before_and_is_not_any_more():
    """Not what was wrong, is of no known breed, or is now taken for another old breed."""
    before = evaluated(OLD, PUG, PUG, BEAGLE, PUG, BEAGLE, BEAGLE, true=(PUG, PUG, PUG, None, BEAGLE, BEAGLE))
    after = evaluated(NEW, HUSKY, HUSKY, HUSKY, HUSKY, PUG, BEAGLE)
    (steal,) = find_taken(before, after, OLD, NEW)
    assert (steal.new, steal.old, steal.photos, steal.of_old) == (HUSKY, PUG, ("0.jpg", "1.jpg"), True)
    assert str(steal) == "dog/husky takes 2 photos of dog/pug that were right before: 0.jpg and 1.jpg"


def test_a_steal_of_one_photo_is_told_as_one():
    assert str(Steal(HUSKY, PUG, ("0.jpg",), True)) == "dog/husky takes 1 photo of dog/pug that was right before: 0.jpg"
    told = "dog/husky is hard to tell from dog/pug: 1 of its own photos looks like that: 0.jpg"
    assert str(Steal(HUSKY, PUG, ("0.jpg",), False)) == told


def confused(labels, answers, new=(HUSKY, AKITA)):
    records = [SimpleNamespace(label=label, path=f"{n}.jpg") for n, label in enumerate(labels)]
    predictions = SimpleNamespace(rows=np.arange(len(labels)), answers=answers)
    return find_confused(SimpleNamespace(records=records), predictions, new)


def test_a_new_breed_of_which_more_than_one_photo_in_five_looks_like_an_old_one_is_hard_to_tell_from_it():
    five, two_of_five = [HUSKY] * 5, [PUG, PUG, HUSKY, HUSKY, HUSKY]
    (steal,) = confused(five, two_of_five)
    assert (steal.new, steal.old, steal.photos, steal.of_old) == (HUSKY, PUG, ("0.jpg", "1.jpg"), False)
    assert "dog/husky is hard to tell from dog/pug: 2 of its own photos" in str(steal)
    assert confused(five, [PUG, HUSKY, HUSKY, HUSKY, HUSKY]) == []
    assert confused(five, [PUG, BEAGLE, HUSKY, HUSKY, HUSKY]) == [], "of each old one, one in five"
    assert confused(five, [AKITA] * 5) == [], "both are new"
    assert confused(five, two_of_five, new=(AKITA,)) == [], "photos of an old breed take from none"
