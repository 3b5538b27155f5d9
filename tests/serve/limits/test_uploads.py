import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from starlette.requests import Request

from hierpets.serve.limits import uploads
from hierpets.serve.problems import Problem
from hierpets.serve.settings import MB, ServeSettings

FIELD = b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="%d.jpg"\r\n\r\n'


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=b"], ids=["bare", "form"])
@pytest.mark.parametrize("head", [FIELD, FILE], ids=["field", "file"])
def test_upload_that_is_refused_is_dropped_before_its_rest_is_read(kind, head, monkeypatch):
    held = []

    async def drain(body):
        held.append(tracemalloc.get_traced_memory()[0])

    async def receive():
        receive.count += 1
        return {"type": "http.request", "body": head % receive.count + bytes(MB // 2) + b"\r\n", "more_body": True}

    async def read():
        reader = uploads.UploadReader(ServeSettings(max_photo_mb=4, max_request_mb=4, max_uploads_mb=4))
        async with reader.read(Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive)):
            pass

    receive.count = 0
    monkeypatch.setattr(uploads.Body, "drain", drain)
    tracemalloc.start()
    try:
        # In a thread of its own: a browser's loop may run in this one.
        with ThreadPoolExecutor(1) as beside, pytest.raises(Problem, match="above the limit"):
            beside.submit(anyio.run, read).result()
    finally:
        tracemalloc.stop()
    assert receive.count == 8
    assert held[0] < MB // 4, "of the 4 MB that were read"
