import json
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.color_server import (
    CLIENT,
    ColorEngine,
    LocalClient,
    encode,
    find_halves,
    make_predictor,
    plain,
    serving,
    side_by_side,
    with_exif,
)

from hierpets.data.photos import NamedPhoto, read_photo
from hierpets.errors import BundleError, PluginError
from hierpets.inference.options import PredictOptions
from hierpets.inference.record import PredictionRecord
from hierpets.registry.loading import load_registry
from hierpets.serve.app import create_app
from hierpets.serve.limits.guard import SECURITY_HEADERS
from hierpets.serve.problems import CATALOG
from hierpets.serve.schemas import ModelInfo, ProblemDetails
from hierpets.serve.settings import ServeSettings

JPEG = {"content-type": "image/jpeg"}


def form(*photos, name="photo"):
    return [(name, (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]


def is_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    ProblemDetails.model_validate(problem)
    assert problem["status"] == status
    return problem


def test_predict_route_gives_the_records_of_the_predictor(client, predictor):
    photos = [plain("siamese"), plain("a dog"), plain("nothing"), b"no photo"]
    expected = [
        answer.to_json()
        for answer in predictor.predict([NamedPhoto(f"{n}.jpg", photo) for n, photo in enumerate(photos)])
    ]
    answer = client.post("/v1/predict", files=form(*photos))
    assert answer.status_code == 200
    assert answer.json() == json.loads(json.dumps(expected))
    assert [record["level"] for record in answer.json()] == ["breed", "species", "unknown", None]
    assert "not an image" in answer.json()[3]["error"]["message"]
    for record in answer.json():
        PredictionRecord.model_validate_json(json.dumps(record))


def test_predict_route_takes_the_bytes_of_one_photo(client):
    bare = client.post("/v1/predict", content=plain("siamese"), headers=JPEG).json()
    assert bare[0]["breed"]["label"] == "siamese"
    assert (
        client.post(
            "/v1/predict", content=plain("siamese"), headers={"content-type": "application/octet-stream"}
        ).json()
        == bare
    )


def test_predict_route_names_a_photo_by_its_file_without_folders(client):
    files = [
        ("photo", (name, plain("siamese")))
        for name in ("../../etc/passwd", "C:\\me\\cat.jpg", "a\tb.jpg", "é" * 300, "a\x9b31mb.jpg")
    ]
    paths = [record["path"] for record in client.post("/v1/predict", files=files).json()]
    assert paths[:2] == ["passwd", "cat.jpg"]
    assert "\t" not in paths[2]
    assert len(paths[3]) == 120
    assert paths[4] == "a31mb.jpg"  # some terminals take U+009B for the start of a command


def test_predict_route_gives_records_of_unreadable_photos_in_a_form(client):
    answer = client.post("/v1/predict", files=form(b"one", b""))
    assert answer.status_code == 200
    assert [record["error"]["type"] for record in answer.json()] == ["ImageError", "ImageError"]


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "kind"),
    [
        ("get", "/nothing", {}, 404, "about:blank"),
        ("get", "/static/nothing.js", {}, 404, "about:blank"),
        ("get", "/static/../app.py", {}, 404, "about:blank"),
        ("post", "/v1/predict/", {}, 404, "about:blank"),
        ("get", "/static", {}, 404, "about:blank"),
        ("get", "/v1/predict", {}, 405, "about:blank"),
        ("delete", "/v1/model", {}, 405, "about:blank"),
        ("post", "/v1/predict", {}, 415, "unsupported-type"),
        ("post", "/v1/predict", {"json": {"photo": "x"}}, 415, "unsupported-type"),
        (
            "post",
            "/v1/predict",
            {"content": b"x", "headers": {"content-type": "multipart/form-data"}},
            400,
            "malformed",
        ),
        (
            "post",
            "/v1/predict",
            {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            400,
            "malformed",
        ),
        ("post", "/v1/predict", {"files": {"x": (None, "no file")}}, 422, "invalid"),
        ("post", "/v1/predict", {"content": b"", "headers": JPEG}, 422, "unreadable"),
        ("post", "/v1/predict", {"content": b"\xff\xd8\xff" * 9, "headers": JPEG}, 422, "unreadable"),
        ("post", "/v1/explain", {"files": form(b"a", b"b")}, 422, "invalid"),
        ("post", "/v1/explain", {"files": form(b"a")}, 422, "unreadable"),
        ("post", "/v1/explain", {"files": [*form(b"a"), ("alpha", (None, "0.1"))]}, 422, "invalid"),
    ],
)
def test_problem_is_the_answer_to_every_error(client, method, path, request_, status, kind):
    problem = is_problem(client.request(method, path, **request_), status)
    assert problem["type"].removeprefix("/docs#") == kind
    assert problem["instance"].startswith("/")


def in_charset(charset):
    """A form of one photo whose name is no UTF-8."""
    part = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="\xe9.jpg"\r\n\r\nx\r\n--b--\r\n'
    return {"content": part, "headers": {"content-type": f"multipart/form-data; boundary=b; charset={charset}"}}


@pytest.mark.parametrize("route", ["predict", "explain", "feedback"])
@pytest.mark.parametrize("charset", ["undefined", "punycode", "idna", "a\0b", "hex", "utf-7", "nothing"])
def test_form_in_a_charset_of_no_form_is_malformed(client, route, charset):
    """Punycode takes minutes for a megabyte, in which nobody else would be answered."""
    assert "charset" in is_problem(client.post(f"/v1/{route}", **in_charset(charset)), 400)["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii", "ISO-8859-1", "windows-1252"])
def test_form_in_a_charset_of_forms_is_read(client, charset):
    (record,) = client.post("/v1/predict", **in_charset(charset)).json()
    assert record["path"] == "é.jpg"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/v1/model", "/docs"])
def test_head_is_answered_as_get_is(client, path):
    asked = client.head(path)
    assert asked.status_code == client.get(path).status_code == 200
    assert asked.headers["content-type"] == client.get(path).headers["content-type"]
    assert client.head("/v1/predict").status_code == 405


def test_problem_of_a_wrong_method_names_the_right_one(client):
    assert client.get("/v1/predict").headers["allow"] == "POST"


def test_upload_limits_bytes_pixels_and_number(predictor):
    settings = ServeSettings(max_photo_mb=0.01, max_request_mb=0.05, max_megapixels=0.01, max_photos=3)
    with LocalClient(create_app(predictor, settings)) as client:
        fits, wide, heavy = plain("siamese"), plain("siamese", (100, 120)), plain("siamese") + b"\0" * 11_000
        one, two, three = client.post("/v1/predict", files=form(fits, wide, heavy)).json()
        assert one["error"] is None
        assert "120 x 100 pixels" in two["error"]["message"]
        assert "MB, above the limit" in three["error"]["message"]
        assert is_problem(client.post("/v1/predict", content=heavy, headers=JPEG), 413)["max_bytes"] == 10485
        assert "more than 3 photos" in is_problem(client.post("/v1/predict", files=form(*[fits] * 4)), 413)["detail"]
        is_problem(client.post("/v1/predict", files=form(fits, b"\0" * 60_000)), 413)


def test_upload_never_touches_the_disk(client, monkeypatch):
    def refuse(self):
        raise AssertionError("an upload was written to a file")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    large = plain("siamese") + b"\0" * 5_000_000  # bytes after the end of a JPEG do no harm
    assert client.post("/v1/predict", files=form(large, large)).status_code == 200


def test_guard_hides_an_exception_from_the_client_and_logs_it(predictor, caplog):
    class Faulty(ColorEngine):
        def __call__(self, images):
            raise RuntimeError("secret of the engine")

    with LocalClient(create_app(predictor)) as client:
        predictor.cascade.engines = (Faulty(),)
        answer = client.post("/v1/predict", content=plain("siamese"), headers=JPEG)
    problem = is_problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert problem["title"] == CATALOG["internal"][1]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret of the engine" in caplog.text  # the log does say it


def test_model_that_gives_nan_is_the_servers_problem_and_not_the_photos(predictor):
    class Damaged(ColorEngine):
        def __call__(self, pixels):
            output = super().__call__(pixels)
            return output._replace(leaf=np.full_like(output.leaf, np.nan))

    with LocalClient(create_app(predictor)) as client:
        predictor.cascade.engines = (Damaged(),)
        alone = client.post("/v1/predict", content=plain("siamese"), headers=JPEG)
        (record,) = client.post("/v1/predict", files=form(plain("siamese"))).json()
    problem = is_problem(alone, 500)
    assert problem["type"] == "/docs#internal"
    assert problem["detail"] == record["error"]["message"]
    assert "the bundle is damaged" in problem["detail"]


@pytest.mark.parametrize("path", ["/", "/docs", "/static/app.js", "/v1/model", "/openapi.json", "/nothing", "/healthz"])
def test_guard_adds_security_headers_to_every_response(client, path):
    headers = client.get(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "server" not in headers


def test_predict_route_reveals_nothing_of_the_exif(client):
    answer = client.post("/v1/predict", files=form(with_exif(plain("siamese"))))
    assert answer.json()[0]["breed"]["label"] == "siamese"
    assert "SecretCam" not in answer.text


def test_explain_route_turns_the_photo_by_its_exif(predictor):
    seen = []
    app = create_app(predictor, explainer=lambda photo, options: seen.append(photo.shape) or b"png")
    on_its_side = with_exif(plain("siamese", (40, 60))).replace(
        b"\x01\x12\0\x03\0\0\0\x01\0\x01", b"\x01\x12\0\x03\0\0\0\x01\0\x06"
    )
    with LocalClient(app) as client:
        client.post("/v1/explain", content=on_its_side, headers=JPEG)
    assert seen == [(60, 40, 3)]


def test_explain_route_shrinks_what_its_decoder_does_not(client):
    picture = client.post("/v1/explain", content=encode(np.zeros((900, 2000, 3), np.uint8), ".png"), headers=JPEG)
    assert read_photo(picture.content).shape == (720, 1600, 3)


def test_explain_route_gives_a_picture(client):
    answer = client.post("/v1/explain", files=form(plain("siamese")))
    assert answer.headers["content-type"] == "image/png"
    assert read_photo(answer.content).shape == (40, 60, 3)


def test_explain_route_takes_the_options_that_its_picture_depends_on(predictor):
    asked = []
    own = ServeSettings(options=PredictOptions(alpha=0.2, max_set=1))
    app = create_app(predictor, own, explainer=lambda photo, options: asked.append(options) or b"png")
    url = "/v1/explain?only=dog&only=horse&max_level=species&max_set=2"
    with LocalClient(app) as client:
        assert client.post(url, content=plain("siamese"), headers=JPEG | {"accept-language": "de"}).status_code == 200
    assert asked == [PredictOptions(alpha=0.2, only=("dog", "horse"), max_level="species", max_set=2)]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?alhpa=0.1", "alhpa: unknown key (did you mean 'alpha'?); known: alpha, only, max_level, max_set"),
        ("?top_k=1", "top_k: unknown key; known: alpha, only, max_level, max_set"),
        ("?alpha=2", "alpha: expected less than 1, got '2'"),
        ("?only=beagel", "only: 'beagel' is not a species or a breed of this model (did you mean 'beagle'?)"),
    ],
)
def test_explain_route_refuses_a_wrong_option_in_plain_words(client, query, told):
    problem = is_problem(client.post(f"/v1/explain{query}", content=plain("siamese"), headers=JPEG), 422)
    assert (problem["type"], problem["detail"]) == ("/docs#invalid", told)


def test_explain_route_says_why_a_model_cannot_be_explained(predictor):
    def explain(photo, options):
        raise PluginError("this backbone has no map")

    with LocalClient(create_app(predictor, explainer=explain)) as client:
        problem = is_problem(client.post("/v1/explain", content=plain("siamese"), headers=JPEG), 501)
    assert problem["detail"] == "this backbone has no map"


def test_make_router_leaves_out_what_the_server_cannot_do(predictor):
    with LocalClient(create_app(predictor)) as client:
        info = client.get("/v1/model").json()
        assert info["capabilities"] == {"explain": False, "feedback": False, "regions": False, "recommend": True}
        assert client.post("/v1/explain").status_code == 404
        assert client.post("/v1/feedback").status_code == 404


def test_model_route_describes_the_model(client, predictor):
    info = ModelInfo.model_validate(client.get("/v1/model").json())
    assert info.taxonomy == {"cat": ["maine_coon", "siamese"], "dog": ["basset_hound", "beagle", "pug"], "horse": []}
    assert info.engine == "color"


def test_readyz_fails_and_healthz_does_not_when_the_model_stops(predictor):
    app = create_app(predictor)
    with LocalClient(app) as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"
    # After the lifespan the app can still be asked; its model has stopped.
    client = LocalClient(app)
    assert client.get("/healthz").status_code == 200
    is_problem(client.get("/readyz"), 503)
    is_problem(client.post("/v1/predict", content=plain("siamese"), headers=JPEG), 503)


def test_metrics_count_requests_photos_and_batches(client):
    client.post("/v1/predict", files=form(plain("siamese"), plain("nothing"), b"bad"))
    client.get("/nothing/42")
    client.get("/nothing/43")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'hierpets_photos_total{level="breed"} 1.0' in lines
    assert 'hierpets_photos_total{level="unknown"} 1.0' in lines
    assert 'hierpets_photos_total{level="error"} 1.0' in lines
    assert 'hierpets_requests_total{method="POST",route="/v1/predict",status="200"} 1.0' in lines
    assert 'hierpets_requests_total{method="GET",route="other",status="404"} 2.0' in lines
    assert "hierpets_queue_photos 0.0" in lines
    assert "hierpets_batch_photos_sum 4.0" in lines  # the warm-up, and three


def test_openapi_covers_every_route_and_its_problems(client):
    spec = client.get("/openapi.json").json()
    assert set(spec["paths"]) == {
        "/v1/predict", "/v1/explain", "/v1/feedback", "/v1/model", "/healthz", "/readyz", "/metrics",
    }  # fmt: skip
    predict = spec["paths"]["/v1/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "400", "408", "413", "415", "422", "429", "503"} <= set(predict["responses"])


def test_predict_route_gives_top_k_candidates(predictor):
    with LocalClient(create_app(predictor, ServeSettings(options=PredictOptions(top_k=5)))) as client:
        assert len(client.post("/v1/predict", content=plain("a dog"), headers=JPEG).json()[0]["top"]) == 5


def test_predict_route_gives_the_same_record_alone_and_in_a_batch(client):
    rng = np.random.default_rng(0)
    photos = [bytes(plain("siamese", tuple(rng.integers(20, 90, 2)))) for _ in range(11)]
    together = client.post("/v1/predict", files=form(*photos)).json()
    alone = [client.post("/v1/predict", files=form(photo)).json()[0] for photo in photos]
    assert [r["species"] for r in together] == [r["species"] for r in alone]


@pytest.mark.parametrize(
    ("query", "changed"),
    [
        ("?max_level=species", lambda record: record["level"] == "species"),
        ("?top_k=1", lambda record: len(record["top"]) == 1),
        ("?alpha=0.3", lambda record: record["thresholds"]["alpha"] == 0.3),
        ("?only=dog&only=horse", lambda record: record["species"]["label"] in ("dog", "horse")),
        ("?explain=true", lambda record: record["recommendation"]["explain"]),
    ],
)
def test_predict_route_takes_options_from_the_url(client, predictor, query, changed):
    plain_record = client.post("/v1/predict", content=plain("siamese"), headers=JPEG).json()[0]
    record = client.post(f"/v1/predict{query}", content=plain("siamese"), headers=JPEG).json()[0]
    assert changed(record)
    assert not changed(plain_record)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "?alhpa=0.1",
            "alhpa: unknown key (did you mean 'alpha'?); known: alpha, only, max_level, max_set",
        ),
        ("?alpha=2", "alpha: expected less than 1, got '2'"),
        ("?alpha=", "alpha: expected a number, got ''"),
        ("?alpha=0.1&alpha=0.2", "alpha: expected one value, got 2"),
        (
            "?top_k=0&max_level=leaf",
            "max_level: expected one of breed, species, got 'leaf'; top_k: expected at least 1",
        ),
        ("?only=beagel", "only: 'beagel' is not a species or a breed of this model (did you mean 'beagle'?)"),
        ("?" + "&".join(f"only=dog{'_' * n}" for n in range(50)), "only: more names than the 9 of this model"),
    ],
)
def test_predict_route_refuses_a_wrong_option_in_plain_words(client, query, told):
    problem = is_problem(client.post(f"/v1/predict{query}", content=plain("siamese"), headers=JPEG), 422)
    assert problem["type"] == "/docs#invalid"
    assert told in problem["detail"]


def test_create_app_refuses_a_model_that_fails():
    class Broken(ColorEngine):
        def __call__(self, pixels):
            output = super().__call__(pixels)
            return output._replace(leaf=output.leaf * np.nan)

    with pytest.raises(BundleError, match="NaN or infinity"):
        create_app(make_predictor(Broken()))


def test_predict_route_answers_each_pet_of_a_photo():
    photo = encode(side_by_side("siamese", "a dog"))
    with LocalClient(create_app(make_predictor(finder=find_halves))) as client:
        assert client.get("/v1/model").json()["capabilities"]["regions"]
        (record,) = client.post("/v1/predict?regions=true", content=photo, headers=JPEG).json()
        (plain_record,) = client.post("/v1/predict", content=photo, headers=JPEG).json()
    assert plain_record["regions"] is None
    assert [region["species"]["label"] for region in record["regions"]] == ["cat", "dog"]
    assert record["regions"][1]["box"] == {"left": 0.5, "top": 0.0, "width": 0.5, "height": 1.0}
    assert record["species"] == plain_record["species"]


def test_predict_route_refuses_regions_where_the_model_has_none(client):
    answer = client.post("/v1/predict?regions=true", content=plain("siamese"), headers=JPEG)
    assert "no pet score" in is_problem(answer, 422)["detail"]


def test_predict_route_refuses_form_fields_that_it_would_ignore(client):
    answer = client.post("/v1/predict", files=form(plain("siamese")), data={"alpha": "0.1"})
    assert "form field 'alpha'" in is_problem(answer, 422)["detail"]


@pytest.mark.parametrize(
    ("query", "headers", "language"),
    [
        ("", {}, "en"),
        ("", {"accept-language": "de-CH, en;q=0.5"}, "de"),
        ("", {"accept-language": "ja"}, "en"),
        ("?language=fr", {"accept-language": "de"}, "fr"),
    ],
)
def test_predict_route_speaks_the_language_that_is_asked_for(client, query, headers, language):
    answer = client.post(f"/v1/predict{query}", content=plain("siamese"), headers=JPEG | headers)
    assert (answer.headers["content-language"], answer.headers["vary"]) == (language, "accept-language")
    said = {"en": "This is almost surely a Siamese", "de": "Fast sicher: Siamkatze", "fr": "Presque sûrement"}
    assert answer.json()[0]["recommendation"]["reason"].startswith(said[language])
    assert answer.json()[0]["breed"]["label"] == "siamese"


def test_predict_route_refuses_a_language_that_it_does_not_speak(client):
    answer = client.post("/v1/predict?language=ja", content=plain("siamese"), headers=JPEG)
    assert "language: expected one of en, de, es, fr, pt, got 'ja'" in is_problem(answer, 422)["detail"]


@pytest.mark.parametrize(("path", "language"), [("/", "de"), ("/?language=pt", "pt"), ("/?language=tlh", "en")])
def test_index_speaks_the_language_that_is_asked_for(client, path, language):
    page = client.get(path, headers={"accept-language": "de"})
    assert f'<html lang="{language}">' in page.text
    assert page.headers["content-language"] == language


def test_predict_route_keeps_options_of_requests_in_a_batch_apart():
    engine = ColorEngine(pause=0.2)
    settings = ServeSettings(batch_wait_ms=200)
    with serving(make_predictor(engine), settings) as (url, _), ThreadPoolExecutor(6) as clients:
        wanted = [1, 2, 1, 3, 2, 1]

        def ask(top_k):
            return CLIENT.post(f"{url}/v1/predict?top_k={top_k}", content=plain("a dog"), headers=JPEG).json()

        assert [len(records[0]["top"]) for records in clients.map(ask, wanted)] == wanted


def test_predict_route_answers_photos_whose_shampoo_rule_fails(tmp_path):
    (tmp_path / "rules.py").write_text(
        "def touchy(case):\n    if case.level == 'breed':\n        raise ZeroDivisionError\n    return []\n"
    )
    (tmp_path / "registry.yaml").write_text(
        "plugins:\n  - {name: touchy, kind: shampoo_rule, entry: 'rules.py:touchy', options: {}}\n"
    )
    predictor = make_predictor(registry=load_registry(tmp_path / "registry.yaml"))
    with LocalClient(create_app(predictor)) as client:
        answer = client.post("/v1/predict", files=form(plain("siamese"), plain("a dog"), plain("siamese")))
        metrics = client.get("/metrics").text.splitlines()
    assert answer.status_code == 200
    failed, fine, failed_too = answer.json()
    assert failed["breed"]["label"] == failed_too["breed"]["label"] == "siamese"
    assert failed["recommendation"]["product"] is None
    assert "touchy" in failed["recommendation"]["error"]
    assert fine["recommendation"]["error"] is None
    assert "hierpets_failed_recommendations_total 2.0" in metrics
    assert 'hierpets_photos_total{level="breed"} 2.0' in metrics


def test_api_names_the_model_in_every_response(client):
    expected = {"digest": "0123456789abcdef", "version": "1.2"}
    records = client.post("/v1/predict", files=form(plain("siamese"), b"no photo")).json()
    assert [record["model"] for record in records] == [expected, expected]
    assert client.get("/v1/model").json()["model"] == expected
    explained = client.post("/v1/explain", content=plain("siamese"), headers=JPEG)
    assert explained.headers["hierpets-model"] == "0123456789abcdef"


def test_model_route_names_engine_and_options(predictor):
    settings = ServeSettings(options=PredictOptions(alpha=0.2, top_k=4))
    with LocalClient(create_app(predictor, settings)) as client:
        info = client.get("/v1/model").json()
    assert (info["engine"], info["device"], info["precision"]) == ("color", "cpu", "f32")
    assert info["options"] == {
        "alpha": 0.2,
        "only": [],
        "max_level": "breed",
        "max_set": 3,
        "top_k": 4,
        "regions": False,
        "explain": False,
        "language": "en",
    }
    assert info["thresholds"]["cat"]["alpha"] == 0.2


def test_openapi_describes_the_record_and_the_options(client):
    spec = client.get("/openapi.json").json()
    predict = spec["paths"]["/v1/predict"]["post"]
    content = predict["responses"]["200"]["content"]["application/json"]["schema"]
    assert content["items"] == {"$ref": "#/components/schemas/PredictionRecord"}
    described = spec["components"]["schemas"]["PredictionRecord"]["properties"]
    assert set(described) == set(PredictionRecord.model_fields)
    assert {parameter["name"] for parameter in predict["parameters"]} == set(PredictOptions.model_fields)
    explain = spec["paths"]["/v1/explain"]["post"]
    assert [parameter["name"] for parameter in explain["parameters"]] == ["alpha", "only", "max_level", "max_set"]


def test_predict_route_takes_a_file_name_that_is_not_utf8(client):
    body = b'--b\r\ncontent-disposition: form-data; name="photo"; filename="\xff\xfe.jpg"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/predict", content=body + plain("siamese") + b"\r\n--b--\r\n", headers=headers)
    assert answer.status_code == 200
    assert answer.json()[0]["path"].endswith(".jpg")


def test_predict_route_says_that_a_part_needs_a_plain_filename(client):
    """``filename*`` is for other headers (RFC 7578, 4.2), and a part with it alone is a field."""
    body = b"--b\r\ncontent-disposition: form-data; name=photo; filename*=UTF-8''a.jpg\r\n\r\n" + plain("siamese")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/predict", content=body + b"\r\n--b--\r\n", headers=headers)
    assert "a part with a `filename`" in is_problem(answer, 422)["detail"]


@pytest.mark.parametrize(
    "end", [b"", b"\r\n--b\r\n", b"\r\n--b\r\ncontent-disposition: form-data; name=x; filename=y\r\n\r\nab"]
)
def test_predict_route_refuses_a_form_that_was_cut_off(client, end):
    body = b'--b\r\ncontent-disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' + plain("siamese")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/predict", content=body + end, headers=headers)
    problem = is_problem(answer, 400)
    assert problem["detail"] == "the form cannot be parsed: it ends before its last boundary"
