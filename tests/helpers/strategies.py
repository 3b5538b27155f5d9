"""Random taxonomies, ragged ones among them, and logits that fit them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hierpets.taxonomy import Taxonomy


@st.composite
def taxonomies(draw: st.DrawFn) -> Taxonomy:
    sizes = draw(st.lists(st.integers(0, 5), min_size=1, max_size=4))
    return Taxonomy(tree={f"s{i}": tuple(f"b{j}" for j in range(size)) for i, size in enumerate(sizes)})


@st.composite
def logits_of(draw: st.DrawFn) -> tuple[Taxonomy, np.ndarray, np.ndarray]:
    taxonomy = draw(taxonomies())
    rows = draw(st.integers(1, 4))
    finite = st.floats(-500, 500, width=32)
    species = draw(npst.arrays(np.float32, (rows, len(taxonomy.species)), elements=finite))
    leaf = draw(npst.arrays(np.float32, (rows, len(taxonomy.leaves)), elements=finite))
    return taxonomy, species, leaf
