"""What copies of a photo are called, by the splits and labels of the copies."""

import pytest

from hierpets.auditing.pairs.duplicates import Pair
from hierpets.auditing.pairs.same_photos import check_same_photos
from hierpets.data.records import PhotoRecord


@pytest.mark.parametrize(
    ("splits", "kind"),
    [
        (("train", "test"), "leak"),
        ((None, "test"), "leak"),
        (("val", None), "leak"),
        (("train", None), "duplicate"),
        ((None, None), "duplicate"),
    ],
)
def test_copies_leak_into_photos_of_no_split_which_training_learns_from(splits, kind):
    records = [PhotoRecord(f"{n}.jpg", "cat", "birman", split) for n, split in enumerate(splits)]
    (found,) = check_same_photos(records, [Pair(0, 1, "exact", 1.0)])
    assert found.kind == kind
    assert kind == "duplicate" or "train" in found.what
