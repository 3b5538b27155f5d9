"""Against a real server on loopback: slow, greedy and many clients, and the stop."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.color_server import CLIENT, ColorEngine, find_halves, make_predictor, plain, post, serving

from hierpets.serve import run
from hierpets.serve.settings import ServeSettings

HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\n"


def connect(url):
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def read_all(connection):
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received.decode()


def test_server_closes_connections_beyond_its_limit(predictor, monkeypatch):
    monkeypatch.setattr(run, "connection_limit", lambda: 2)
    with serving(predictor) as (url, _), connect(url) as idle, connect(url):
        time.sleep(0.1)
        with connect(url) as third:
            assert read_all(third) == ""
        idle.close()
        time.sleep(0.1)
        with connect(url) as fourth:
            fourth.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            assert read_all(fourth).startswith("HTTP/1.1 200 ")


def test_upload_that_is_too_slow_is_cut_off(predictor):
    with serving(predictor, ServeSettings(upload_seconds=0.3)) as (url, _), connect(url) as slow:
        start = time.monotonic()
        slow.sendall(HEAD + b"content-length: 1000\r\n\r\nhalf")
        answer = read_all(slow)
        assert time.monotonic() - start < 5
    assert answer.startswith("HTTP/1.1 408 ")
    assert "/docs#too-slow" in answer
    assert "connection: close" in answer


def test_server_cuts_off_headers_that_never_end(predictor, monkeypatch):
    monkeypatch.setattr(run, "HEADER_SECONDS", 0.3)
    with serving(predictor) as (url, _), connect(url) as silent, connect(url) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nx: ")
        assert read_all(slow) == ""
        assert read_all(silent) == ""
        assert CLIENT.get(f"{url}/healthz").text == "ok\n"


def test_server_cuts_off_a_body_that_nobody_reads(predictor, monkeypatch):
    monkeypatch.setattr(run, "UNREAD_SECONDS", 0.3)
    with serving(predictor) as (url, _), connect(url) as slow:
        slow.sendall(b"POST /v1/model HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 405 ")
        start = time.monotonic()
        with pytest.raises(OSError, match=r"reset|pipe|aborted"):  # a byte now and then wins it no time
            while time.monotonic() - start < 5:
                slow.sendall(b"x")
                time.sleep(0.1)
        assert CLIENT.get(f"{url}/healthz").text == "ok\n"


def test_server_does_not_compute_what_nobody_waits_for():
    engine = ColorEngine(pause=0.3)
    predictor = make_predictor(engine)
    with serving(predictor, ServeSettings(batch_size=1, batch_wait_ms=0)) as (url, _):
        gone = [connect(url) for _ in range(6)]
        for client in gone:
            photo = plain("siamese")
            client.sendall(HEAD + f"content-length: {len(photo)}\r\n\r\n".encode() + photo)
        time.sleep(0.2)
        for client in gone:
            client.close()
        time.sleep(0.1)
        assert post(url, plain("siamese")).status_code == 200
        assert sum(engine.batches) < 1 + len(gone) + 1, "one to warm up, and one of who still waits"
        assert 'status="499"' in CLIENT.get(f"{url}/metrics").text


def test_server_that_stops_says_so_to_who_still_waits(predictor, caplog):
    asked, ended = threading.Event(), threading.Event()

    def explain(photo, options):
        asked.set()
        assert ended.wait(20)
        return b""

    settings = ServeSettings(stop_seconds=1)
    with serving(predictor, settings, ended.set, explainer=explain) as (url, stop), connect(url) as patient:
        photo = plain("siamese")
        head = HEAD.replace(b"/predict", b"/explain") + f"content-length: {len(photo)}\r\n\r\n".encode()
        patient.sendall(head + photo)
        assert asked.wait(10)
        stop()
        answer = read_all(patient)
        assert ended.wait(10), "what nobody waits for goes on"
    assert answer.startswith("HTTP/1.1 503 ") and "/docs#unavailable" in answer and "retry-after: 5" in answer
    assert not caplog.records


def test_feedback_does_not_wait_for_explanations(predictor, tmp_path):
    saved = threading.Event()

    def explain(photo, options):
        assert saved.wait(20)
        return b""

    photo = {"photo": ("a.jpg", plain("siamese"))}
    settings = ServeSettings(feedback=tmp_path)
    with serving(predictor, settings, explainer=explain) as (url, _), ThreadPoolExecutor(9) as clients:
        asked = [clients.submit(CLIENT.post, f"{url}/v1/explain", files=photo, timeout=20) for _ in range(9)]
        time.sleep(0.5)
        label = {"species": "cat", "breed": "siamese", "consent": "yes"}
        assert CLIENT.post(f"{url}/v1/feedback", files=photo, data=label).status_code == 201
        saved.set()
        assert sorted(request.result(20).status_code for request in asked) == [200] * 8 + [429]


def test_server_cuts_off_a_client_that_does_not_read_its_responses(predictor, monkeypatch):
    monkeypatch.setattr(run, "READ_SECONDS", 0.3)
    with serving(predictor) as (url, _), socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((urlsplit(url).hostname, urlsplit(url).port))
        deaf.settimeout(10)
        with pytest.raises(OSError, match=r"reset|pipe|aborted"):
            while True:
                deaf.sendall(b"GET /static/app.js HTTP/1.1\r\nhost: localhost\r\n\r\n")
                time.sleep(0.001)
        assert CLIENT.get(f"{url}/healthz").text == "ok\n"


def test_server_lets_a_slow_client_read_its_response_to_the_end(predictor, monkeypatch):
    monkeypatch.setattr(run, "READ_SECONDS", 1)
    picture = bytes(12 * 2**20)  # more than the system takes of it at once
    with serving(predictor, explainer=lambda photo, options: picture) as (url, _), socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.connect((urlsplit(url).hostname, urlsplit(url).port))
        slow.settimeout(10)
        photo = plain("siamese")
        head = HEAD.replace(b"/predict", b"/explain") + f"content-length: {len(photo)}\r\n\r\n".encode()
        slow.sendall(head + photo)
        read = b""
        while len(read) < len(picture):
            part = slow.recv(2**18)
            assert part, f"cut off after {len(read):,} bytes"
            read += part
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/healthz", 200),
        ("HTTP://LOCALHOST:8000/v1/model?language=de", 200),
        ("http://127.0.0.1", 200),
        ("http://localhost/nothing", 404),
        ("http://evil.example/healthz", 421),
        ("http://localhost@evil.example/healthz", 421),
        ("ftp://localhost/healthz", 404),
    ],
)
def test_server_answers_a_request_for_a_whole_url_at_the_host_that_it_names(predictor, target, status):
    with serving(predictor) as (url, _), connect(url) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        assert read_all(connection).startswith(f"HTTP/1.1 {status} ")


def test_server_logs_nothing_for_what_is_no_request(predictor, caplog):
    with serving(predictor) as (url, _), connect(url) as odd:
        odd.sendall(b"\x16\x03\x01\r\n\r\n")
        assert read_all(odd).startswith("HTTP/1.1 400 ")
    assert not caplog.records


def test_upload_that_is_too_large_gets_its_response_after_it_is_sent(predictor):
    settings = ServeSettings(max_photo_mb=1, max_request_mb=1)
    with serving(predictor, settings) as (url, _):
        for body in (b"0" * 3_000_000, iter([b"0" * 500_000] * 6)):  # its length declared, and not
            answer = CLIENT.post(f"{url}/v1/predict", content=body, headers={"content-type": "image/jpeg"})
            assert answer.status_code == 413
            assert answer.json()["type"] == "/docs#too-large"


def test_upload_that_asks_first_is_refused_before_it_is_sent(predictor):
    with serving(predictor, ServeSettings(max_photo_mb=1)) as (url, _), connect(url) as polite:
        polite.sendall(HEAD + b"content-length: 3000000\r\nexpect: 100-continue\r\n\r\n")
        assert read_all(polite).startswith("HTTP/1.1 413 ")


def test_uploads_share_a_budget_of_memory(predictor):
    settings = ServeSettings(max_photo_mb=1, max_request_mb=1, max_uploads_mb=1, upload_seconds=5)
    with serving(predictor, settings) as (url, _), connect(url) as hoarder:
        hoarder.sendall(HEAD + b"content-length: 900000\r\n\r\n" + b"0" * 890_000)
        time.sleep(0.3)
        answer = CLIENT.post(f"{url}/v1/predict", content=b"0" * 300_000, headers={"content-type": "image/jpeg"})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        hoarder.close()
        time.sleep(0.3)
        assert post(url, plain("siamese") + b"\0" * 300_000).status_code == 200


def test_upload_that_is_refused_makes_room_for_others_before_it_is_sent(predictor):
    settings = ServeSettings(max_photo_mb=1.5, max_request_mb=1.5, max_uploads_mb=2, upload_seconds=10)
    photo = plain("siamese") + bytes(1_500_000)
    head = HEAD + f"content-length: {len(photo)}\r\nconnection: close\r\n\r\n".encode()
    with serving(predictor, settings) as (url, _), connect(url) as first, connect(url) as second:
        for client in (first, second):
            client.sendall(head + photo[:1_000_000])
            time.sleep(0.3)
        second.sendall(photo[1_000_000:-1])  # more than fits; its last byte never comes
        time.sleep(0.3)
        first.sendall(photo[1_000_000:])
        assert read_all(first).startswith("HTTP/1.1 200 ")


def test_server_with_a_full_queue_says_when_to_try_again():
    predictor = make_predictor(ColorEngine(pause=0.3))
    settings = ServeSettings(queue=2, max_photos=2, batch_size=1, batch_wait_ms=0)
    with serving(predictor, settings) as (url, _), ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: post(url, plain("siamese")), range(8)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["type"] == "/docs#busy"


@pytest.mark.parametrize(("query", "statuses"), [("", {200}), ("?regions=true", {200, 429})])
def test_photo_with_regions_takes_the_room_of_several_in_the_queue(query, statuses):
    predictor = make_predictor(ColorEngine(pause=0.3), finder=find_halves)
    settings = ServeSettings(queue=20, max_photos=2, batch_size=1)
    with serving(predictor, settings) as (url, _), ThreadPoolExecutor(8) as clients:
        photo = {"content": plain("siamese"), "headers": {"content-type": "image/jpeg"}}
        asked = [clients.submit(CLIENT.post, f"{url}/v1/predict{query}", **photo, timeout=20) for _ in range(8)]
        assert {request.result(20).status_code for request in asked} == statuses


def test_server_gives_up_a_prediction_that_takes_too_long():
    predictor = make_predictor(ColorEngine(pause=0.5))
    with serving(predictor, ServeSettings(predict_seconds=0.1)) as (url, _):
        answer = post(url, plain("siamese"))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_server_runs_requests_of_many_clients_in_one_batch():
    engine = ColorEngine(pause=0.05)
    with serving(make_predictor(engine)) as (url, _), ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: post(url, plain("siamese")), range(32)))
    assert all(answer.json()[0]["breed"]["label"] == "siamese" for answer in answers)
    assert sum(engine.batches) == 33  # and the warm-up
    assert max(engine.batches) > 1


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [1]), ("cuda", [1, 2, 4, 8])])
def test_server_on_a_gpu_has_seen_every_size_of_a_batch_before_the_first_request(device, sizes):
    engine = ColorEngine()
    engine.device = device
    with serving(make_predictor(engine), ServeSettings(batch_size=6)):
        assert engine.batches == sizes


def test_server_finishes_open_requests_when_it_stops():
    with serving(make_predictor(ColorEngine(pause=0.4))) as (url, stop), ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(post, url, plain("siamese"), plain("a dog")) for _ in range(4)]
        time.sleep(0.3)
        assert not any(request.done() for request in asked)
        stop()
        answers = [request.result(20) for request in asked]
    assert [len(answer.json()) for answer in answers] == [2, 2, 2, 2]
    assert {answer.headers.get("connection") for answer in answers} == {"close"}, "a client would ask for more on it"


def test_server_is_not_disturbed_by_a_client_that_disconnects(predictor, caplog):
    with serving(predictor) as (url, _):
        with connect(url) as rude:
            rude.sendall(HEAD + b"content-length: 1000\r\n\r\nhalf")
        time.sleep(0.2)
        assert post(url, plain("siamese")).status_code == 200
        assert 'status="499"' in CLIENT.get(f"{url}/metrics").text
    assert "Traceback" not in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="system: no /dev/full")
def test_serve_command_serves_where_its_first_line_cannot_be_written(tiny_run):
    """As the service that it often is."""
    command = [sys.executable, "-m", "hierpets", "serve", "--model", str(tiny_run / "bundle"), "--port", "0"]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(command, stdout=full, stderr=subprocess.PIPE, text=True) as process,
    ):
        guard = threading.Timer(60, process.kill)
        guard.start()
        assert process.stderr.readline().startswith("model "), "the line after the one that was lost"
        guard.cancel()
        process.kill()


@contextmanager
def serve_command(bundle, *options, stderr=subprocess.STDOUT):
    """``hierpets serve`` as a process, and its address; killed after a minute."""
    command = [sys.executable, "-m", "hierpets", "serve", "--model", str(bundle), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            line = process.stdout.readline()
            assert line.startswith("serving on http://127.0.0.1:")
            yield process, line.split()[2].rstrip(",")
        finally:
            guard.cancel()
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.skipif(os.name == "nt", reason="needs SIGTERM")
def test_serve_command_runs_until_it_is_told_to_stop(tiny_run, how):
    with serve_command(tiny_run / "bundle") as (process, url):
        assert CLIENT.get(f"{url}/readyz").text == "ready\n"
        assert post(url, plain("siamese")).json()[0]["level"] is not None
        process.send_signal(how)
        assert process.stdout.read().splitlines()[1:] == ["stopped"], "after the line of the model"
        assert process.wait(10) in (0, -signal.SIGTERM)


def test_serve_command_keeps_what_a_plugin_prints_out_of_its_output(tiny_run, tmp_path):
    """Whoever starts the server reads its address there."""
    (tmp_path / "loud.py").write_text("def loud(case):\n    print('noise')\n    return []\n")
    registry = tmp_path / "registry.yaml"
    registry.write_text("plugins:\n  - {name: loud, kind: shampoo_rule, entry: loud.py:loud}\n")
    with serve_command(tiny_run / "bundle", "--registry", str(registry), stderr=subprocess.PIPE) as (process, url):
        assert post(url, plain("siamese")).json()[0]["level"] is not None
        process.kill()
        assert process.stdout.read() == ""
        assert "noise" in process.stderr.read()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_serve_command_that_is_told_twice_waits_for_no_request(tiny_run):
    with serve_command(tiny_run / "bundle") as (process, url), connect(url) as slow:
        slow.sendall(HEAD + b"content-length: 1000\r\n\r\nhalf")
        time.sleep(0.3)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        assert read_all(slow).startswith("HTTP/1.1 503 ")
        assert "Traceback" not in process.stdout.read()
        assert process.wait(10) == 0
