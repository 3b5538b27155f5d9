import pytest

from hierpets.serve.limits.connections import MAX_CONNECTIONS, connection_limit, raise_file_limit

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "connections"),
    [
        (1024, 20_000, 4096, MAX_CONNECTIONS),
        (1024, -1, 4096, MAX_CONNECTIONS),
        (256, 1024, 1024, 512),
        (20_000, 20_000, 20_000, MAX_CONNECTIONS),
        (-1, -1, -1, MAX_CONNECTIONS),
    ],
)
def test_file_limit_is_raised_to_what_connections_need(monkeypatch, soft, hard, raised, connections):
    limits = {resource.RLIMIT_NOFILE: (soft, hard)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    raise_file_limit()
    assert limits[resource.RLIMIT_NOFILE] == (raised, hard)
    assert connection_limit() == connections
