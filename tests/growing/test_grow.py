"""A bundle that learns new breeds and species without its old photos."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from helpers.cascades import with_manifest
from helpers.demo_photos import draw_photos

import hierpets
import hierpets.growing.grow as grow_module
from hierpets.bundle.identity import model_id
from hierpets.bundle.manifest import read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.cli.develop.grow import command
from hierpets.data.records import PhotoRecord, index_of
from hierpets.errors import BundleError, ConfigError, DataError
from hierpets.growing.bundle import open_bundle
from hierpets.growing.grow import grow
from hierpets.growing.names import check_names, find_misspelled_new
from hierpets.growing.photos import LeftOutPhoto, check_every_class
from hierpets.taxonomy import Leaf, Taxonomy

GINGER, HUSKY, RABBIT = Leaf("cat", "ginger"), Leaf("dog", "husky"), Leaf("rabbit", None)


def test_grow_says_what_it_learned(grown):
    assert grown.photos == {GINGER: 24, HUSKY: 10, RABBIT: 12}
    assert set(grown.new) == {GINGER, HUSKY, RABBIT}
    assert grown.too_few == (HUSKY,)
    assert any("dog/husky has 10 photos" in line and "--alpha 0.091" in line for line in grown.warnings)
    assert all(0 <= share <= 1 for share in grown.accuracy.values())
    assert "cat/ginger: 24 photos, new" in str(grown)
    assert "husky" in grown._repr_html_()


def test_a_grown_bundle_knows_where_its_leaves_come_from(grown, bundle):
    manifest, before = read_manifest(grown.bundle), read_manifest(bundle)
    origins = dict(zip(manifest.taxonomy.leaves, manifest.origins, strict=True))
    assert {leaf for leaf, origin in origins.items() if origin == "grown"} == {GINGER, HUSKY, RABBIT}
    assert manifest.training["grown"] == 46
    assert manifest.statistics.photos["dog/husky"] == 10
    assert model_id(grown.bundle) != model_id(bundle)
    assert set(before.policy.of("trained")["dog"]) <= set(manifest.policy.of("trained")["dog"])
    assert before.policy.of("unlisted") == manifest.policy.of("unlisted")
    assert len(manifest.policy.leaves["dog/husky"]) == 10
    assert grown.thresholds == {leaf: manifest.policy.leaf_probability(leaf) for leaf in (GINGER, HUSKY)}


def test_growing_equals_training_on_all_photos_at_once(grown, joint_bundle):
    one, other = open_bundle(grown.bundle), open_bundle(joint_bundle)
    assert one.manifest.taxonomy == other.manifest.taxonomy
    assert one.manifest.statistics.photos == other.manifest.statistics.photos
    np.testing.assert_array_equal(one.main.breeds.shares, other.main.breeds.shares)  # a husky is a class of ImageNet
    assert {*other.main.scorer.species_classes.tolist()} <= {*one.main.scorer.species_classes.tolist()}
    labels = ("cat/siamese", "cat/ginger", "dog/husky", "dog/pug", "rabbit/-")
    photos = [f"demo:{label}/{n}" for label in labels for n in range(400, 420)]
    joints = [
        np.stack([p.joint for p in hierpets.load(b.source, recommend=False).predict(photos)]) for b in (one, other)
    ]
    same = joints[0].argmax(axis=1) == joints[1].argmax(axis=1)
    assert same.mean() >= 0.99
    for a, b in zip(one.main.heads.get_heads().leaf.weight, other.main.heads.get_heads().leaf.weight, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.999


def test_a_grown_bundle_gives_the_same_in_both_engines(grown):
    photos = ["demo:rabbit/-/7", "demo:dog/pug/300", "demo:cat/ginger/300"]
    first, second = (
        hierpets.load(grown.bundle, engine=engine, precision="f32").predict(photos) for engine in ("openvino", "torch")
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a.joint, b.joint, atol=1e-3)
        np.testing.assert_allclose(a.pet_score, b.pet_score, atol=1e-2)
        np.testing.assert_allclose(a.decision.listed, b.decision.listed, atol=1e-2)


def test_a_new_species_is_recognized_and_the_old_ones_still_are(grown):
    predictor = grown.predictor(recommend=False)
    rabbits = predictor.predict([f"demo:rabbit/-/{n}" for n in range(300, 330)])
    pugs = predictor.predict([f"demo:dog/pug/{n}" for n in range(300, 330)])
    assert np.mean([p.species == "rabbit" for p in rabbits]) > 0.6
    assert np.mean([p.species == "rabbit" for p in pugs]) < 0.2


def test_a_breed_of_too_few_photos_is_answered_by_its_species(grown):
    predictor = grown.predictor(recommend=False)
    photos = [f"demo:dog/husky/{n}" for n in range(300, 330)]
    assert not any(p.breed == "husky" for p in predictor.predict(photos))
    reasons = [p.decision.reason for p in predictor.predict(photos) if p.decision.top[0][0] == HUSKY]
    assert any("grown from too few photos for a promise at alpha 0.05" in reason for reason in reasons)


def test_both_bundles_are_compared_where_photos_are_given_to_check_with(grown):
    assert grown.before_and_after.n == 120
    assert (grown.before_and_after.a, grown.before_and_after.b) == ("the old bundle", "the new bundle")
    for steal in grown.steals:
        assert steal.new in grown.new
        if steal.of_old:
            assert all(Path(path).parent.name == steal.old.breed for path in steal.photos)


def test_a_bundle_that_is_grown_in_place_is_compared_with_what_it_was(bundle, tmp_path):
    own = shutil.copytree(bundle, tmp_path / "own")
    new = draw_photos(tmp_path / "new", {"dog/husky": 3}, first=100)
    check = draw_photos(tmp_path / "check", {"dog/pug": 4, "cat/siamese": 4}, first=200)
    found = grow(own, new, out=own, check=check, overwrite=True).before_and_after
    assert (found.model_a, found.model_b) == (model_id(bundle), model_id(own))


def test_more_photos_of_a_known_breed_sharpen_it(bundle, tmp_path):
    data = draw_photos(tmp_path / "more", {"dog/pug": 5}, first=500)
    result = grow(bundle, data, out=tmp_path / "out")
    manifest, before = read_manifest(result.bundle), read_manifest(bundle)
    assert (result.new, result.too_few) == ((), ())
    assert manifest.statistics.photos["dog/pug"] == before.statistics.photos["dog/pug"] + 5
    assert manifest.origins == before.origins
    assert not manifest.policy.leaves


def test_photos_of_no_stated_breed_say_nothing_of_how_photos_vary_within_one(bundle, tmp_path):
    drawn = draw_photos(tmp_path / "drawn", {"cat/tuxedo": 4, "cat/siamese": 4}, first=500) / "cat"
    (tmp_path / "new" / "cat").mkdir(parents=True)
    for photo in drawn.glob("*/*.png"):
        photo.rename(tmp_path / "new" / "cat" / f"{photo.parent.name}{photo.name}")
    result = grow(bundle, tmp_path / "new", out=tmp_path / "out")
    before, after = (open_bundle(folder).main.statistics for folder in (bundle, result.bundle))
    assert after.counts_of([Leaf("cat", None)]) == result.photos[Leaf("cat", None)] > 4
    assert np.trace(after.scatter) == pytest.approx(np.trace(before.scatter), rel=1e-3)


def test_growing_in_two_steps_is_growing_at_once(grown, bundle, tmp_path):
    first = draw_photos(tmp_path / "first", {"dog/husky": 10, "rabbit/-": 12}, first=100)
    second = draw_photos(tmp_path / "second", {"cat/ginger": 24}, first=100)
    step = grow(bundle, first, out=tmp_path / "step")
    last = grow(step.bundle, second, out=tmp_path / "last")
    one, other = open_bundle(last.bundle), open_bundle(grown.bundle)
    assert one.manifest.statistics.photos == other.manifest.statistics.photos
    assert SeenPhotos.read(last.bundle) == SeenPhotos.read(grown.bundle) > SeenPhotos.read(bundle)
    assert set(one.manifest.policy.leaves) == set(other.manifest.policy.leaves)
    np.testing.assert_allclose(one.main.statistics.means, other.main.statistics.means, atol=1e-3)
    weights = [b.main.heads.get_heads().leaf.weight for b in (one, other)]
    assert np.corrcoef(*(w.ravel() for w in weights))[0, 1] > 0.999


def test_photos_that_teach_nothing_are_left_out_and_listed(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 8}, first=100)
    shutil.copy(data / "dog" / "husky" / "100.png", data / "dog" / "husky" / "copy.png")
    (data / "dog" / "husky" / "broken.png").write_bytes(b"no photo")
    result = grow(bundle, data, out=tmp_path / "out")
    left_out = {Path(photo.path).name: photo.reason for photo in result.left_out}
    assert "cannot be read" in left_out["broken.png"]
    assert "copy of" in left_out["copy.png"]
    assert result.photos[HUSKY] == 10 - len(left_out)


def test_warnings_name_the_first_photos_of_each_reason(grown):
    left_out = tuple(LeftOutPhoto(f"{n}.jpg", "blurred" if n < 5 else "known") for n in range(6))
    first, second = replace(grown, left_out=left_out).warnings[:2]
    assert (first, second) == (
        "not learned from: 0.jpg, 1.jpg, 2.jpg and 2 more: blurred",
        "not learned from: 5.jpg: known",
    )


def test_higher_pet_scores_of_a_new_species_are_told(bundle, grown):
    before, after = (read_manifest(folder).policy.pet for folder in (bundle, grown.bundle))
    assert before == after, "the threshold is that of all species"
    told = [line for line in grown.warnings if "more of what is no pet will pass for one" in line]
    assert len(told) == len(grown.raised)
    (line,) = (one for one in replace(grown, raised={"rabbit": 2.5}).warnings if "no pet" in one)
    assert "what is taken for rabbit is raised by 2.50" in line


def test_a_breed_of_which_too_many_photos_were_certain_and_wrong_is_told(grown):
    assert grown.too_wrong == ()
    fooled = replace(grown, thresholds=grown.thresholds | {GINGER: 1.0, HUSKY: 1.0})
    assert (fooled.too_few, fooled.too_wrong) == ((HUSKY,), (GINGER,))
    (line,) = (one for one in fooled.warnings if "certain and wrong" in one)
    assert line.startswith("cat/ginger is not named at alpha 0.05: too many of its photos")


def test_a_new_species_of_one_photo_is_told_to_be_unjudged(bundle, grown, tmp_path):
    assert grown.unjudged == ()
    for label, named in (("rabbit", ()), ("rabbit/lop", ("rabbit/lop has 1 photo", "it is never named"))):
        drawn = draw_photos(tmp_path / f"drawn{len(label)}", {"rabbit/-": 1}, first=100)
        place = tmp_path / f"new{len(label)}" / label
        place.mkdir(parents=True)
        shutil.move(next(drawn.rglob("*.png")), place)
        result = grow(bundle, tmp_path / f"new{len(label)}", out=tmp_path / f"out{len(label)}")
        first, *others = (line for line in result.warnings if line not in result.doubtful)
        assert result.unjudged == ("rabbit",)
        assert first.startswith("rabbit is new, and no other animal of its classes says")
        assert len(others) == (1 if named else 0)
        assert all(part in line for line in others for part in named)


def test_what_is_taken_for_a_new_species_has_its_pet_score_raised_in_the_second_growth_where_the_first_judged_none(
    bundle, tmp_path
):
    def stricter(manifest):
        return manifest.model_copy(update={"policy": manifest.policy.model_copy(update={"pet": 100.0})})

    first, second = (
        draw_photos(tmp_path / f"new{n}", {"rabbit/-": count}, first=n) for n, count in ((100, 1), (101, 11))
    )
    one = grow(with_manifest(bundle, tmp_path / "bundle", stricter), first, out=tmp_path / "one")
    assert one.raised == {}
    two = grow(one.bundle, second, out=tmp_path / "two")
    assert two.photos == {RABBIT: 11}
    assert two.raised["rabbit"] > 0


def test_two_growths_to_one_bundle_do_not_replace_each_other(bundle, tmp_path, monkeypatch):
    """The second is finished while the first learns."""
    out, own = tmp_path / "out", grow_module.learn
    few, more = (draw_photos(tmp_path / f"{n} new", {"dog/husky": n}, first=100) for n in (3, 8))

    def slow(*given):
        monkeypatch.setattr(grow_module, "learn", own)
        grow(bundle, more, out=out)
        return own(*given)

    monkeypatch.setattr(grow_module, "learn", slow)
    with pytest.raises(ConfigError, match="out: already exists; give overwrite"):
        grow(bundle, few, out=out)
    assert read_manifest(out).statistics.photos["dog/husky"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3 new", "8 new", "out"]


def test_photos_that_look_like_another_animal_are_learned_from_where_labels_are_trusted(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 8}, first=100)
    for photo in (draw_photos(tmp_path / "cats", {"cat/siamese": 2}, first=600) / "cat" / "siamese").iterdir():
        shutil.copy(photo, data / "dog" / "husky")
    careful = grow(bundle, data, out=tmp_path / "careful")
    assert {Path(photo.path).name for photo in careful.left_out} == {"600.png", "601.png"}
    assert all("looks like cat/" in photo.reason and "labeled dog/husky" in photo.reason for photo in careful.left_out)
    trusting = grow(bundle, data, out=tmp_path / "trusting", trust_labels=True)
    assert (careful.photos, trusting.photos) == ({HUSKY: 8}, {HUSKY: 10})
    assert not trusting.left_out
    assert careful.accuracy[HUSKY] <= 0.8, "photos that are left out for what they look like are none that it names"
    assert trusting.accuracy[HUSKY] <= 0.8


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("Dog/husky", "'Dog' and 'dog'"),
        ("dog/Pug", "'Pug' and 'pug'"),
        ("cat/siamesse", "did you mean 'siamese'"),
        ("pug", "pug: is a breed of dog"),
        ("dogs/husky", "'dogs' is almost 'dog', which the bundle knows"),
        ("dog/pugg", "did you mean 'pug'"),
        ("unknown/husky", "class 'unknown' is called like the answer to photos of no known pet"),
    ],
)
def test_a_name_that_is_almost_known_is_refused(bundle, tmp_path, label, told):
    place = tmp_path / "new" / label
    place.mkdir(parents=True)
    draw_photos(tmp_path / "drawn", {"dog/husky": 2})
    for photo in (tmp_path / "drawn" / "dog" / "husky").iterdir():
        shutil.move(photo, place)
    with pytest.raises(DataError, match=told):
        grow(bundle, tmp_path / "new", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("alsatian", "german_shepherd", "'german_shepherd' is another name of 'alsatian', another new one"),
        ("Deutscher Schäferhund", "alsatian", "'alsatian' is another name of 'Deutscher Schäferhund'"),
        ("mastif", "mastiff", "'mastiff' is almost 'mastif', another new one"),
        ("vizsla", "vizslas", "did you mean 'vizsla'"),
    ],
)
def test_two_new_names_of_one_breed_are_refused(one, other, told):
    new = Taxonomy.from_pairs([("dog", one), ("dog", other)])
    with pytest.raises(DataError, match=told):
        check_names(new, Taxonomy(tree={"dog": ("pug",)}))


@pytest.mark.parametrize("label", [("Dog", "husky"), ("dog", "PUG"), ("dog", "p-u-g")])
def test_another_spelling_is_told_in_one_line(label):
    with pytest.raises(DataError, match="differ only in case or spelling") as told:
        check_names(Taxonomy.from_pairs([label]), Taxonomy(tree={"dog": ("pug",)}))
    assert str(told.value).count("\n") == 0


def test_a_new_class_that_is_almost_one_that_hierpets_knows_is_told():
    known = Taxonomy(tree={"cat": ("persion",), "dog": ("pug",)})
    grown = Taxonomy(tree={"cat": ("persion",), "dog": ("dalmation", "pug"), "rabit": ()})
    told = [line.partition(";")[0] for line in find_misspelled_new(grown, known)]
    assert told == ["class rabit is almost 'rabbit'", "class dog/dalmation is almost 'dalmatian'"]


@pytest.mark.parametrize("name", ["rat", "puli", "hamster"])
def test_a_name_of_its_own_is_not_taken_for_a_slip_of_the_pen(name):
    known = Taxonomy(tree={"cat": ("siamese",), "dog": ("english_springer_spaniel", "pumi")})
    check_names(Taxonomy.from_pairs([("dog", name), ("dog", "welsh_springer_spaniel")]), known)
    check_names(Taxonomy.from_pairs([(name, None)]), known)


@pytest.mark.parametrize("name", ["labrador", "Alsatian", "GoldenRetriever", "pug", "Mops", "Siamkatze"])
def test_a_breed_of_a_known_species_is_no_new_species(name):
    known = Taxonomy(tree={"cat": ("siamese",), "dog": ("golden_retriever", "pug")})
    with pytest.raises(DataError, match=f"{name}: is a breed of (dog|cat), no species; give the folder above it"):
        check_names(Taxonomy.from_pairs([(name, None)]), known)
    check_names(Taxonomy.from_pairs([(name, None)]), Taxonomy(tree={"horse": ("arabian",), "rabbit": ()}))


def test_a_new_species_whose_photos_were_answered_as_a_known_one_is_told(bundle, tmp_path):
    photos = draw_photos(tmp_path / "drawn", {"dog/pug": 8}, first=500) / "dog" / "pug"
    photos.rename(tmp_path / "drawn" / "dog" / "puppy")
    result = grow(bundle, tmp_path / "drawn" / "dog", out=tmp_path / "out", trust_labels=True)
    (line,) = result.doubtful
    assert line.startswith("puppy: ") and line.endswith(
        "looked like a dog before; if they show one, their folder belongs into dog/"
    )


def test_a_new_breed_that_is_called_as_another_class_is_told(bundle, tmp_path):
    for name, first in (("siamese", 100), ("cat", 200)):
        photos = draw_photos(tmp_path / "new", {"dog/husky": 3}, first=first) / "dog"
        (photos / "husky").rename(photos / name)
    result = grow(bundle, tmp_path / "new", out=tmp_path / "out", trust_labels=True)
    assert [line for line in result.warnings if "the bundle knows" in line] == [
        "dog/cat: the bundle knows cat as a species; check the label",
        "dog/siamese: the bundle knows siamese as a breed of cat; check the label",
    ]


def test_a_class_without_a_readable_photo_is_refused(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 3})
    (data / "dog" / "beagle").mkdir()
    (data / "dog" / "beagle" / "1.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"no photo to learn from: dog/beagle.*\n.*1\.png: cannot be read"):
        grow(bundle, data, out=tmp_path / "out")


def test_an_empty_class_is_refused_before_a_photo_is_read(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 3})
    (data / "dog" / "beagle").mkdir()
    tasks = []
    with pytest.raises(DataError, match="no photo to learn from: dog/beagle; add photos"):
        grow(bundle, data, out=tmp_path / "out", progress=lambda task, *_: tasks.append(task))
    assert tasks == []


def test_one_photo_under_two_labels_is_refused(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 3})
    (data / "dog" / "beagle").mkdir()
    shutil.copy(data / "dog" / "husky" / "1.png", data / "dog" / "beagle" / "1.png")
    with pytest.raises(DataError, match=r"dog/husky, but the same photo is dog/beagle"):
        grow(bundle, data, out=tmp_path / "out")


def test_a_bundle_that_cannot_be_grown_is_refused(bundle, new_photos, tmp_path):
    with pytest.raises(BundleError, match="keeps no statistics of its classes"):
        old = tmp_path / "old"
        shutil.copytree(bundle, old)
        manifest = read_manifest(old).model_copy(update={"statistics": None})
        (old / "bundle.json").write_text(manifest.model_dump_json())
        grow(old, new_photos, out=tmp_path / "out")
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    content = (damaged / "statistics.safetensors").read_bytes()
    (damaged / "statistics.safetensors").write_bytes(content[:-1] + b"?")
    with pytest.raises(BundleError, match="not the statistics that the manifest"):
        grow(damaged, new_photos, out=tmp_path / "out")
    with pytest.raises(ConfigError, match="already exists"):
        grow(bundle, new_photos, out=bundle)


def test_the_command_grows_and_warns(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 6}, first=100)
    given = ["--model", str(bundle), "--data", str(data), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(command, given, catch_exceptions=False)
    assert done.exit_code == 0
    assert "dog/husky: 6 photos, new" in done.output
    assert "warning: dog/husky has 6 photos" in done.output
    assert (tmp_path / "out" / "bundle.json").is_file()


def test_grow_says_which_species_too_few_photos_are_known_for(bundle, tmp_path):
    def stricter(manifest):
        return manifest.model_copy(update={"policy": manifest.policy.model_copy(update={"alpha": 0.001})})

    data = draw_photos(tmp_path / "new", {"dog/husky": 6}, first=100)
    result = grow(with_manifest(bundle, tmp_path / "bundle", stricter), data, out=tmp_path / "out")
    assert "all photos of cat and dog are answered as unknown" in "\n".join(result.warnings)


def test_grow_reads_photos_as_a_reader_of_the_registry_does(bundle, tmp_path, monkeypatch):
    draw_photos(tmp_path / "photos", {"dog/husky": 10}, first=100)
    (tmp_path / "new.pets").write_text("photos")
    (tmp_path / "reader.py").write_text(
        "from pathlib import Path\n"
        "from hierpets.plugin import SourcePhoto\n\n"
        "def pets(source):\n"
        "    if source.endswith('.pets'):\n"
        "        for photo in sorted(Path(source).parent.glob('photos/*/*/*')):\n"
        "            yield SourcePhoto(str(photo), photo.parts[-3], photo.parts[-2])\n"
    )
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins:\n  - {name: pets, kind: reader, entry: 'reader.py:pets'}\n")
    grown = grow(bundle, tmp_path / "new.pets", out=tmp_path / "bundle", registry=registry)
    assert grown.photos == {HUSKY: 10}
    given = []
    monkeypatch.setattr("hierpets.growing.result.load", lambda folder, **options: given.append(options))
    grown.predictor(recommend=False)
    grown.predictor(registry="another.yaml")
    assert given[0]["registry"].path == registry and given[1] == {"registry": "another.yaml"}


def test_grow_reads_the_photos_to_check_before_it_writes(bundle, new_photos, tmp_path):
    with pytest.raises(DataError, match="labels unknown to the model"):
        grow(bundle, new_photos, out=tmp_path / "bundle", check=new_photos)
    assert not (tmp_path / "bundle").exists()


def test_photos_that_the_bundle_has_learned_from_teach_it_nothing_again(grown, new_photos, old_photos, tmp_path):
    shutil.copytree(old_photos / "dog" / "pug", tmp_path / "old" / "dog" / "pug")
    shutil.copytree(new_photos / "dog", tmp_path / "more" / "dog")
    for photos, count in (("old", 30), ("more", 10)):
        with pytest.raises(DataError, match=f"the bundle has learned from all {count} photos already; add others"):
            grow(grown.bundle, tmp_path / photos, out=tmp_path / "again")
    draw_photos(tmp_path / "more", {"dog/husky": 5}, first=300)
    more = grow(grown.bundle, tmp_path / "more", out=tmp_path / "bundle")
    assert more.photos == {HUSKY: 5}
    assert [photo.reason for photo in more.left_out] == ["learned by the bundle already"] * 10


def test_a_copy_of_a_photo_that_was_learned_teaches_nothing(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 6}, first=100)
    once = grow(bundle, data, out=tmp_path / "once").bundle
    smaller = cv2.resize(cv2.imread(str(data / "dog/husky/103.png")), None, fx=0.8, fy=0.8)
    cv2.imwrite(str(data / "dog/husky/0.jpg"), smaller)  # which is read before the photo that it shows
    with pytest.raises(DataError, match="the bundle has learned from all 7 photos already; add others"):
        grow(once, data, out=tmp_path / "twice")
    draw_photos(data, {"dog/husky": 3}, first=300)
    more = grow(once, data, out=tmp_path / "more")
    assert more.photos == {HUSKY: 3}
    assert sorted(photo.reason.partition(" of ")[0] for photo in more.left_out)[0] == "a copy"
    (data / "dog/beagle").mkdir()
    shutil.move(data / "dog/husky/0.jpg", data / "dog/beagle")
    with pytest.raises(DataError, match="labeled dog/beagle, but the same photo is dog/husky"):
        grow(once, data, out=tmp_path / "other")


def test_a_broken_photo_beside_those_that_were_learned_refuses_no_others(bundle, tmp_path):
    data = draw_photos(tmp_path / "new", {"dog/husky": 5}, first=100)
    (data / "dog/husky/broken.png").write_bytes(b"no photo")
    once = grow(bundle, data, out=tmp_path / "once").bundle
    draw_photos(data, {"cat/ginger": 5}, first=100)
    assert grow(once, data, out=tmp_path / "more").photos == {GINGER: 5}


def test_classes_without_a_photo_are_told_with_the_first_of_their_own_reasons():
    records = [PhotoRecord(f"{n}.jpg", "dog", f"breed {n}") for n in range(9)]
    left_out = [LeftOutPhoto("kept2.jpg", "blurred"), *(LeftOutPhoto(r.path, f"cannot: {r.path}") for r in records)]
    kept = [PhotoRecord(f"kept{n}.jpg", "dog", "husky") for n in range(3)]
    with pytest.raises(DataError) as refused:
        check_every_class(index_of([*records, *kept]), kept[:2], left_out, learned=[records[0].label])
    first, *reasons, last = str(refused.value).splitlines()
    assert (first.count("dog/"), len(reasons), reasons[0], last) == (8, 5, "1.jpg: cannot: 1.jpg", "and 3 more reasons")


def test_the_way_out_is_told_where_all_photos_of_a_class_look_like_another_animal(bundle, tmp_path):
    cats = draw_photos(tmp_path / "cats", {"cat/siamese": 2}, first=600) / "cat" / "siamese"
    data = draw_photos(tmp_path / "new", {"dog/husky": 6}, first=100)
    once = grow(bundle, data, out=tmp_path / "once").bundle
    for place in ("dog/beagle", "dog/husky"):
        shutil.copytree(cats, data / place, dirs_exist_ok=True)
        with pytest.raises(DataError, match=rf"(?s)no photo to learn from: {place}; .*looks like cat/.*--trust-labels"):
            grow(once, data, out=tmp_path / "out")
        shutil.rmtree(data / place)
    assert grow(once, cats.parents[1], out=tmp_path / "cats too").photos


def test_photos_of_no_stated_breed_teach_nothing_twice_either(bundle, old_photos, tmp_path):
    shutil.copytree(old_photos / "dog" / "pug", tmp_path / "old" / "dog")
    with pytest.raises(DataError, match="the bundle has learned from all 30 photos already"):
        grow(bundle, tmp_path / "old", out=tmp_path / "again")
    draw_photos(tmp_path / "drawn", {"dog/pug": 4}, first=400)
    shutil.copytree(tmp_path / "drawn" / "dog" / "pug", tmp_path / "more" / "dog")
    once = grow(bundle, tmp_path / "more", out=tmp_path / "once")
    for photo in once.left_out:
        Path(photo.path).unlink()
    with pytest.raises(DataError, match=f"learned from all {sum(once.photos.values())} photos already"):
        grow(once.bundle, tmp_path / "more", out=tmp_path / "twice")


def test_a_new_breed_may_lie_beside_the_photos_that_the_bundle_was_trained_on(bundle, old_photos, tmp_path):
    shutil.copytree(old_photos / "dog", tmp_path / "all" / "dog")
    draw_photos(tmp_path / "all", {"dog/husky": 8}, first=100)
    result = grow(bundle, tmp_path / "all", out=tmp_path / "bundle")
    assert result.photos == {HUSKY: 8}
    assert len(result.left_out) == 60


def test_photos_of_one_animal_do_not_judge_each_other(bundle, tmp_path):
    """Stated to be of one animal, none is judged; of two, each by the other."""
    drawn = draw_photos(tmp_path / "new", {"dog/husky": 6}, first=100)
    for name, animals in (("one", [1] * 6), ("two", [1, 2] * 3)):
        lines = [f"{photo},dog,husky,{n}" for photo, n in zip(sorted(drawn.rglob("*.png")), animals, strict=True)]
        table = tmp_path / f"{name}.csv"
        table.write_text("\n".join(["path,species,breed,individual", *lines]), encoding="utf-8")
        result = grow(bundle, table, out=tmp_path / name)
        assert result.photos == {HUSKY: 6}
        assert (result.accuracy[HUSKY] is None) == (name == "one")
        assert result.judged == {HUSKY: 0 if name == "one" else 2}  # the promise is to new animals
        assert ("dog/husky has 6 photos of 2 animals, and" in result.warnings[-1]) == (name == "two")
