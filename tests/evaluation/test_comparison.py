"""A difference is called one only when it is more than luck."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn import metrics as sk

from hierpets.cli.develop.compare import command
from hierpets.errors import DataError
from hierpets.evaluation.comparison import compare_records, mcnemar_exact
from hierpets.evaluation.metrics.levels import breed_level, species_level
from hierpets.evaluation.records import RECORDS_FILE, find_records, inside, read_records, records_of


def swapped(predictions, share: float, seed: int = 1):
    """The same photos, of which a share gets another photo's probabilities: a worse model."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(len(predictions)) < share)
    probabilities = predictions.probabilities.copy()
    probabilities[rows] = probabilities[rng.permutation(rows)]
    return replace(predictions, probabilities=probabilities)


def write_run(folder, predictions):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [record.model_dump_json() for record in records_of(predictions)]
    (folder / RECORDS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def records(predictions):
    return list(records_of(predictions))


def test_records_say_what_the_arrays_say(predictions, records):
    assert [r.species_right for r in records] == species_level(predictions).hit.tolist()
    told = [r.breed_right for r in records if r.breed is not None]
    assert told == breed_level(predictions).hit.tolist()
    for i, record in enumerate(records[:50]):
        assert record.top[0].probability == predictions.probabilities[i].max()
        assert sum(record.species_probabilities.values()) == pytest.approx(1)
        assert record.answer.level == predictions.level[i]
        assert (record.answer.species is None) == (record.answer.level == "unknown")
        assert (record.probability_of_truth is None) == (predictions.leaf_true[i] < 0)


def test_records_survive_the_file(tmp_path, predictions, records):
    assert read_records(find_records(write_run(tmp_path / "run", predictions))) == records
    assert find_records(tmp_path / "run" / RECORDS_FILE).is_file()
    write_run(tmp_path / "training" / "evaluation", predictions)
    assert find_records(tmp_path / "training").parent.name == "evaluation"


def test_a_much_worse_model_is_called_worse(predictions, records):
    worse = list(records_of(swapped(predictions, 0.3)))
    found = compare_records(records, worse, names=("good", "bad"))["levels"]
    assert found["species"]["winner"] == found["breed"]["winner"] == "a"
    assert found["breed"]["verdict"].startswith("good is better")
    turned = compare_records(worse, records, names=("bad", "good"))["levels"]["breed"]
    assert turned["winner"] == "b"
    assert turned["difference"]["accuracy"] == pytest.approx(-found["breed"]["difference"]["accuracy"])
    assert turned["mcnemar"]["p_value"] == pytest.approx(found["breed"]["mcnemar"]["p_value"])


def test_numbers_agree_with_scikit_learn(predictions, records):
    worse = swapped(predictions, 0.2)
    found = compare_records(records, list(records_of(worse)), names=("a", "b"))["levels"]["species"]
    for side, level in (("a", species_level(predictions)), ("b", species_level(worse))):
        assert found[side]["accuracy"] == pytest.approx(sk.accuracy_score(level.truth, level.guess))
        assert found[side]["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(level.truth, level.guess))
    low, high = found["interval"]["balanced_accuracy"]
    assert low < found["difference"]["balanced_accuracy"] < high


def test_a_small_difference_is_not_called_a_win(predictions, records):
    almost = list(records_of(swapped(predictions, 0.008)))
    found = compare_records(records, almost, names=("a", "b"))["levels"]["breed"]
    assert found["difference"]["accuracy"] != 0
    assert found["winner"] is None and found["verdict"].startswith("no difference shown")


def test_a_model_is_no_better_than_itself(records):
    found = compare_records(records, records[::-1], names=("a", "b"))["levels"]["species"]
    assert found["difference"] == {"accuracy": 0, "balanced_accuracy": 0}
    assert found["mcnemar"]["p_value"] == 1 and found["winner"] is None


def test_false_alarms_are_rare(records):
    rng = np.random.default_rng(5)
    wins = 0
    for trial in range(60):
        # Two models of the same worth, each wrong on its own tenth of the photos.
        pair = [
            [r if rng.random() > 0.1 else r.model_copy(update={"top": [r.top[-1]]}) for r in records[:150]]
            for _ in range(2)
        ]
        wins += (
            compare_records(*pair, names=("a", "b"), seed=trial, resamples=200)["levels"]["breed"]["winner"] is not None
        )
    assert wins <= 8  # 3 expected of 60 at the 5 % level


def test_mcnemar_by_hand():
    assert mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(0, 5) == pytest.approx(2 / 2**5)
    assert mcnemar_exact(1, 4) == pytest.approx(2 * (1 + 5) / 2**5)


def test_other_photos_are_refused_with_their_number(records):
    with pytest.raises(DataError, match=r"3 only in old .*same --data"):
        compare_records(records, records[3:], names=("old", "new"))
    with pytest.raises(DataError, match=r"400 only in old .* 400 only in new"):
        elsewhere = [r.model_copy(update={"path": r.path + ".png"}) for r in records]
        compare_records(records, elsewhere, names=("old", "new"))


def test_a_data_set_may_have_been_moved(records):
    moved = [r.model_copy(update={"path": "/elsewhere/pets/" + r.path}) for r in records]
    assert compare_records(records, moved, names=("a", "b"))["n"] == 400
    assert inside(["/d/cat/a.jpg", "/d/dog/b.jpg"]) == ["cat/a.jpg", "dog/b.jpg"]
    assert inside(["/d/a.jpg"]) == ["a.jpg"] and inside(["/d/a.jpg", "b.jpg"]) == ["/d/a.jpg", "b.jpg"]


def test_other_labels_are_refused(records):
    relabeled = [records[0].model_copy(update={"species": "horse"}), *records[1:]]
    with pytest.raises(DataError, match="labels of 1 photos differ"):
        compare_records(records, relabeled, names=("a", "b"))


def test_a_file_that_is_no_record_names_its_line(tmp_path, predictions):
    path = write_run(tmp_path, predictions) / RECORDS_FILE
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"path": "x"}']))
    with pytest.raises(DataError, match=rf"{RECORDS_FILE}:2: not a record"):
        read_records(path)
    with pytest.raises(DataError, match="holds no evaluation"):
        find_records(tmp_path / "nothing")


def test_command_says_it_in_words_and_in_json(tmp_path, predictions):
    runs = [str(write_run(tmp_path / "a", predictions)), str(write_run(tmp_path / "b", swapped(predictions, 0.3)))]
    text = CliRunner().invoke(command, runs, env={"COLUMNS": "200"})
    assert text.exit_code == 0 and "is better" in text.output and "balanced" in text.output
    data = json.loads(CliRunner().invoke(command, [*runs, "--json"]).output)
    assert data["levels"]["breed"]["winner"] == "a" and data["n"] == 400
    narrow = CliRunner().invoke(command, [runs[0], runs[0]], env={"COLUMNS": "64"}).output
    assert "…" not in narrow and "each is right where the other is" in " ".join(narrow.split())
