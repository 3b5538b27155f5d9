"""``hierpets.audit`` and its command: what they write, what they say, how they end."""

import json
import re

import cv2
import pytest
from helpers.fakes import tiny_registry
from helpers.systems import needs_odd_names

import hierpets
from hierpets.auditing.kinds import KINDS
from hierpets.auditing.reading import read_audit
from hierpets.auditing.run import BACKBONE
from hierpets.cli import main
from hierpets.cli.develop.audit import command
from hierpets.data.photos import read_photo
from hierpets.errors import ConfigError
from hierpets.registry.loading import load_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return tiny_registry(tmp_path_factory.mktemp("registry")).path


def write_pets(root, *, names=("cat/ginger", "cat/tuxedo", "dog/pug", "dog/husky"), each=6):
    for name in names:
        for n in range(each):
            folder = root / ("val" if n == 0 else "train") / name
            folder.mkdir(parents=True, exist_ok=True)
            photo = cv2.cvtColor(read_photo(f"demo:{name}/{n}"), cv2.COLOR_RGB2BGR)
            assert cv2.imwrite(str(folder / f"{n}.jpg"), photo)


def run(root, out, registry, *options):
    """The exit code of ``hierpets audit``."""
    options = ["--out", str(out), "--backbone", "tiny", "--registry", str(registry), *options]
    with pytest.raises(SystemExit) as ended:
        main(["audit", str(root), *options])
    return ended.value.code or 0


def test_audit_command_counts_a_clean_set_and_passes(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets")
    assert run(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 0
    document = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert read_audit(tmp_path / "out" / "audit.json").model_dump(mode="json") == document
    assert document["schema_version"] == 2
    assert document["photos"] == 24
    assert document["splits"] == {"train": 20, "val": 4}
    assert document["levels"]["species"] == {"counts": {"cat": 12, "dog": 12}, "imbalance_ratio": 1.0}
    assert document["sampler"]["name"] == "shuffle"
    assert list(document["summary"]) == list(KINDS)
    assert "24 photos" in capsys.readouterr().out


def test_audit_command_writes_nothing_among_the_photos(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets", each=1)
    assert run(tmp_path / "pets", tmp_path / "pets" / "audit", registry) == 1
    assert "lies in the folder of photos" in capsys.readouterr().err
    assert not (tmp_path / "pets" / "audit").exists()


def test_audit_command_strict_fails_on_a_leak_and_says_which(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/val/cat/ginger/again.jpg").write_bytes((tmp_path / "pets/train/cat/ginger/1.jpg").read_bytes())
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 0
    assert run(tmp_path / "pets", tmp_path / "out", registry, "--strict", "--overwrite") == 1
    (leak,) = [f for f in json.loads((tmp_path / "out/audit.json").read_text())["findings"] if f["kind"] == "leak"]
    assert {photo["split"] for photo in leak["photos"]} == {"train", "val"}
    assert leak["detail"] == {"how": "exact", "similarity": 1.0}
    assert "1 photo in two splits" in capsys.readouterr().out


def test_audit_command_strict_fails_on_an_unreadable_file(tmp_path, registry):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug/broken.jpg").write_bytes(b"not a photo")
    assert run(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 1
    document = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert document["photos"] == 25
    assert document["levels"]["species"]["counts"] == {"cat": 12, "dog": 12}  # what a training reads


@needs_odd_names
def test_render_page_stands_alone_and_escapes_names(tmp_path, registry):
    odd = "dog/<b onmouseover=alert(1)>"
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug").rename(tmp_path / "pets/train" / odd)
    (tmp_path / "pets/train" / odd / "broken.jpg").write_bytes(b"GIF89a")
    run(tmp_path / "pets", tmp_path / "out", registry)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "<b onmouseover" not in page
    assert "&lt;b onmouseover" in page
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "Content-Security-Policy" in page


@needs_odd_names
def test_audit_command_shows_control_characters_in_names_as_text(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug/\x1b[31m\n.jpg").write_bytes(b"")
    run(tmp_path / "pets", tmp_path / "out", registry)
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\\x1b[31m\\n.jpg" in "".join(said.split())  # the table folds


def test_audit_command_notes_photos_too_few_to_check(tmp_path, registry):
    write_pets(tmp_path / "pets", names=("cat/ginger", "dog/pug"), each=2)
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 0
    assert json.loads((tmp_path / "out/audit.json").read_text())["notes"]


def test_audit_command_describes_a_set_without_readable_photos(tmp_path, registry):
    (tmp_path / "pets/cat/ginger").mkdir(parents=True)
    (tmp_path / "pets/cat/ginger/1.jpg").write_bytes(b"")
    assert run(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 1


def test_audit_command_checks_other_labels_beside_a_class_of_one_photo(tmp_path, registry):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/lonely").mkdir()
    photo = cv2.cvtColor(read_photo("demo:dog/golden/1"), cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(tmp_path / "pets/train/dog/lonely/1.jpg"), photo)
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 0
    (note,) = json.loads((tmp_path / "out/audit.json").read_text())["notes"]
    assert note.startswith("1 label not checked")


def test_audit_command_refuses_a_folder_without_photos(tmp_path, registry, capsys):
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", tmp_path / "out", registry) == 1
    assert "no folder with photos" in capsys.readouterr().err


def test_audit_command_keeps_an_earlier_audit_unless_told_to_overwrite(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets", each=2)
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 0
    before = (tmp_path / "out/audit.json").stat().st_mtime_ns
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 1
    assert "already exists; give overwrite" in capsys.readouterr().err
    assert (tmp_path / "out/audit.json").stat().st_mtime_ns == before
    assert run(tmp_path / "pets", tmp_path / "out", registry, "--overwrite") == 0


def test_audit_command_refuses_two_spellings_of_a_class(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets", names=("cat/ginger", "dog/pug"))
    (tmp_path / "pets/val/cat").rename(tmp_path / "pets/val/Cat")
    assert run(tmp_path / "pets", tmp_path / "out", registry) == 1
    assert "'Cat' and 'cat' differ only in case" in capsys.readouterr().err


def test_audit_finds_classes_that_may_be_misspelled(tmp_path, registry):
    write_pets(tmp_path / "pets", each=2)
    (tmp_path / "pets/train/dog/husky").rename(tmp_path / "pets/train/dog/huskies")
    (tmp_path / "pets/val/dog").rename(tmp_path / "pets/val/dogs")
    result = hierpets.audit(tmp_path / "pets", backbone="tiny", registry=registry)
    found = {finding.photos[0].species: finding for finding in result.of_kind("misspelled")}
    assert found["dogs"].what.startswith("class dogs is almost 'dog'")
    assert "2 classes that may be misspelled" in result.headline
    assert found["dog"].photos[0].breed == "huskies"


def test_audit_without_out_writes_nothing(tmp_path, registry, monkeypatch):
    write_pets(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    result = hierpets.audit(tmp_path / "pets", backbone="tiny", registry=registry)
    assert isinstance(result, hierpets.Audit)
    assert (result.photos, result.blocking) == (24, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_audit_of_one_photo_says_photo(tmp_path, registry):
    write_pets(tmp_path / "pets", names=["dog/pug"], each=1)
    result = hierpets.audit(tmp_path / "pets", backbone="tiny", registry=registry)
    assert result.headline == "1 photo: no serious problems found"


def test_audit_has_a_short_repr_and_a_table_for_notebooks(tmp_path, registry):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug/broken.jpg").write_bytes(b"GIF89a")
    result = hierpets.audit(tmp_path / "pets", backbone="tiny", registry=registry)
    assert repr(result).startswith(f"<Audit of {tmp_path / 'pets'}: 25 photos: 1 unreadable file")
    assert "\n" not in repr(result)
    assert "<td>1</td><td>Unreadable files</td>" in result._repr_html_()


def test_audit_refuses_a_kind_of_finding_that_there_is_none_of(tmp_path, registry):
    write_pets(tmp_path / "pets", each=1)
    audit = hierpets.audit(tmp_path / "pets", backbone="tiny", registry=registry)
    assert audit.of_kind("label_error") == ()
    with pytest.raises(ConfigError, match=r"one of unreadable, .*, got 'labelerror' \(did you mean 'label_error'\?\)"):
        audit.of_kind("labelerror")


def test_backbone_of_audit_is_a_plugin():
    assert load_registry().get("backbone", BACKBONE)
    assert next(p for p in command.params if p.name == "backbone").default == BACKBONE


def test_audit_finds_the_same_outliers_whatever_number_of_neighbors_labels_are_compared_with(tmp_path, registry):
    write_pets(tmp_path / "pets")
    found = [
        hierpets.audit(
            tmp_path / "pets", backbone="tiny", registry=registry, settings=hierpets.AuditSettings(neighbors=neighbors)
        ).of_kind("outlier")
        for neighbors in (1, 10)
    ]
    assert found[0] == found[1] and "to 5 nearest neighbors" in found[0][0].what
