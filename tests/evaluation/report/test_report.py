"""The report says the right things, says them safely, and is written whole or not at all."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from helpers.policies import flat_policy
from helpers.stressed import stress_with_loss
from PIL import Image

from hierpets.bundle.identity import ModelId
from hierpets.errors import ImageError
from hierpets.evaluation.metrics.compute import evaluate_predictions, metrics_json
from hierpets.evaluation.predictions import OODPredictions, to_predictions
from hierpets.evaluation.records import read_records
from hierpets.evaluation.report.gallery import worst_mistakes
from hierpets.evaluation.report.headline import headline
from hierpets.evaluation.report.ordering import confused_together
from hierpets.evaluation.report.page import render_report
from hierpets.evaluation.report.writing import write_evaluation
from hierpets.hierarchy.decision import decide
from hierpets.plugin import Labels
from hierpets.taxonomy import Taxonomy

MODEL = ModelId(digest="0123456789abcdef", version="7")
SCRIPT = "<script>alert('breed')</script>".replace("/", "\\")
EVIL = Taxonomy(tree={"cat&": (SCRIPT, "$x$", "'\"><img src=x onerror=alert(1)>"), "dog": ("暹罗", "plain")})


class Tags(HTMLParser):
    """Every tag with its attributes, the ids, and the headings' levels."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def gray_photo(path: str) -> np.ndarray:
    return np.full((600, 900, 3), len(path) % 255, dtype=np.uint8)


def stressed(metrics, loss):
    return metrics.model_copy(update={"stress": stress_with_loss(loss)})


@pytest.fixture(scope="module")
def written(tmp_path_factory, predictions):
    out = tmp_path_factory.mktemp("report") / "evaluation"
    ood = OODPredictions(("c.jpg", "d.jpg"), np.array([3.0, 0.0]), np.array(["unknown", "breed"]), ("car", "food"))
    about = {"bundle": "runs/a & b"}
    metrics = stressed(evaluate_predictions(predictions, ood=ood, model=MODEL, about=about, resamples=30), 0.1)
    write_evaluation(out, predictions, metrics, photos=gray_photo, overlay=lambda path, *, leaf: gray_photo(path))
    return out


def test_write_evaluation_gives_one_page_with_every_figure_as_png(written):
    page = (written / "report.html").read_text(encoding="utf-8")
    figures = sorted(path.name for path in (written / "figures").iterdir())
    assert page.count("<figure") == len(figures) == len(set(figures))
    per_level = [f"{kind}_{level}.png" for kind in ("reliability", "roc", "pr") for level in ("species", "breed")]
    per_species = ["confusion_breeds_0.png", "confusion_breeds_1.png", "recall_breeds_0.png", "recall_breeds_1.png"]
    for name in ("confusion_species.png", *per_species, *per_level, "risk_coverage.png", "answers.png", "stress.png"):
        with Image.open(written / "figures" / name) as image:
            assert min(image.size) > 200
    assert len(read_records(written / "predictions.jsonl")) == 400
    assert json.loads((written / "metrics.json").read_text())["n"] == 400
    assert "step 2, mean of all kinds" in page and "far away: far away &amp; 3" in page
    assert "Step 2 costs 10.0 points of accuracy, 95% interval 8.0 – 12.0." in page
    assert "runs/a &amp; b" in page and "Out-of-distribution photos" in page
    assert "<dt>model</dt><dd>7 (0123456789abcdef)</dd>" in page


def test_render_report_loads_nothing_from_elsewhere(written):
    page = (written / "report.html").read_text(encoding="utf-8")
    tags = Tags(page)
    for _, attributes in tags.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "poster", "srcset", "action"):
                assert value.startswith(("data:", "#")), (name, value)
    assert not tags.named("script") and not re.search(r"url\((?!#)", page) and "@import" not in page


def test_render_report_can_be_read_without_seeing_it(written):
    tags = Tags((written / "report.html").read_text(encoding="utf-8"))
    assert all(image.get("alt") for image in tags.named("img"))
    drawn = tags.named("svg")
    assert drawn and all(svg.get("role") == "img" and svg.get("aria-label") for svg in drawn)
    headings = [int(tag[1]) for tag, _ in tags.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_render_report_explains_its_terms_where_they_first_stand(written):
    page = (written / "report.html").read_text()
    explained = dict(re.findall("<dt>([^<]+)</dt><dd>([^<]+)</dd>", page.partition('class="terms"')[2]))
    rows = re.findall('<th scope="row">([^<]+)</th>', page.partition("At a glance")[2].partition("</table>")[0])
    assert {*rows} - {*explained} == {"photos", "classes with photos"}
    assert explained["macro recall"].startswith("Mean recall over the classes")


def test_render_report_escapes_names_of_classes_and_photos(tmp_path, make_predictions):
    predictions = make_predictions(EVIL, 120, unlabeled=0.0)
    paths = tuple(f"<script>p{i}</script>.jpg" for i in range(120))
    predictions = replace(predictions, paths=paths)
    metrics = evaluate_predictions(predictions, about={"<b>": "<script>about</script>"}, resamples=5)
    write_evaluation(tmp_path, predictions, metrics, photos=gray_photo)
    tags = Tags((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not tags.named("script") and not tags.named("b")
    assert all("onerror" not in attributes for _, attributes in tags.tags)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in tags.named("img"))
    labels = [record.breed for record in read_records(tmp_path / "predictions.jsonl")]
    assert SCRIPT in labels


def test_render_report_forbids_itself_scripts_and_requests(written):
    policy = [m["content"] for m in Tags((written / "report.html").read_text()).named("meta") if "http-equiv" in m]
    assert len(policy) == 1 and "default-src 'none'" in policy[0] and "script-src" not in policy[0]


def test_render_report_without_breeds_photos_or_mistakes(tmp_path, make_predictions):
    flat = Taxonomy(tree={"cat": (), "dog": ()})
    predictions = make_predictions(flat, 30, skill=80.0)
    metrics = evaluate_predictions(predictions, resamples=5)
    write_evaluation(tmp_path, predictions, metrics)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Worst mistakes" not in page and "<h2>Breeds</h2>" not in page and "100%" in page


def test_write_evaluation_of_one_photo(tmp_path, taxonomy, make_predictions):
    predictions = make_predictions(taxonomy, 1, seed=2)
    write_evaluation(tmp_path, predictions, evaluate_predictions(predictions, resamples=5))
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_write_evaluation_leaves_the_old_report_after_a_failure(tmp_path, predictions):
    metrics = evaluate_predictions(predictions, resamples=5)
    (tmp_path / "report.html").write_text("old")

    def broken(path: str) -> np.ndarray:
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_evaluation(tmp_path, predictions, metrics, photos=broken)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_worst_mistakes_leave_out_a_photo_that_has_gone(predictions):
    def gone(path: str) -> np.ndarray:
        raise ImageError(f"{path}: no such file")

    mistakes = worst_mistakes(predictions, count=5, photos=gone, overlay=None)
    assert len(mistakes) == 5 and all(m.photo is None and m.overlay is None for m in mistakes)


def test_worst_mistakes_are_wrong_species_first_then_the_surest(predictions):
    named = replace(predictions, level=np.full(400, "breed"), node=predictions.top_leaf)
    mistakes = worst_mistakes(named, count=400, photos=None, overlay=None)
    crossed = [m.cross_species for m in mistakes]
    assert crossed == sorted(crossed, reverse=True) and any(crossed) and not all(crossed)
    within = [m.record for m in mistakes if not m.cross_species]
    surer = [r.top[0].probability - r.probability_of_truth for r in within]
    assert surer == sorted(surer, reverse=True)
    assert not any(r.breed_right for r in within)
    kinds = [(r.species, r.breed, r.top[0].species, r.top[0].breed) for r in (m.record for m in mistakes)]
    assert max(map(kinds.count, kinds)) <= 2


def test_worst_mistakes_begin_with_wrong_answers_and_say_which_are_none(tmp_path, predictions, taxonomy):
    mistakes = worst_mistakes(predictions, count=400, photos=None, overlay=None)
    wrong = [m.wrong_answer for m in mistakes]
    assert wrong == sorted(wrong, reverse=True) and any(wrong) and not all(wrong)
    for mistake in mistakes:
        answer, truth = mistake.record.answer, mistake.record
        named_wrongly = answer.species not in (None, truth.species) or answer.breed not in (None, truth.breed)
        assert mistake.wrong_answer == named_wrongly
    backed_off = predictions.take(np.flatnonzero(predictions.level != "breed"))
    write_evaluation(tmp_path, backed_off, evaluate_predictions(backed_off, resamples=5))
    assert 'class="note">would be called</span>' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_worst_mistakes_show_probabilities_of_the_prediction_and_the_breeds_that_it_leaves_open(taxonomy):
    logits = np.array([[0, 0, 5, 4, 0, 0, 0, 0, 0.0]])
    joint, listed = np.exp(logits) / np.exp(logits).sum(), 0.6
    scores = np.array([[9.0, *[listed] * len(taxonomy.species)]])
    policy = flat_policy(taxonomy.species, 0.5, pet=0.0)
    names = {"species_names": taxonomy.species, "leaf_names": tuple(map(str, taxonomy.leaves))}
    ragdoll = Labels(species=np.array([0]), leaf=np.array([3]), **names)
    decisions = decide(joint, taxonomy, policy, scores=scores)
    found = to_predictions(["a.jpg"], ragdoll, joint, decisions, taxonomy=taxonomy)
    (mistake,) = worst_mistakes(found, count=9, photos=None, overlay=None)
    assert [leaf.breed for leaf in mistake.top][:2] == ["birman", "ragdoll"]
    assert mistake.top[0].probability == pytest.approx(listed * joint[0, 2])
    assert mistake.record.top[0].probability == pytest.approx(joint[0, 2])
    assert not mistake.wrong_answer and mistake.breeds == ("birman", "ragdoll")


def test_worst_mistakes_have_small_jpegs_of_the_photo_asked_for(predictions):
    asked: list[tuple[str, int]] = []

    def overlay(path: str, *, leaf: int) -> np.ndarray | None:
        asked.append((path, leaf))
        return None

    first = worst_mistakes(predictions, count=1, photos=gray_photo, overlay=overlay)[0]
    with Image.open(io.BytesIO(base64.b64decode(first.photo.partition(",")[2]))) as image:
        assert image.format == "JPEG" and image.size == (320, 213)
    i = predictions.paths.index(first.record.path)
    assert asked == [(first.record.path, int(predictions.top_leaf[i]))] and first.overlay is None


def test_confused_together_puts_confused_classes_side_by_side():
    counts = 10 * np.eye(6, dtype=int)
    counts[0, 5] = counts[5, 0] = 6
    counts[1, 3] = 5
    order = confused_together(counts).tolist()
    assert sorted(order) == list(range(6))
    assert abs(order.index(0) - order.index(5)) == 1 and abs(order.index(1) - order.index(3)) == 1


def test_confused_together_keeps_the_order_without_confusion():
    assert confused_together(np.diag([3, 0, 2, 5])).tolist() == [0, 1, 2, 3]
    assert confused_together(np.array([[1, 4], [0, 2]])).tolist() == [0, 1]


def seed_story(make_predictions):
    """2,400 cats and 4,990 dogs; 162 cats are called dogs and nothing else is wrong."""
    base = make_predictions(Taxonomy(tree={"cat": (), "dog": ()}), 2, unlabeled=0.0)
    truth = np.repeat([0, 1], [2400, 4990])
    winner = np.r_[np.ones(162, int), np.zeros(2238, int), np.ones(4990, int)]
    return replace(
        base,
        paths=tuple(map(str, range(7390))),
        species_true=truth,
        leaf_true=truth,
        probabilities=np.where(np.arange(2) == winner[:, None], 0.98, 0.02),
        level=np.full(7390, "species"),
        node=winner,
        pet_score=None,
    )


def test_headline_says_what_accuracy_hides(make_predictions):
    said = headline(evaluate_predictions(seed_story(make_predictions), resamples=20))
    assert said.verdict == "The species is correct for 97.8% of 7,390 photos."
    assert any("162 of 2,400 cat photos are missed (162 called dog)" in s and "93.2" in s for s in said.weaknesses)


def test_headline_names_weak_breeds_and_what_they_are_mistaken_for(predictions, taxonomy):
    rows = np.flatnonzero(predictions.leaf_true == 2)
    probabilities = predictions.probabilities.copy()
    probabilities[rows] = np.eye(9)[3]
    said = headline(evaluate_predictions(replace(predictions, probabilities=probabilities), resamples=20))
    assert any(
        s.startswith(f"Birman: recognized in 0 of {len(rows)} photos, most often mistaken for ragdoll")
        for s in said.weaknesses
    )


def test_headline_tells_breeds_of_one_name_apart_and_leaves_their_capitals(make_predictions):
    twins = Taxonomy(tree={"cat": ("Angora", "DSH"), "rabbit": ("Angora", "lop")})
    made = make_predictions(twins, 200)
    called = np.array([0, 0, 0, 3])[np.maximum(made.leaf_true, 0)]
    said = headline(evaluate_predictions(replace(made, probabilities=np.eye(4)[called]), resamples=5))
    assert any(s.startswith("Rabbit Angora: recognized in 0 of ") for s in said.weaknesses)
    assert any(s.startswith("DSH: recognized in 0 of ") and "for cat Angora (" in s for s in said.weaknesses)
    few = headline(evaluate_predictions(make_predictions(twins, 12), resamples=5)).caveats
    assert any("cat Angora, " in s and "rabbit Angora" in s for s in few)


def test_headline_does_not_blame_a_breed_for_one_photo(predictions):
    """One mistake among four photos is no evidence of a weak breed; the seven right breeds are not at fault either."""
    rows = np.flatnonzero(predictions.leaf_true == 2)[:4]
    others = np.flatnonzero((predictions.leaf_true >= 0) & (predictions.leaf_true != 2))
    probabilities = np.eye(9)[np.maximum(predictions.leaf_true, 0)]
    probabilities[rows[0]] = np.eye(9)[3]
    made = replace(predictions, probabilities=probabilities).take(np.r_[rows, others])
    assert headline(evaluate_predictions(made, resamples=20)).weaknesses == ()


@pytest.mark.parametrize("photos", [4, 6, 20])
def test_headline_blames_breeds_that_are_equally_good_in_one_evaluation_of_twenty_at_most(make_predictions, photos):
    """Of 37 breeds one does badly by chance; one that is truly bad is named all the same."""
    names = [f"breed_{n}" for n in range(37)]
    base = make_predictions(Taxonomy(tree={"dog": tuple(names)}), 500, unlabeled=0.0)
    metrics = evaluate_predictions(base, resamples=1)
    rng = np.random.default_rng(0)
    of = metrics.breed.per_class["dog/breed_0"]

    def blamed(*, bad):
        hits = rng.binomial(photos, 0.9, 37)
        hits[0] = rng.binomial(photos, 0.1) if bad else hits[0]
        changes = [{"support": photos, "effective_n": photos, "recall": one / photos} for one in hits.tolist()]
        scores = {f"dog/{name}": of.model_copy(update=change) for name, change in zip(names, changes, strict=True)}
        breed = metrics.breed.model_copy(update={"per_class": scores, "accuracy": hits.sum() / photos / 37})
        said = headline(metrics.model_copy(update={"breed": breed})).weaknesses
        return [s.partition(":")[0] for s in said if "recognized in" in s]

    assert sum(bool(blamed(bad=False)) for _ in range(200)) <= 10
    found = sum("Breed 0" in blamed(bad=True) for _ in range(50))
    assert found >= {4: 25, 6: 40, 20: 50}[photos]


def test_headline_admits_a_model_that_only_guesses(taxonomy, make_predictions):
    clueless = make_predictions(taxonomy, 200, skill=0.0)
    said = headline(evaluate_predictions(clueless, resamples=100))
    assert any("not shown to beat the majority-class baseline" in s for s in said.weaknesses)
    assert not any("Tells" in s for s in said.strengths)


def test_headline_of_one_species_does_not_praise_what_is_no_feat(predictions):
    cats = predictions.take(np.flatnonzero(predictions.species_true == 0))
    right = replace(cats, probabilities=np.eye(9)[np.maximum(cats.leaf_true, 0)])
    said = headline(evaluate_predictions(right, resamples=5))
    assert not any("Tells" in s for s in said.strengths)
    wrong = replace(cats, probabilities=np.eye(9)[np.full(len(cats), 8)])
    said = headline(evaluate_predictions(wrong, resamples=5))
    assert any(s.startswith(f"{len(cats)} of {len(cats)} cat photos are missed") for s in said.weaknesses)


def with_mistakes(predictions, wrong, *, unknown=0):
    """Every answer a species, right but for ``wrong`` [S], the number of mistakes of each species; the last unknown."""
    species = predictions.species_true
    node = species.copy()
    for s, n in enumerate(wrong):
        node[np.flatnonzero(species == s)[:n]] = (s + 1) % 4
    level = np.where(np.arange(len(node)) < len(node) - unknown, "species", "unknown")
    return replace(predictions, level=level, node=np.where(level == "species", node, -1))


@pytest.mark.parametrize(
    ("wrong", "alpha", "found"),
    [
        ((20, 10, 2, 2), 0.05, "The model does not keep its promise of 95%: 91.5%"),
        ((18, 0, 0, 0), 0.05, "The model does not keep its promise of 95% for cat: "),
        ((20, 10, 2, 2), 0.2, "Keeps its promise of 80%: 91.5%"),
        ((8, 4, 2, 2), 0.05, None),  # 96%, and of so few photos that it may be less
        ((20, 10, 2, 2), None, None),
    ],
)
def test_headline_says_whether_the_promise_of_alpha_is_kept(predictions, no_figures, wrong, alpha, found):
    metrics = evaluate_predictions(with_mistakes(predictions, wrong), alpha=alpha, resamples=5)
    said = headline(metrics)
    promises = [s for s in (*said.strengths, *said.weaknesses) if " promise of " in s]
    assert [s.startswith(found) for s in promises] == ([True] if found else [])
    assert all(("calibrated on" in s) == (s in said.weaknesses) for s in promises)
    table = render_report(metrics, no_figures, []).partition("right or parent</th>")[2].partition("</table>")[0]
    assert (f"promise of {1 - alpha:.0%}</th>" in table) if alpha else ("promise" not in table)


def test_a_model_that_hardly_answers_is_not_praised_for_its_promise(predictions):
    silent = with_mistakes(predictions, (), unknown=300)
    said = headline(evaluate_predictions(silent, alpha=0.05, resamples=5))
    assert not any("promise" in s for s in (*said.strengths, *said.weaknesses))


def test_headline_says_that_most_photos_are_not_answered(predictions):
    silent = replace(predictions, level=np.full(len(predictions), "unknown"), node=np.full(len(predictions), -1))
    said = headline(evaluate_predictions(silent, resamples=5))
    assert "Answers 100% of the photos as unknown." in said.weaknesses


def test_headline_praises_no_model_that_hardly_names_a_breed(predictions):
    right = np.maximum(predictions.leaf_true, 0)
    made = replace(predictions, probabilities=np.eye(9)[right])

    def said(tenths):
        level = np.where(np.arange(len(made)) % 10 < tenths, "breed", "species")
        node = np.where(level == "breed", right, made.taxonomy.leaf_species[right])
        return headline(evaluate_predictions(replace(made, level=level, node=node), resamples=5))

    silent, sound = said(2), said(8)
    assert any(s.startswith("Knows when to back off: it names a breed for 79%") for s in sound.strengths)
    assert not any("names a breed" in s for s in (*sound.weaknesses, *silent.strengths))
    assert any(
        s.startswith("It names a breed for only ") and s.endswith("though 100% of its most probable breeds are right.")
        for s in silent.weaknesses
    )


@pytest.mark.parametrize("photos", [1, 2, 10])
def test_headline_praises_nothing_that_a_few_right_photos_show(predictions, photos):
    """Sure of the right breed, each time; of two species, where there are two photos."""
    rows = np.r_[np.flatnonzero(predictions.leaf_true == 0), np.flatnonzero(predictions.leaf_true == 4)]
    rows = rows[[0, -1, *range(1, 9)][:photos]]
    right = np.eye(9)[np.maximum(predictions.leaf_true, 0)]
    named = np.where(np.arange(len(predictions)) % 2, "breed", "species")
    node = np.where(named == "breed", predictions.leaf_true, predictions.species_true)
    made = replace(predictions, probabilities=right, level=named, node=node).take(rows)
    ood = OODPredictions(("a",), np.array([-9.0]), np.array(["unknown"]), ("food",))
    said = headline(evaluate_predictions(made, ood=ood, resamples=20))
    assert said.strengths == ()
    assert said.verdict.startswith("Of 1 photo, " if photos == 1 else f"Of {photos} photos, ")
    assert not any("breeds: correct for" in s for s in said.weaknesses)


def test_headline_praises_what_many_right_photos_show(predictions):
    right = replace(predictions, probabilities=np.eye(9)[np.maximum(predictions.leaf_true, 0)])
    made = right.take(np.flatnonzero(predictions.leaf_true >= 0))
    said = " ".join(headline(evaluate_predictions(made, resamples=20)).strengths)
    assert "Tells cat, dog, rabbit and horse apart" in said and "Well calibrated" in said
    assert "8 of 8 breeds have a recall of at least 95%." in said


def few_and_all_right(predictions):
    """19 photos of one species and one of another, of which all are right."""
    leaf, species = predictions.leaf_true, predictions.species_true
    rows = np.r_[np.flatnonzero((species == 0) & (leaf >= 0))[:19], np.flatnonzero((species == 1) & (leaf >= 0))[:1]]
    return replace(predictions, probabilities=np.eye(9)[np.maximum(leaf, 0)]).take(rows)


def test_headline_says_why_perfect_accuracy_may_be_that_of_the_baseline(predictions):
    said = headline(evaluate_predictions(few_and_all_right(predictions), resamples=20)).weaknesses
    assert any(s.endswith("has an accuracy of 95.0%, and the model's may be 83.9%.") for s in said)


def test_render_report_gives_no_interval_that_is_a_point(predictions, no_figures):
    metrics = evaluate_predictions(few_and_all_right(predictions), resamples=20)
    page = render_report(metrics, no_figures, [])
    tiles = page.partition("Across the levels")[2].partition("</section>")[0]
    assert "100.0 – 100.0" not in tiles and "83.9 – 100.0" in tiles


@pytest.mark.parametrize(
    ("sure", "right", "word"),
    [
        ((0.95, 0.95), (0.8, 0.8), "Overconfident"),
        ((0.5, 0.5), (0.7, 0.7), "Underconfident"),
        ((0.95, 0.5), (0.75, 0.7), "Sometimes overconfident, sometimes underconfident"),
    ],
)
def test_headline_says_which_way_the_confidence_is_wrong(taxonomy, make_predictions, sure, right, word):
    confidence, n = np.repeat(sure, 400), 800
    probabilities = np.repeat((1 - confidence)[:, None] / (len(taxonomy.leaves) - 1), len(taxonomy.leaves), axis=1)
    probabilities[:, 0] = confidence
    truth = np.where(np.tile(np.arange(400), 2) < 400 * np.repeat(right, 400), 0, 1)
    made = replace(
        make_predictions(taxonomy, n),
        probabilities=probabilities,
        leaf_true=truth,
        species_true=taxonomy.leaf_species[truth],
    )
    said = headline(evaluate_predictions(made, resamples=20)).weaknesses
    assert any(line.startswith(f"{word}: off by ") for line in said), said


def test_headline_warns_of_small_and_missing_classes(predictions):
    rows = np.flatnonzero(predictions.leaf_true != 4)[:40]
    said = " ".join(headline(evaluate_predictions(predictions.take(rows), resamples=5)).caveats)
    assert "No photo of beagle" in said and "fewer than 10 photos" in said


def with_ood(predictions, levels, kinds):
    pet_score = -np.linspace(2.0, 3.0, len(levels))
    ood = OODPredictions(tuple(map(str, range(len(levels)))), pet_score, np.array(levels), tuple(kinds))
    return headline(evaluate_predictions(predictions, ood=ood, resamples=5))


def test_headline_says_which_ood_photos_are_accepted(predictions):
    levels = ["species"] * 3 + ["unknown"] * 5 + ["unknown"] * 22
    said = with_ood(predictions, levels, ["horse"] * 8 + ["food"] * 22)
    assert "3 of 30 out-of-distribution photos are accepted as a pet: horse (3 of 8)." in said.weaknesses
    assert any("of the pets are rejected as unknown" in s for s in said.weaknesses)


def test_headline_praises_a_model_that_rejects_ood_photos(predictions):
    said = with_ood(replace(predictions, level=np.full(400, "species")), ["unknown"] * 20, ["food"] * 20)
    assert any(s.startswith("Rejects photos of no pet: 100% of 20 out-of-distribution") for s in said.strengths)
    assert not any("out-of-distribution" in s for s in said.weaknesses)


def test_headline_says_what_a_stress_test_costs(predictions):
    def said(loss):
        return headline(stressed(evaluate_predictions(predictions, resamples=5), loss))

    bad, good, between = said(0.1), said(0.01), said(0.04)
    assert any("cost 10.0 points" in s and "far away (far away & 2), 70.0% correct" in s for s in bad.weaknesses)
    assert any("cost 1.0 points of accuracy on average (0.8 to 1.2)" in s for s in good.strengths)
    assert not any("Stress" in s for s in (*between.strengths, *between.weaknesses, *bad.strengths))
    assert any("cost 4.0 points" in s for s in between.caveats)
    assert not any("Stress" in s for s in (*bad.caveats, *good.caveats))


def test_headline_does_not_praise_what_few_photos_cannot_show(predictions):
    stress = stress_with_loss(0.01)
    mean = tuple(replaced.model_copy(update={"loss_interval": (-0.04, 0.08)}) for replaced in stress.mean)
    unsure = stress.model_copy(update={"mean": mean})
    said = headline(evaluate_predictions(predictions, resamples=5).model_copy(update={"stress": unsure}))
    assert not any("Stress" in s for s in said.strengths)
    assert any("cost 1.0 points of accuracy on average (-4.0 to 8.0)" in s for s in said.caveats)


def test_headline_counts_the_photos_of_a_species_and_praises_no_minority_of_breeds(predictions):
    right = np.isin(predictions.leaf_true, (0, 1))
    leaf = np.where(right, predictions.leaf_true, (predictions.leaf_true + 1) % 9)
    made = replace(predictions, probabilities=np.eye(9)[leaf]).take(np.flatnonzero(predictions.leaf_true >= 0))
    said = headline(evaluate_predictions(made, resamples=20))
    cats = sum(made.species_true == 0)
    assert any(s.startswith("Cat breeds: correct for ") and s.endswith(f"of {cats} photos.") for s in said.strengths)
    assert not any("recall of at least" in s for s in said.strengths)


def test_headline_warns_where_all_photos_were_used(predictions):
    said = headline(evaluate_predictions(predictions, about={"split": "all"}, resamples=5))
    assert any("--split val" in s for s in said.caveats)
    said = headline(evaluate_predictions(predictions, about={"split": "test"}, resamples=5))
    assert not any("--split val" in s for s in said.caveats)


@pytest.mark.slow
def test_write_evaluation_removes_figures_of_the_evaluation_before(tmp_path, predictions, make_predictions):
    write_evaluation(tmp_path, predictions, evaluate_predictions(predictions, resamples=5))
    assert (tmp_path / "figures" / "recall_breeds_0.png").is_file()
    flat = make_predictions(Taxonomy(tree={"cat": (), "dog": ()}), 30)
    write_evaluation(tmp_path, flat, evaluate_predictions(flat, resamples=5))
    assert not (tmp_path / "figures" / "recall_breeds_0.png").exists()
    assert (tmp_path / "figures" / "answers.png").is_file()


def test_metrics_json_is_strict_and_reads_back(predictions):
    metrics = evaluate_predictions(predictions, resamples=5)
    text = metrics_json(metrics)
    assert json.loads(text) == metrics.model_dump(mode="json")
    assert max(map(len, text.splitlines())) < 3000 and '"accuracy": ' in text
    assert "NaN" not in text and "Infinity" not in text
