import errno
import os

import numpy as np
import pytest
from helpers.color_server import TAXONOMY, LocalClient, plain, with_exif
from helpers.systems import needs_links
from hypothesis import given
from hypothesis import strategies as st

from hierpets.data.labeled.index import read_index
from hierpets.data.photos import read_photo
from hierpets.errors import ConfigError, DataError
from hierpets.serve import feedback
from hierpets.serve.app import create_app
from hierpets.serve.feedback import FeedbackFull, FeedbackStore, tidy_label
from hierpets.serve.settings import ServeSettings

PHOTO = np.full((30, 40, 3), 120, np.uint8)


def send(client, photo=None, headers=None, **fields):
    data = {"species": "cat", "breed": "siamese", "consent": "yes"} | fields
    return client.post(
        "/v1/feedback", data=data, files={"photo": ("p.jpg", photo or plain("siamese"))}, headers=headers
    )


def test_feedback_becomes_a_labeled_set_that_read_index_reads(client, tmp_path):
    root = tmp_path / "feedback"
    assert send(client).status_code == 201
    assert send(client, plain("a dog"), species="Dog", breed="Beagle").json()["path"].startswith("dog/beagle/")
    assert send(client, plain("nothing"), species="horse", breed="").json()["path"].startswith("horse/")
    assert send(client, plain("a dog", (9, 9)), species="dog", breed="English Setter").status_code == 201
    index = read_index(str(root))
    assert [(r.species, r.breed) for r in index.records] == [
        ("cat", "siamese"), ("dog", "beagle"), ("dog", "english_setter"), ("horse", None),
    ]  # fmt: skip
    for record in index.records:
        read_photo(record.path)


def test_feedback_stores_nothing_but_pixels(client, tmp_path):
    path = send(client, with_exif(plain("siamese"))).json()["path"]
    kept = (tmp_path / "feedback" / path).read_bytes()
    assert b"Exif" not in kept
    assert b"SecretCam" not in kept


def test_feedback_stores_the_same_photo_once(client, tmp_path):
    assert send(client).json() == send(client).json()
    assert len(list((tmp_path / "feedback").rglob("*.*"))) == 1


@pytest.mark.parametrize("consent", ["", "no", "on"])
def test_feedback_without_consent_is_not_stored(client, tmp_path, consent):
    assert send(client, consent=consent).status_code == 422
    assert not list((tmp_path / "feedback").iterdir())


def test_feedback_with_a_misspelled_field_is_refused(client, tmp_path):
    answer = send(client, bread="pug")
    assert answer.json()["detail"] == "form field 'bread': expected one of species, breed, consent, photo"
    assert not list((tmp_path / "feedback").iterdir())


def test_feedback_with_two_labels_is_refused(client, tmp_path):
    answer = send(client, species=["dog", "cat"])
    assert answer.json()["detail"] == "form field 'species': expected one value, got several"
    assert answer.json()["type"] == "/docs#invalid"
    assert not list((tmp_path / "feedback").iterdir())


@pytest.mark.parametrize(
    "label", ["..", "../x", "a/b", "a\\b", ".hidden", "", "a" * 61, "nul", "train", "x\0y", "-rf", "<b>"]
)
def test_feedback_refuses_a_label_that_is_no_name(client, tmp_path, label):
    answer = send(client, species=label)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/docs#invalid-name"
    assert "species" in answer.json()["detail"]
    assert not list((tmp_path / "feedback").iterdir())


@pytest.mark.parametrize(
    ("species", "breed", "told"),
    [
        ("dogg", "", "species: 'dogg' is almost 'dog' (did you mean 'dog'?)"),
        ("rabbits", "", "species: 'rabbits' is almost 'rabbit' (did you mean 'rabbit'?)"),
        ("dog", "beegle", "breed: 'beegle' is almost 'beagle' (did you mean 'beagle'?)"),
        ("dog", "samoyd", "breed: 'samoyd' is almost 'samoyed' (did you mean 'samoyed'?)"),
        ("dog", "siamese", "breed: 'siamese' is a breed of cat, not of dog; correct one of the two"),
        ("Hund", "Siamkatze", "breed: 'siamkatze' is a breed of cat, not of dog; correct one of the two"),
    ],
)
def test_feedback_refuses_a_label_that_is_likely_meant_to_be_another(client, tmp_path, species, breed, told):
    answer = send(client, species=species, breed=breed)
    assert (answer.status_code, answer.json()["type"]) == (422, "/docs#invalid-name")
    assert answer.json()["detail"] == told
    assert not list((tmp_path / "feedback").iterdir())


@pytest.mark.parametrize(
    ("species", "breed"), [("rat", ""), ("horse", "siamese"), ("dog", "puli"), ("dog", "labrador")]
)
def test_feedback_takes_a_new_species_or_breed(client, species, breed):
    assert send(client, species=species, breed=breed).status_code == 201


def test_feedback_takes_a_name_that_has_a_folder(client, tmp_path):
    (tmp_path / "feedback" / "dogg").mkdir()
    assert send(client, species="dogg", breed="").json()["path"].startswith("dogg/")


def test_feedback_from_another_web_site_is_refused(client, tmp_path):
    assert send(client, headers={"origin": "https://example.com"}).status_code == 403
    for origin in ("null", "http://[x", "http://localhost@example.com", ""):
        assert send(client, headers={"origin": origin}).status_code == 403
    assert not list((tmp_path / "feedback").iterdir())
    assert send(client, headers={"origin": "http://localhost"}).status_code == 201


@pytest.mark.parametrize(("fetched_from", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 201)])
def test_feedback_from_another_web_site_without_origin_is_refused(client, fetched_from, status):
    assert send(client, headers={"sec-fetch-site": fetched_from}).status_code == status


def test_feedback_with_an_unreadable_photo_is_refused(client):
    assert send(client, b"no photo").json()["type"] == "/docs#unreadable"


def test_feedback_into_a_full_folder_is_a_problem(predictor, tmp_path):
    settings = ServeSettings(feedback=tmp_path, feedback_mb=0.0001)
    with LocalClient(create_app(predictor, settings)) as client:
        assert send(client).status_code == 507
    assert not list(tmp_path.iterdir())


def test_feedback_store_counts_files_that_are_there_already(tmp_path):
    (tmp_path / "old.jpg").write_bytes(b"0" * 900)
    with pytest.raises(FeedbackFull):
        FeedbackStore(tmp_path, TAXONOMY, max_bytes=1000).save(PHOTO, "cat", "")


def test_feedback_in_several_spellings_is_one_class(client, tmp_path):
    for breed in ("Jack-Russell", "Jack Russell", "jackrussell"):
        sent = send(client, plain("a dog", (9, 9)), species="dog", breed=breed)
        assert sent.json()["path"].startswith("dog/jack-russell/")
    assert send(client, species="Chinchilla", breed="").json()["path"].startswith("chinchilla/")
    assert len(read_index(str(tmp_path / "feedback"))) == 2


@pytest.mark.parametrize("species", [".git", "train"])
def test_feedback_goes_into_no_folder_that_is_no_class(tmp_path, species):
    (tmp_path / species).mkdir()
    with pytest.raises(DataError, match="species: "):
        FeedbackStore(tmp_path, TAXONOMY, max_bytes=10**7).save(PHOTO, species, "")


def test_feedback_store_has_room_again_when_photos_were_taken_away(tmp_path):
    (tmp_path / "old.jpg").write_bytes(b"0" * 900)
    store = FeedbackStore(tmp_path, TAXONOMY, max_bytes=1500)
    with pytest.raises(FeedbackFull):
        store.save(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8), "cat", "")
    (tmp_path / "old.jpg").unlink()
    assert store.save(PHOTO, "cat", "")


def test_feedback_that_a_full_disk_refuses_leaves_no_class(tmp_path, monkeypatch):
    def full(path, _):
        path.parent.mkdir(parents=True)
        raise OSError(28, "No space left on device")

    store = FeedbackStore(tmp_path, TAXONOMY, max_bytes=10**7)
    monkeypatch.setattr("hierpets.serve.feedback.write_file", full)
    with pytest.raises(FeedbackFull):
        store.save(PHOTO, "cat", "siamese")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("reason", "status"), [(errno.ENOSPC, 507), (errno.EROFS, 500), (errno.EACCES, 500)])
def test_feedback_folder_that_cannot_be_written_is_not_called_full(predictor, tmp_path, monkeypatch, reason, status):
    def refuse(path, _):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("hierpets.serve.feedback.write_file", refuse)
    with LocalClient(create_app(predictor, ServeSettings(feedback=tmp_path))) as client:
        assert send(client).status_code == status


def test_feedback_store_shrinks_a_large_photo_and_keeps_its_shape(tmp_path):
    store = FeedbackStore(tmp_path, TAXONOMY, max_bytes=10**7)
    path = store.save(np.zeros((3000, 1500, 3), np.uint8), "cat", "")
    assert read_photo(tmp_path / path).shape == (1600, 800, 3)


@needs_links
def test_feedback_store_does_not_follow_a_link_out_of_its_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "cat").symlink_to(outside)
    with pytest.raises(DataError, match="points outside"):
        FeedbackStore(root, TAXONOMY, max_bytes=10**7).save(PHOTO, "cat", "siamese")
    assert not list(outside.rglob("*.jpg"))


def test_feedback_store_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--feedback .*cannot be written: Not a directory"):
        FeedbackStore(tmp_path / "file" / "folder", TAXONOMY, max_bytes=1)
    with pytest.raises(ConfigError, match=r"--feedback .*file: expected a folder, got a file"):
        FeedbackStore(tmp_path / "file", TAXONOMY, max_bytes=1)


@given(st.text(max_size=80))
def test_tidy_label_gives_a_valid_folder_name_or_an_error(text):
    try:
        name = tidy_label(text, ("Maine_Coon",), what="breed")
    except DataError:
        return
    assert name
    assert len(name) <= 60
    assert not set(name) & set('/\\.\0:*?"<>|')
    assert tidy_label(name, ("Maine_Coon",), what="breed") == name


@pytest.mark.parametrize("label", [{"species": "cat" * 1000}, {"breed": "\ufdfa" * 300_000}])
def test_a_name_of_a_megabyte_is_refused_before_it_is_looked_up(client, label, monkeypatch):
    monkeypatch.setattr(feedback, "find_label", lambda *_: pytest.fail("it is looked up"))
    answer = send(client, **label)
    assert answer.status_code == 422
    assert "expected a name of up to 60 letters" in answer.json()["detail"]


def test_tidy_label_takes_the_apostrophe_of_a_phone():
    assert tidy_label("Braque de l’Ariège", ("pug",), what="breed") == "braque_de_l'ariège"
    assert tidy_label("Braque de l’Ariège", ("Braque de l'Ariège",), what="breed") == "Braque de l'Ariège"


@pytest.mark.parametrize("name", ["राजपालयम", "ไทยหลังอาน", "柴犬", "mâtin", "३_रंग"])
def test_tidy_label_takes_names_of_any_script(name):
    assert tidy_label(name, ("pug",), what="breed") == name


@pytest.mark.parametrize("name", ["\u0301pug", "pug\u202ekced", "a/b", "..", "_pug", "pug\u200b"])
def test_tidy_label_takes_no_mark_alone_and_nothing_that_cannot_be_seen(name):
    with pytest.raises(DataError, match="expected a name of up to 60 letters"):
        tidy_label(name, ("x",), what="breed")


def test_tidy_label_keeps_the_spelling_of_a_known_name():
    assert tidy_label(" maine   coon ", ("Maine_Coon",), what="breed") == "Maine_Coon"
