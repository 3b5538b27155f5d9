"""Statistics of one photo, and the checks that need nothing else."""

import os

import cv2
import numpy as np
import pytest

from hierpets.auditing.images.image_checks import check_image
from hierpets.auditing.images.image_stats import measure_image
from hierpets.auditing.settings import AuditSettings
from hierpets.data.records import PhotoRecord


def kinds(path):
    return [f.kind for f in check_image(PhotoRecord(str(path), "cat"), measure_image(str(path)), AuditSettings())]


def written(path, pixels, *parameters):
    assert cv2.imwrite(str(path), pixels, list(parameters))
    return path


def test_check_image_finds_nothing_in_an_ordinary_photo(tmp_path, photo):
    stats = measure_image(str(written(tmp_path / "a.jpg", photo)))
    assert (stats.format, stats.width, stats.height, stats.error) == ("JPEG", 256, 256, None)
    assert kinds(tmp_path / "a.jpg") == []


def test_check_image_finds_dark_light_uniform_gray_and_tiny_photos(tmp_path, photo):
    noise = np.random.default_rng(0).integers(0, 6, photo.shape, np.uint8)
    assert kinds(written(tmp_path / "black.jpg", noise)) == ["near_black"]
    assert kinds(written(tmp_path / "white.jpg", 255 - noise)) == ["near_white"]
    assert kinds(written(tmp_path / "flat.jpg", noise + 100)) == ["uniform"]
    gray = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    assert kinds(written(tmp_path / "gray.jpg", gray)) == ["gray"]
    assert kinds(written(tmp_path / "tiny.jpg", cv2.resize(photo, (90, 60)))) == ["tiny"]


@pytest.mark.parametrize(("value", "said"), [(0, "darker than 1% of"), (255, "lighter than 99% of")])
def test_check_image_says_what_can_be_true_of_a_black_and_of_a_white_photo(tmp_path, photo, value, said):
    path = str(written(tmp_path / "blank.png", np.full_like(photo, value)))
    (found,) = check_image(PhotoRecord(path, "cat"), measure_image(path), AuditSettings())
    assert said in found.what


def test_check_image_finds_a_huge_photo(tmp_path, photo):
    path = written(tmp_path / "huge.jpg", np.tile(photo, (4, 4, 1)))
    settings = AuditSettings(huge_megapixels=1.0)
    assert [f.kind for f in check_image(PhotoRecord(str(path), "cat"), measure_image(str(path)), settings)] == ["huge"]


def test_check_image_finds_a_png_named_jpg(tmp_path, photo):
    content = cv2.imencode(".png", photo)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "a.PNG").write_bytes(content)
    assert kinds(tmp_path / "a.jpg") == ["wrong_type"]
    assert kinds(tmp_path / "a.PNG") == []


@pytest.mark.parametrize("content", [b"", b"not a photo", None], ids=["empty", "text", "truncated"])
def test_measure_image_describes_an_unreadable_file_without_raising(tmp_path, photo, content):
    if content is None:
        content = cv2.imencode(".jpg", photo)[1].tobytes()[:3000]
    (tmp_path / "a.jpg").write_bytes(content)
    stats = measure_image(str(tmp_path / "a.jpg"))
    assert stats.error
    assert "a.jpg" not in stats.error
    assert kinds(tmp_path / "a.jpg") == ["unreadable"]


def test_check_image_finds_a_jpeg_that_lost_its_last_bytes(tmp_path, photo):
    content = cv2.imencode(".jpg", photo)[1].tobytes()
    (tmp_path / "short.jpg").write_bytes(content[:-2])
    (tmp_path / "more.jpg").write_bytes(content + b"camera notes")
    assert kinds(tmp_path / "short.jpg") == ["truncated"]
    assert kinds(tmp_path / "more.jpg") == []


def test_measure_image_describes_a_missing_and_an_oversized_file(tmp_path):
    assert measure_image(str(tmp_path / "gone.jpg")).error
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), 70 * 2**20)  # a sparse file: it takes no room
    assert "MB" in measure_image(str(huge)).error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="system: needs named pipes")
@pytest.mark.timeout(20)
def test_measure_image_describes_a_pipe_without_waiting_for_what_it_brings(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert measure_image(str(tmp_path / "pipe.jpg")).error == "is not a regular file"


def test_measure_image_hashes_survive_re_encoding_and_mirroring(tmp_path, photo):
    def bits(a, b):
        return bin(int(a, 16) ^ int(b, 16)).count("1")

    first = measure_image(str(written(tmp_path / "a.png", photo)))
    small = cv2.resize(photo, (180, 180), interpolation=cv2.INTER_AREA)
    again = measure_image(str(written(tmp_path / "b.jpg", small, cv2.IMWRITE_JPEG_QUALITY, 60)))
    mirrored = measure_image(str(written(tmp_path / "c.png", photo[:, ::-1])))
    on_its_side = measure_image(str(written(tmp_path / "d.png", np.rot90(photo))))
    other = measure_image("demo:dog/husky/1")
    assert bits(first.phash, again.phash) <= 4
    assert bits(first.phash, mirrored.mirrored_phash) <= 2
    assert [bits(first.phash, turned) <= 2 for turned in on_its_side.turned_phashes] == [False, False, True]
    assert bits(first.phash, other.phash) > 8
