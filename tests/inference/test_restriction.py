import pytest
from hierpets.inference.restriction import label_mask

from hierpets.errors import ConfigError
from hierpets.taxonomy import Taxonomy

TAXONOMY = Taxonomy(tree={"cat": ("birman", "chinchilla"), "dog": ("beagle", "chinchilla"), "rabbit": ()})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["dog"], [0, 0, 1, 1, 0]),
        (["birman"], [1, 0, 0, 0, 0]),
        (["dog/chinchilla", "rabbit"], [0, 0, 0, 1, 1]),
    ],
)
def test_names_of_species_and_breeds(names, expected):
    assert label_mask(names, TAXONOMY).astype(int).tolist() == expected


def test_a_file_of_names(tmp_path):
    (tmp_path / "breeds.txt").write_text("# ours\nbeagle\n\ncat/birman  # the white one\n")
    assert label_mask([str(tmp_path / "breeds.txt")], TAXONOMY).astype(int).tolist() == [1, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("name", "message"), [("beagel", "did you mean 'beagle'"), ("chinchilla", "say cat/chinchilla or dog/chinchilla")]
)
def test_names_that_are_unknown_or_ambiguous(name, message):
    with pytest.raises(ConfigError, match=message):
        label_mask([name], TAXONOMY)
