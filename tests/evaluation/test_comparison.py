"""A difference is called one only when it is more than luck."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test
from sklearn import metrics as sk

from hierpets.bundle.identity import ModelId
from hierpets.cli.develop.compare import command
from hierpets.errors import DataError
from hierpets.evaluation.comparison.level import mcnemar_exact
from hierpets.evaluation.comparison.run import compare, compare_records
from hierpets.evaluation.metrics.compute import evaluate_predictions, metrics_json
from hierpets.evaluation.metrics.levels import breed_level, species_level
from hierpets.evaluation.metrics.schema import SeenMetrics
from hierpets.evaluation.records import RECORDS_FILE, find_records, inside, read_records, records_of
from hierpets.evaluation.result import Evaluation


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


def test_records_of_say_what_the_arrays_say(predictions, records):
    assert [r.species_right for r in records] == species_level(predictions).hit.tolist()
    told = [r.breed_right for r in records if r.breed is not None]
    assert told == breed_level(predictions).hit.tolist()
    for i, record in enumerate(records[:50]):
        assert record.top[0].probability == predictions.probabilities[i].max()
        assert sum(record.species_probabilities.values()) == pytest.approx(1)
        assert record.answer.level == predictions.level[i]
        assert (record.answer.species is None) == (record.answer.level == "unknown")
        assert (record.probability_of_truth is None) == (predictions.leaf_true[i] < 0)


def test_compare_takes_folders_and_evaluations_and_names_the_models(tmp_path, predictions):
    models = [ModelId(digest="0" * 16), ModelId(digest="1" * 16, version="2")]
    made = [predictions, swapped(predictions, 0.3)]
    found = [Evaluation(evaluate_predictions(p, model=m, resamples=5), p) for p, m in zip(made, models, strict=True)]
    for name, evaluation in zip("ab", found, strict=True):
        write_run(tmp_path / name, evaluation.predictions)
        (tmp_path / name / "metrics.json").write_text(metrics_json(evaluation.metrics))
    of_folders, of_objects = compare(tmp_path / "a", tmp_path / "b"), compare(*found)
    assert of_objects.levels["species"].difference == of_folders.levels["species"].difference
    for comparison in (of_folders, of_objects):
        assert [comparison.model_a, comparison.model_b] == models
        assert comparison.levels["breed"].winner == "a" and comparison.n == 400
    assert of_objects.to_json()["model_b"] == {"digest": "1" * 16, "version": "2"}
    assert repr(of_objects).startswith("<Comparison of A and B, 400 photos: species: A")
    assert "is better" in str(of_objects) and "<li><b>breed</b>: " in of_objects._repr_html_()


def measured(made, seen, rows=None):
    """An evaluation of these rows by a model that was fitted to some of the photos."""
    made = made if rows is None else made.take(rows)
    return Evaluation(evaluate_predictions(made, seen=seen, resamples=5), made)


def test_compare_names_no_winner_that_was_fitted_to_the_photos(predictions):
    worse, fitted = measured(swapped(predictions, 0.3), None), measured(predictions, SeenMetrics(n=92, left_out=False))
    found = compare(worse, fitted)
    assert found.levels["breed"].difference.accuracy > 0.1 and found.levels["breed"].winner is None
    assert str(found) == "\n".join(
        f"{level}: no verdict: B was fitted to 92 of the 400 photos" for level in ("species", "breed")
    )
    assert repr(found).endswith("400 photos: species: no verdict, breed: no verdict>")


def test_compare_leaves_out_what_either_was_fitted_to(predictions):
    rows, left_out = np.arange(400), SeenMetrics(n=50, left_out=True)
    a = measured(predictions, left_out, rows[50:])
    b = measured(swapped(predictions, 0.3), left_out, rows[:350])
    found = compare(a, b)
    assert found.n == 300 and found.levels["breed"].winner == "a"
    assert all(level.verdict.endswith("on photos that neither was fitted to") for level in found.measured.values())
    for other in (measured(predictions, None, rows[:350]), measured(predictions, left_out, rows[:349])):
        with pytest.raises(DataError, match=r"not evaluated on the same photos: 5\d only in A.*neither was fitted to"):
            compare(measured(predictions, None), other)
    assert "neither" not in str(compare(measured(predictions, None), measured(predictions, left_out)))


def test_compare_matches_photos_where_one_side_left_out_all_but_a_folder(predictions):
    """Its paths have another folder in common than those of the whole."""
    kept = np.array([path.startswith("dog/") for path in predictions.paths])
    a = measured(predictions, SeenMetrics(n=int((~kept).sum()), left_out=True), np.flatnonzero(kept))
    assert compare(a, measured(predictions, None)).n == compare(measured(predictions, None), a).n == kept.sum()


def test_read_records_gives_back_what_was_written(tmp_path, predictions, records):
    assert read_records(find_records(write_run(tmp_path / "run", predictions))) == records
    assert find_records(tmp_path / "run" / RECORDS_FILE).is_file()
    write_run(tmp_path / "training" / "evaluation", predictions)
    assert find_records(tmp_path / "training").parent.name == "evaluation"


def test_compare_records_calls_a_much_worse_model_worse(predictions, records):
    worse = list(records_of(swapped(predictions, 0.3)))
    found = compare_records(records, worse, names=("good", "bad")).levels
    assert found["species"].winner == found["breed"].winner == "a"
    assert found["breed"].verdict.startswith("good is better")
    turned = compare_records(worse, records, names=("bad", "good")).levels["breed"]
    assert turned.winner == "b"
    assert turned.difference.accuracy == pytest.approx(-found["breed"].difference.accuracy)
    assert turned.mcnemar.p_value == pytest.approx(found["breed"].mcnemar.p_value)


def test_compare_records_agrees_with_scikit_learn(predictions, records):
    worse = swapped(predictions, 0.2)
    found = compare_records(records, list(records_of(worse)), names=("a", "b")).levels["species"]
    for side, level in (("a", species_level(predictions)), ("b", species_level(worse))):
        assert getattr(found, side).accuracy == pytest.approx(sk.accuracy_score(level.truth, level.guess))
        assert getattr(found, side).balanced_accuracy == pytest.approx(
            sk.balanced_accuracy_score(level.truth, level.guess)
        )
    low, high = found.interval.balanced_accuracy
    assert low < found.difference.balanced_accuracy < high


def test_compare_records_does_not_call_a_small_difference_a_win(predictions, records):
    almost = list(records_of(swapped(predictions, 0.008)))
    found = compare_records(records, almost, names=("a", "b")).levels["breed"]
    assert found.difference.accuracy != 0
    assert found.winner is None and found.verdict.startswith("no difference shown")


def test_compare_records_finds_no_model_better_than_itself(records):
    found = compare_records(records, records[::-1], names=("a", "b")).levels["species"]
    assert found.difference.model_dump() == {"accuracy": 0, "balanced_accuracy": 0}
    assert found.mcnemar.p_value == 1 and found.winner is None
    low, high = found.interval.accuracy
    assert -0.02 < low < 0 < high < 0.02, "400 photos without a difference do not prove that there is none"


def test_compare_records_false_alarms_are_rare(records):
    rng = np.random.default_rng(5)
    wins = 0
    for trial in range(60):
        # Two models of the same worth, each wrong on its own tenth of the photos.
        pair = [
            [r if rng.random() > 0.1 else r.model_copy(update={"top": (r.top[-1],)}) for r in records[:150]]
            for _ in range(2)
        ]
        wins += compare_records(*pair, names=("a", "b"), seed=trial, resamples=200).levels["breed"].winner is not None
    assert wins <= 8  # 3 expected of 60 at the 5% level


def split(only_a, only_b):
    """Photos of as many animals, of which so many are answered by one model alone."""
    return np.repeat([-1, 1, 0], [only_a, only_b, 3])


def test_mcnemar_exact_by_hand():
    assert mcnemar_exact(split(0, 0)) == 1
    assert mcnemar_exact(split(0, 5)) == pytest.approx(2 / 2**5)
    assert mcnemar_exact(split(1, 4)) == pytest.approx(2 * (1 + 5) / 2**5)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_exact_is_that_of_scipy_where_each_photo_shows_another_animal(only_a, only_b):
    found = mcnemar_exact(split(only_a, only_b))
    assert found == pytest.approx(binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0)


def test_mcnemar_exact_of_many_photos_takes_no_time():
    start = time.process_time()
    assert mcnemar_exact(split(100_200, 99_800)) == pytest.approx(binomtest(99_800, 200_000).pvalue)
    assert time.process_time() - start < 2  # animal by animal it took a minute and more


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
def test_mcnemar_exact_tosses_a_coin_for_each_animal(ahead):
    found = mcnemar_exact(np.array(ahead))
    everything = permutation_test((ahead,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert found == pytest.approx(everything.pvalue)


def test_compare_records_does_not_take_ten_photos_of_an_animal_for_ten_animals(records):
    better = [r.model_copy(update={"individual": i // 10}) for i, r in enumerate(records)]
    worse = [r.model_copy(update={"top": (r.top[-1],)}) if i < 30 else r for i, r in enumerate(better)]
    found = compare_records(better, worse, names=("a", "b")).levels["breed"].mcnemar
    apart = {r.individual for i, r in enumerate(better[:30]) if r.breed_right and not worse[i].breed_right}
    assert found.only_a_right > 10 and len(apart) == 3
    assert found.p_value == pytest.approx(2 / 2**3)


def test_compare_records_refuses_other_photos_with_their_number(records):
    with pytest.raises(DataError, match=r"3 only in old .*same --data"):
        compare_records(records, records[3:], names=("old", "new"))
    with pytest.raises(DataError, match=r"400 only in old .* 400 only in new"):
        elsewhere = [r.model_copy(update={"path": r.path + ".png"}) for r in records]
        compare_records(records, elsewhere, names=("old", "new"))


def test_compare_records_matches_a_data_set_that_was_moved(records):
    moved = [r.model_copy(update={"path": "/elsewhere/pets/" + r.path}) for r in records]
    assert compare_records(records, moved, names=("a", "b")).n == 400
    assert inside(["/d/cat/a.jpg", "/d/dog/b.jpg"]) == ["cat/a.jpg", "dog/b.jpg"]
    assert inside(["/d/a.jpg"]) == ["a.jpg"] and inside(["/d/a.jpg", "b.jpg"]) == ["/d/a.jpg", "b.jpg"]


def test_compare_records_refuses_other_labels(records):
    relabeled = [records[0].model_copy(update={"species": "horse"}), *records[1:]]
    with pytest.raises(DataError, match="labels of 1 photos differ"):
        compare_records(records, relabeled, names=("a", "b"))


def test_compare_records_refuses_other_photos_of_the_same_names(predictions):
    taken = replace(predictions, digests=tuple(f"{i:064x}"[::-1] for i in range(len(predictions))))
    one = list(records_of(taken))
    assert one[1].digest == "1000000000000000"
    other = [r.model_copy(update={"digest": "f" * 16}) if i < 2 else r for i, r in enumerate(one)]
    with pytest.raises(DataError, match=rf"2 photos of the same name differ .*{one[0].path}.*same --data"):
        compare_records(one, other, names=("a", "b"))
    older = list(records_of(predictions))
    for pair in ((one, one), (one, older), (older, other)):
        assert compare_records(*pair, names=("a", "b"), resamples=10).n == 400


def test_compare_records_of_models_that_know_other_breeds(records):
    """One knows no breeds of dogs, the other none at all."""
    no_dogs = [r.model_copy(update={"breed": None}) if r.species == "dog" else r for r in records]
    found = compare_records(records, no_dogs, names=("a", "b"))
    assert found.n == found.measured["species"].n == 400
    assert found.measured["breed"].n == sum(r.breed is not None for r in no_dogs)
    species_alone = [r.model_copy(update={"breed": None}) for r in records]
    assert compare_records(records, species_alone, names=("a", "b")).levels["breed"] is None


def test_read_records_names_the_line_of_what_is_no_record(tmp_path, predictions):
    path = write_run(tmp_path, predictions) / RECORDS_FILE
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], '{"path": "x"}']))
    with pytest.raises(DataError, match=rf"{RECORDS_FILE}:2: not a record"):
        read_records(path)
    with pytest.raises(DataError, match="no evaluation here"):
        find_records(tmp_path / "nothing")


def test_compare_refuses_a_file_that_is_no_text(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"photo\.jpg:1: not a record"):
        compare(tmp_path / "photo.jpg", tmp_path / "photo.jpg")


def test_compare_command_says_it_in_words_and_in_json(tmp_path, predictions):
    runs = [str(write_run(tmp_path / "a", predictions)), str(write_run(tmp_path / "b", swapped(predictions, 0.3)))]
    text = CliRunner().invoke(command, runs, env={"COLUMNS": "200"})
    assert text.exit_code == 0 and "is better" in text.output and "balanced" in text.output
    data = json.loads(CliRunner().invoke(command, [*runs, "--json"]).output)
    assert data["levels"]["breed"]["winner"] == "a" and data["n"] == 400
    narrow = CliRunner().invoke(command, [runs[0], runs[0]], env={"COLUMNS": "64"}).output
    assert "…" not in narrow and "both are correct on the same photos" in " ".join(narrow.split())
