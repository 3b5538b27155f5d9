import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.cascades import with_manifest
from helpers.demo_photos import draw_photos

from hierpets.bundle.manifest import read_manifest
from hierpets.bundle.seen import SeenPhotos
from hierpets.cli.develop.forget import command
from hierpets.errors import ConfigError, DataError, PluginError
from hierpets.growing.bundle import open_bundle
from hierpets.growing.forget import forget
from hierpets.growing.grow import grow
from hierpets.growing.result import ForgetResult
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Leaf


def test_a_forgotten_breed_is_gone_and_the_others_stay(grown, tmp_path):
    result = forget(grown.bundle, "dog/husky", out=tmp_path / "out")
    manifest, before = read_manifest(result.bundle), read_manifest(grown.bundle)
    assert result.forgotten == (Leaf("dog", "husky"),)
    assert str(result) == "forgotten: dog/husky" and "<p>forgotten: dog/husky</p>" in result._repr_html_()
    assert set(before.taxonomy.leaves) - set(manifest.taxonomy.leaves) == {Leaf("dog", "husky")}
    assert "dog/husky" not in manifest.policy.leaves
    assert "dog/husky" not in manifest.statistics.photos
    prediction = result.predictor(recommend=False).predict("demo:dog/pug/300")
    assert prediction.joint.shape == (6,)
    assert prediction.joint.sum() == pytest.approx(1.0)


def test_forgetting_takes_a_row_and_moves_no_other_mean(grown, tmp_path):
    before, after = (
        open_bundle(grown.bundle),
        open_bundle(forget(grown.bundle, "cat/ginger", out=tmp_path / "o").bundle),
    )
    kept = after.main.statistics.labels
    np.testing.assert_allclose(after.main.statistics.means_of(kept), before.main.statistics.means_of(kept))
    found, expected = after.main.statistics.covariance, before.main.statistics.covariance
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_a_species_goes_as_a_whole_and_with_its_last_breed(grown, tmp_path):
    whole = read_manifest(forget(grown.bundle, "cat", out=tmp_path / "a").bundle)
    bit_by_bit = read_manifest(
        forget(grown.bundle, "cat/siamese", "cat/tuxedo", "cat/ginger", out=tmp_path / "b").bundle
    )
    for manifest in (whole, bit_by_bit):
        assert manifest.taxonomy.species == ("dog", "rabbit")
        assert "cat" not in manifest.policy.scores
        assert "cat" not in manifest.temperatures.breeds


def test_of_many_leaves_that_are_forgotten_the_first_are_named():
    leaves = tuple(Leaf("dog", f"breed_{number:03}") for number in range(120))
    said = str(ForgetResult(Path("bundle"), leaves))
    assert said.startswith("forgotten: dog/breed_000, dog/breed_001")
    assert said.endswith("dog/breed_009 and 110 more")


def test_animals_of_a_forgotten_species_are_no_pets_of_a_known_one(grown, bundle, tmp_path):
    """The classes of the pretrained head that show them, of ImageNet, count no more; those of all others do."""

    def classes(folder):
        return {*open_bundle(folder).main.scorer.species_classes.tolist()}

    assert classes(grown.bundle) > classes(bundle) == {*range(281, 286), *range(151, 269)}
    assert classes(forget(grown.bundle, "rabbit", out=tmp_path / "a").bundle) == classes(bundle)
    assert not classes(forget(grown.bundle, "dog", out=tmp_path / "b").bundle) & {*range(151, 269)}
    assert classes(forget(grown.bundle, "cat/siamese", out=tmp_path / "c").bundle) == classes(grown.bundle)


def test_the_plugin_of_the_backbone_names_the_classes_of_a_species_that_goes(bundle, tmp_path, monkeypatch):
    def renamed(manifest):
        return manifest.model_copy(update={"backbone": manifest.backbone.model_copy(update={"name": "mine"})})

    other = with_manifest(bundle, tmp_path / "other", renamed)
    forget(other, "cat/siamese", out=tmp_path / "a")  # nobody is asked
    with pytest.raises(PluginError, match=r"'mine'.*name the registry that the bundle was trained with"):
        forget(other, "dog", out=tmp_path / "b")
    shutil.copy(load_registry().get("backbone", "efficientnet_lite0").file, tmp_path / "mine.py")
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins:\n  - {name: mine, kind: backbone, entry: 'mine.py:efficientnet_lite0'}\n")
    result, given = forget(other, "dog", out=tmp_path / "b", registry=registry), []
    monkeypatch.setattr("hierpets.growing.result.load", lambda folder, **options: given.append(options))
    result.predictor(recommend=False)
    result.predictor(registry="another.yaml")
    assert given[0]["registry"].path == registry and given[1] == {"registry": "another.yaml"}


def test_a_name_that_is_not_there_is_refused(bundle, tmp_path):
    for name in ("dog/pugg", "pugg"):
        with pytest.raises(DataError, match=rf"^'{name}' is not a species or a breed .*did you mean '.*pug'"):
            forget(bundle, name, out=tmp_path / "out")
    with pytest.raises(DataError, match=r"^only one class would be left; a bundle needs at least two$"):
        forget(bundle, "cat", "dog/pug", out=tmp_path / "out")


@pytest.mark.parametrize("name", ["dog/pug", "pug", "Mops"])
def test_a_breed_is_named_as_where_an_answer_is_restricted_to_it(bundle, tmp_path, name):
    assert forget(bundle, name, out=tmp_path / "out").forgotten == (Leaf("dog", "pug"),)


def test_the_command_forgets(bundle, tmp_path):
    done = CliRunner().invoke(command, ["dog/pug", "--model", str(bundle), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "forgotten: dog/pug" in done.output


@pytest.mark.parametrize("change", ["grow", "forget"])
def test_nothing_but_a_bundle_is_replaced(bundle, tmp_path, change):
    """All that lies in a folder goes when it is replaced: photos, or a whole run."""
    photos, note, other = draw_photos(tmp_path / "photos", {"dog/husky": 3}), tmp_path / "note.txt", tmp_path / "other"

    def write(out):
        if change == "grow":
            return grow(bundle, photos, out=out, overwrite=True).bundle
        return forget(bundle, "dog/pug", out=out, overwrite=True).bundle

    note.touch()
    kept = sorted(tmp_path.rglob("*"))
    for out in (photos, note):
        with pytest.raises(ConfigError, match="is no bundle, and is not replaced; choose another folder"):
            write(out)
    assert sorted(tmp_path.rglob("*")) == kept
    other.mkdir()  # what is empty is replaced, and so is a bundle
    assert write(other) == write(other) == other
    (other / "notes.md").touch()
    with pytest.raises(ConfigError, match=r"other: holds notes\.md beside the bundle, and is not replaced"):
        write(other)


def test_forgetting_nothing_is_refused(bundle, tmp_path):
    with pytest.raises(ConfigError, match="expected the name of a breed or a species"):
        forget(bundle, out=tmp_path / "bundle")


def test_what_was_forgotten_can_be_learned_again_beside_others_of_its_class(grown, new_photos, tmp_path):
    without = forget(grown.bundle, "dog/husky", out=tmp_path / "without")
    assert SeenPhotos.read(without.bundle) == SeenPhotos.read(grown.bundle)  # they are no evidence all the same
    others = draw_photos(tmp_path / "others", {"dog/husky": 5}, first=700)
    bundle = grow(without.bundle, others, out=tmp_path / "regrown", trust_labels=True).bundle
    shutil.copytree(new_photos / "dog" / "husky", others / "dog" / "husky", dirs_exist_ok=True)
    again = grow(bundle, others, out=tmp_path / "bundle", trust_labels=True)
    assert again.photos == {Leaf("dog", "husky"): 10}
    assert [photo.reason for photo in again.left_out] == ["learned by the bundle already"] * 5
    assert read_manifest(again.bundle).statistics.photos["dog/husky"] == 15
    with pytest.raises(DataError, match="has learned from all 15 photos already"):
        grow(again.bundle, others, out=tmp_path / "twice")


def test_what_was_forgotten_can_be_learned_under_another_label(grown, new_photos, tmp_path):
    """Photos of a breed that the bundle knows were learned as another one by mistake."""
    photos = draw_photos(tmp_path / "wrong", {"dog/husky": 8}, first=300) / "dog"
    (photos / "husky").rename(photos / "mutt")
    wrong = grow(grown.bundle, photos.parent, out=tmp_path / "grown").bundle
    (photos / "mutt").rename(photos / "husky")
    with pytest.raises(DataError, match="the bundle has learned from all 8 photos already"):
        grow(wrong, photos.parent, out=tmp_path / "refused")
    without = forget(wrong, "dog/mutt", out=tmp_path / "without").bundle
    right = grow(without, photos.parent, out=tmp_path / "right", trust_labels=True)
    assert right.photos == {Leaf("dog", "husky"): 8}
    for folder in (photos.parent, new_photos):  # neither these nor those of before teach it twice
        with pytest.raises(DataError, match="the bundle has learned from all"):
            grow(right.bundle, folder, out=tmp_path / "twice", trust_labels=True)


def test_what_is_told_of_training_leaves_out_what_was_forgotten(grown, bundle, tmp_path):
    before, known = read_manifest(bundle).training, read_manifest(grown.bundle).training
    assert (before["leaves"], known["leaves"], known["grown"]) == (4, 7, 46)
    step = read_manifest(forget(grown.bundle, "dog/husky", "dog/pug", out=tmp_path / "step").bundle).training
    assert (step["leaves"], step["grown"]) == (5, 36)
    assert read_manifest(forget(grown.bundle, *map(str, grown.new), out=tmp_path / "all").bundle).training == before


def test_what_was_forgotten_can_be_learned_again(grown, new_photos, tmp_path):
    without = forget(grown.bundle, "dog/husky", out=tmp_path / "without")
    shutil.copytree(new_photos / "dog", tmp_path / "again" / "dog")
    again = grow(without.bundle, tmp_path / "again", out=tmp_path / "bundle")
    assert again.photos == {Leaf("dog", "husky"): 10}
    assert again.left_out == ()
    one, other = (open_bundle(folder).main.breeds for folder in (grown.bundle, again.bundle))
    np.testing.assert_array_equal(one.shares, other.shares)


def test_it_is_told_where_animals_of_a_forgotten_breed_look_like_another_species_now(bundle, grown, tmp_path):
    """Dogs that look like cats, of which the one breed that showed so is gone."""
    photos = draw_photos(tmp_path / "photos", {"cat/ginger": 8}) / "cat"
    (tmp_path / "new" / "dog").mkdir(parents=True)
    (photos / "ginger").rename(tmp_path / "new" / "dog" / "mutt")
    odd = grow(bundle, tmp_path / "new", out=tmp_path / "odd", trust_labels=True).bundle
    told = "animals like dog/mutt are taken for cat now; keep the breed, or grow others of dog"
    assert forget(odd, "dog/mutt", out=tmp_path / "a").warnings == (told,)
    assert forget(odd, "dog", out=tmp_path / "b").warnings == ()  # the species is gone as a whole
    assert forget(grown.bundle, "dog/pug", "rabbit", out=tmp_path / "c").warnings == ()
