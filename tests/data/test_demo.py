"""The drawn pets: the same name gives the same pixels, and names that are none are refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from hierpets.data.demo import demo_index, render
from hierpets.data.labeled.split import check_trainable
from hierpets.data.photos import read_photo
from hierpets.data.records import SPLITS
from hierpets.errors import ImageError
from hierpets.taxonomy import UNKNOWN_LEAF

CODE = "import hashlib; from hierpets.data.demo import render; print(hashlib.md5(render('demo:dog/pug/7')).hexdigest())"


def test_demo_index_is_ragged_unbalanced_and_trainable():
    index = demo_index()
    check_trainable(index)
    counts = index.counts()
    dogs = sum(n for leaf, n in counts.items() if leaf.species == "dog")
    cats = sum(n for leaf, n in counts.items() if leaf.species == "cat")
    assert dogs > 1.5 * cats
    assert index.taxonomy.tree["rabbit"] == ()
    assert len(index.taxonomy.tree["cat"]) >= 3
    assert len(index.taxonomy.tree["dog"]) >= 3
    assert (index.labels().leaf == UNKNOWN_LEAF).any(), "some cats have no stated breed"
    for split in SPLITS:
        part = index.subset(split)
        assert all(n > 0 for n in part.counts().values()), f"{split} lacks a class"


def test_demo_index_names_are_unique_and_render():
    paths = demo_index().paths
    assert len(set(paths)) == len(paths)
    first = {path.rsplit("/", 1)[0]: path for path in paths}
    for path in first.values():
        photo = read_photo(path)
        assert photo.shape == (256, 256, 3)
        assert photo.dtype == np.uint8
        assert photo.std() > 15, "a photo with something on it"


def test_render_gives_the_same_pixels_in_another_process():
    here = hashlib.md5(render("demo:dog/pug/7")).hexdigest()
    there = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there


def test_render_makes_another_photo_of_every_number():
    photos = {render(f"demo:cat/calico/{n}").tobytes() for n in range(12)}
    assert len(photos) == 12


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("demo:dog/pugg/1", "did you mean 'dog/pug'"),
        ("demo:dog/pug", "expected demo:SPECIES/BREED/NUMBER"),
        ("demo:dog/pug/x", "expected demo:SPECIES/BREED/NUMBER"),
        ("demo:horse/arab/1", "no demo pet"),
    ],
)
def test_render_refuses_a_malformed_or_unknown_name(uri, message):
    with pytest.raises(ImageError, match=message):
        read_photo(uri)
