"""A bundle knows its photos by eight bytes each, whatever they are called, and grows in what it knows."""

from __future__ import annotations

import hashlib
import shutil
from typing import Any

from helpers.demo_photos import draw_photos
from helpers.fakes import tiny_registry

from hierpets.bundle.identity import model_id
from hierpets.bundle.layout import SEEN
from hierpets.bundle.seen import SeenPhotos
from hierpets.data.content import content_key


def digest(number: int) -> str:
    return hashlib.sha256(bytes([number])).hexdigest()


def test_seen_photos_are_packed_into_eight_bytes_each_in_any_order(tmp_path):
    seen = SeenPhotos.of([digest(1), digest(2), digest(3), digest(2)])
    assert len(seen.pack()) == 24
    assert seen.pack() == SeenPhotos.of([digest(3), digest(1), digest(2)]).pack()
    (tmp_path / SEEN).write_bytes(seen.pack())
    again = SeenPhotos.read(tmp_path)
    assert again == seen and again.holds(digest(2)) and not again.holds(digest(4))
    assert SeenPhotos.read(tmp_path / "elsewhere") is None


def test_a_photo_is_known_by_its_content(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"one photo")
    (tmp_path / "b.jpg").write_bytes(b"one photo")
    (tmp_path / "c.jpg").write_bytes(b"another")
    seen = SeenPhotos.of([content_key(str(tmp_path / "a.jpg"))])
    assert seen.holds(content_key(str(tmp_path / "b.jpg")))
    assert not seen.holds(content_key(str(tmp_path / "c.jpg")))


def test_a_trained_bundle_knows_its_training_photos_and_no_others(tiny_run):
    from hierpets.data.labeled.index import read_index
    from hierpets.data.labeled.split import split_index

    seen = SeenPhotos.read(tiny_run / "bundle")
    index = split_index(read_index("demo"), seed=0)
    assert all(seen.holds(content_key(path)) for path in index.subset("train").paths)
    assert not any(seen.holds(content_key(path)) for path in index.subset("val").paths)


def test_a_training_photo_that_vanishes_meanwhile_stays_known(tmp_path):
    from hierpets.training.recipe import train

    tiny_registry(tmp_path)
    photos = draw_photos(tmp_path / "pets", {"cat/siamese": 4, "dog/pug": 4})
    keys = {content_key(str(path)) for path in photos.rglob("*.png")}

    def vanish(event: dict[str, Any]) -> None:
        if event["event"] == "metrics":
            shutil.rmtree(photos, ignore_errors=True)

    settings = {"backbone": "tiny", "registry": tmp_path / "registry.yaml", "recipe": "heads", "second_look": False}
    result = train(photos, out=tmp_path / "run", val_fraction=0.0, listener=vanish, **settings)
    seen = SeenPhotos.read(result.bundle)
    assert not photos.exists() and len(keys) == len(seen) == 8 and all(map(seen.holds, keys))


def test_what_was_seen_is_no_part_of_the_identity(tiny_run, tmp_path):
    shutil.copytree(tiny_run / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / SEEN).unlink()
    assert model_id(tmp_path / "bundle") == model_id(tiny_run / "bundle")
