import pytest
from hierpets.cli.pace import Pace, time_left

from hierpets.errors import DataError


@pytest.mark.parametrize(
    ("done", "total", "speed", "left"),
    [
        (50, 100, 10.0, "0:00:05"),
        (0, 36_610, 10.0, "1:01:01"),
        (5, None, 1.0, None),
        (0, 5, 0.0, None),
        (9, 5, 1.0, "0:00:00"),
    ],
)
def test_time_left(done, total, speed, left):
    assert time_left(done, total, speed) == left


def test_without_a_terminal_a_line_is_told_now_and_then(capsys):
    seconds = [0.0]
    pace = Pace(lambda: 400, clock=lambda: seconds[0])
    pace._thread.join()  # the count is known
    pace(100)  # an earlier run's
    for done in range(101, 301):
        seconds[0] += 0.25
        pace(done)
    pace.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "going on after 100 photos"
    assert lines[1] == "140 of 400 photos, 4.0 a second, 0:01:05 left"
    assert len(lines) == 7
    assert lines[-1] == "300 photos, 4.0 a second"


def test_where_the_number_is_not_known_no_end_is_promised(capsys):
    seconds = [0.0]
    pace = Pace(lambda: None, clock=lambda: seconds[0])
    pace(0)
    seconds[0] = 20.0
    pace(10)
    pace.close()
    assert capsys.readouterr().err.splitlines()[0] == "10 photos, 0.5 a second"


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    seconds = [0.0]
    pace = Pace(lambda: 20, clock=lambda: seconds[0])
    pace._thread.join()
    for done in range(21):
        seconds[0] += 0.5
        pace(done)
    pace.close()
    err = capsys.readouterr().err
    assert "20 of 20 photos, 2.0 a second, 0:00:00 left" in err
    assert err.endswith("20 photos, 2.0 a second\n")


def test_a_count_that_fails_leaves_the_number_unknown(capsys):
    def count():
        raise DataError("cannot be listed")

    pace = Pace(count, clock=lambda: 0.0)
    pace._thread.join()
    pace(0)
    pace(1)
    pace.close()
    assert "Traceback" not in capsys.readouterr().err
