"""``hierpets audit`` from the command line: what it writes, what it says, how it ends."""

import json
import re

import cv2
import pytest
from helpers.fakes import tiny_registry

from hierpets.auditing.findings import KINDS
from hierpets.cli import _run
from hierpets.data.photos import read_photo
from hierpets.errors import DataError


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


def audit(root, out, registry, *options):
    return _run(["audit", str(root), "--out", str(out), "--backbone", "tiny", "--registry", str(registry), *options])


def test_a_clean_set_passes_and_is_counted(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets")
    assert audit(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 0
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert told["schema_version"] == 1
    assert told["photos"] == 24
    assert told["splits"] == {"train": 20, "val": 4}
    assert told["levels"]["species"] == {"counts": {"cat": 12, "dog": 12}, "imbalance_ratio": 1.0}
    assert told["sampler"]["name"] == "shuffle"
    assert list(told["summary"]) == list(KINDS)
    assert "24 photos" in capsys.readouterr().out


def test_strict_fails_on_a_leak_and_says_which(tmp_path, registry, capsys):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/val/cat/ginger/again.jpg").write_bytes((tmp_path / "pets/train/cat/ginger/1.jpg").read_bytes())
    assert audit(tmp_path / "pets", tmp_path / "out", registry) == 0
    assert audit(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 1
    (leak,) = [f for f in json.loads((tmp_path / "out/audit.json").read_text())["findings"] if f["kind"] == "leak"]
    assert {photo["split"] for photo in leak["photos"]} == {"train", "val"}
    assert leak["detail"] == {"how": "exact", "similarity": 1.0}
    assert "1 photo in two splits" in capsys.readouterr().out


def test_strict_fails_on_an_unreadable_file(tmp_path, registry):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug/broken.jpg").write_bytes(b"not a photo")
    assert audit(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 1


def test_the_page_stands_alone_and_escapes_names(tmp_path, registry):
    odd = "dog/<b onmouseover=alert(1)>"
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/pug").rename(tmp_path / "pets/train" / odd)
    (tmp_path / "pets/train" / odd / "broken.jpg").write_bytes(b"GIF89a")
    audit(tmp_path / "pets", tmp_path / "out", registry)
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "<b onmouseover" not in page
    assert "&lt;b onmouseover" in page
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "Content-Security-Policy" in page


def test_photos_too_few_to_judge_are_no_error(tmp_path, registry):
    write_pets(tmp_path / "pets", names=("cat/ginger", "dog/pug"), each=2)
    assert audit(tmp_path / "pets", tmp_path / "out", registry) == 0
    assert json.loads((tmp_path / "out/audit.json").read_text())["notes"]


def test_a_set_in_which_nothing_can_be_read_is_still_told_of(tmp_path, registry):
    (tmp_path / "pets/cat/ginger").mkdir(parents=True)
    (tmp_path / "pets/cat/ginger/1.jpg").write_bytes(b"")
    assert audit(tmp_path / "pets", tmp_path / "out", registry, "--strict") == 1


def test_a_class_of_one_photo_does_not_stop_the_judging_of_others(tmp_path, registry):
    write_pets(tmp_path / "pets")
    (tmp_path / "pets/train/dog/lonely").mkdir()
    photo = cv2.cvtColor(read_photo("demo:dog/golden/1"), cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(tmp_path / "pets/train/dog/lonely/1.jpg"), photo)
    assert audit(tmp_path / "pets", tmp_path / "out", registry) == 0
    (note,) = json.loads((tmp_path / "out/audit.json").read_text())["notes"]
    assert "1 photo" in note


def test_a_folder_without_photos_is_refused(tmp_path, registry):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folder with photos"):
        audit(tmp_path / "empty", tmp_path / "out", registry)


def test_without_options_the_embedded_backbone_is_found(tmp_path):
    from hierpets.cli.develop.audit import BACKBONE
    from hierpets.registry.loading import load_registry

    assert load_registry().get("backbone", BACKBONE)
