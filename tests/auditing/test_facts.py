"""Facts of one photo, and the ledger that keeps them."""

import os

import cv2
import numpy as np
import pytest

from hierpets.auditing import ledger as ledger_module
from hierpets.auditing.images.image_checks import judge_looks
from hierpets.auditing.images.image_stats import look
from hierpets.auditing.images.stats_cache import Ledger, survey
from hierpets.auditing.settings import AuditSettings
from hierpets.data.photos import read_photo
from hierpets.data.records import PhotoRecord


@pytest.fixture
def photo():
    return cv2.cvtColor(read_photo("demo:cat/ginger/1"), cv2.COLOR_RGB2BGR)


def kinds(path):
    return [f.kind for f in judge_looks(PhotoRecord(str(path), "cat"), look(str(path)), AuditSettings())]


def written(path, pixels, *parameters):
    assert cv2.imwrite(str(path), pixels, list(parameters))
    return path


def test_an_ordinary_photo_has_nothing_wrong(tmp_path, photo):
    facts = look(str(written(tmp_path / "a.jpg", photo)))
    assert (facts.format, facts.width, facts.height, facts.error) == ("JPEG", 256, 256, None)
    assert kinds(tmp_path / "a.jpg") == []


def test_what_pixels_give_away(tmp_path, photo):
    noise = np.random.default_rng(0).integers(0, 6, photo.shape, np.uint8)
    assert kinds(written(tmp_path / "black.jpg", noise)) == ["near_black"]
    assert kinds(written(tmp_path / "white.jpg", 255 - noise)) == ["near_white"]
    assert kinds(written(tmp_path / "flat.jpg", noise + 100)) == ["flat"]
    gray = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    assert kinds(written(tmp_path / "gray.jpg", gray)) == ["gray"]
    assert kinds(written(tmp_path / "tiny.jpg", cv2.resize(photo, (90, 60)))) == ["tiny"]


def test_a_huge_photo_is_told_from_its_header(tmp_path, photo):
    path = written(tmp_path / "huge.jpg", np.tile(photo, (4, 4, 1)))
    settings = AuditSettings(huge_megapixels=1.0)
    assert [f.kind for f in judge_looks(PhotoRecord(str(path), "cat"), look(str(path)), settings)] == ["huge"]


def test_a_png_named_jpg_is_misnamed_and_readable(tmp_path, photo):
    content = cv2.imencode(".png", photo)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "a.PNG").write_bytes(content)
    assert kinds(tmp_path / "a.jpg") == ["wrong_type"]
    assert kinds(tmp_path / "a.PNG") == []


@pytest.mark.parametrize("content", [b"", b"not a photo", None], ids=["empty", "text", "truncated"])
def test_an_unreadable_file_is_a_fact_not_an_exception(tmp_path, photo, content):
    if content is None:
        content = cv2.imencode(".jpg", photo)[1].tobytes()[:3000]
    (tmp_path / "a.jpg").write_bytes(content)
    facts = look(str(tmp_path / "a.jpg"))
    assert facts.error
    assert "a.jpg" not in facts.error
    assert kinds(tmp_path / "a.jpg") == ["unreadable"]


def test_a_jpeg_that_lost_its_last_bytes_is_told(tmp_path, photo):
    content = cv2.imencode(".jpg", photo)[1].tobytes()
    (tmp_path / "short.jpg").write_bytes(content[:-2])
    (tmp_path / "more.jpg").write_bytes(content + b"camera notes")
    assert kinds(tmp_path / "short.jpg") == ["truncated"]
    assert kinds(tmp_path / "more.jpg") == []


def test_a_missing_file_and_an_oversized_one_are_unreadable(tmp_path):
    assert look(str(tmp_path / "gone.jpg")).error
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), 70 * 2**20)  # a sparse file: it takes no room
    assert "MB" in look(str(huge)).error


def test_the_hash_survives_a_re_encoding_and_the_mirror_hash_a_mirror(tmp_path, photo):
    def bits(a, b):
        return bin(int(a, 16) ^ int(b, 16)).count("1")

    first = look(str(written(tmp_path / "a.png", photo)))
    small = cv2.resize(photo, (180, 180), interpolation=cv2.INTER_AREA)
    again = look(str(written(tmp_path / "b.jpg", small, cv2.IMWRITE_JPEG_QUALITY, 60)))
    mirrored = look(str(written(tmp_path / "c.png", photo[:, ::-1])))
    other = look("demo:dog/husky/1")
    assert bits(first.phash, again.phash) <= 4
    assert bits(first.phash, mirrored.mirrored_phash) <= 2
    assert bits(first.phash, other.phash) > 8


def test_a_second_survey_looks_at_new_and_changed_files_alone(tmp_path, photo, monkeypatch):
    paths = [str(written(tmp_path / f"{i}.png", np.roll(photo, 9 * i, axis=1))) for i in range(5)]
    first = survey(paths, tmp_path / "out")
    looked = []
    monkeypatch.setattr(ledger_module, "look", lambda path: looked.append(path) or look(path))
    assert survey(paths, tmp_path / "out") == first
    assert looked == []
    written(tmp_path / "2.png", photo[:100])
    os.utime(tmp_path / "2.png", ns=(1, 1))
    new = str(written(tmp_path / "new.png", photo))
    again = survey([*paths, new], tmp_path / "out")
    assert sorted(looked) == sorted([paths[2], new])
    assert again[2].height == 100
    assert [facts.path for facts in again] == [*paths, new]


def test_a_survey_that_is_broken_off_keeps_what_is_done(tmp_path, photo, monkeypatch):
    paths = [str(written(tmp_path / f"{i:03d}.jpg", photo)) for i in range(200)]

    def interrupt(done, total):
        if done >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(paths, tmp_path / "out", progress=interrupt)
    told = []
    survey(paths, tmp_path / "out", progress=lambda done, total: told.append(done))
    assert told[0] == 128
    assert told[-1] == 200


def test_a_ledger_of_another_version_starts_anew(tmp_path, monkeypatch):
    path = "demo:cat/ginger/1"
    survey([path], tmp_path)
    monkeypatch.setattr(ledger_module, "VERSION", 99)
    assert Ledger(tmp_path).get(path) is None
