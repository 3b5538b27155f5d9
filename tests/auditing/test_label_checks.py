"""Which photos are held out together when labels are checked."""

import numpy as np

from hierpets.auditing.labels import label_checks
from hierpets.auditing.labels.label_checks import check_labels
from hierpets.auditing.settings import AuditSettings
from hierpets.data.records import PhotoRecord, index_of


def alike(labels):
    return np.ones(len(labels))


def test_check_labels_holds_out_together_what_the_data_states_and_finds_the_rest(monkeypatch):
    """Each pug comes twice: of the first two pairs the data says which animals they show, of the others nothing."""
    stated = {0: "bo", 1: "kim", 2: "bo", 3: "kim"}
    records = [PhotoRecord(f"pug-{n}", "dog", "pug", individual=stated.get(n)) for n in range(8)]
    records += [PhotoRecord(f"cat-{n}", "cat", "birman") for n in range(8)]
    rng, dealt = np.random.default_rng(0), []
    pugs, cats = np.repeat(rng.normal(size=(4, 32)), 2, axis=0), rng.normal(size=(8, 32))

    def assign_folds(labels, **options):
        dealt.append(labels.groups)
        return deal(labels, **options)

    deal = label_checks.assign_folds
    monkeypatch.setattr(label_checks, "assign_folds", assign_folds)
    features = np.concatenate([pugs, cats]).astype(np.float32)
    settings = AuditSettings(neighbors=3)
    check_labels(index_of(records), features, [], within=0.1, weigh=alike, settings=settings)
    assert dealt[0].tolist() == [0, 1, 0, 1, 4, 4, 6, 6, *range(8, 16)]
