import pytest

from hierpets.cli.progress import ProgressDisplay, time_left


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


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_progress_display_without_a_terminal_prints_a_line_now_and_then(capsys):
    clock = Clock()
    with ProgressDisplay(clock=clock) as progress:
        progress("photos", 100, 400)  # an earlier run's
        for done in range(101, 301):
            clock.now += 0.25
            progress("photos", done, 400)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "photos: continuing after 100"
    assert lines[1] == "photos: 140 of 400, 4.0/s, 0:01:05 left"
    assert len(lines) == 6
    assert lines[-1] == "photos: 300 of 400, 4.0/s, 0:00:25 left"


def test_progress_display_promises_no_end_where_the_total_is_not_known(capsys):
    clock = Clock()
    with ProgressDisplay(clock=clock) as progress:
        progress("photos", 0, None)
        clock.now = 20.0
        progress("photos", 10, None)
    assert capsys.readouterr().err.splitlines()[0] == "photos: 10, 0.5/s"


def test_progress_display_on_a_terminal_draws_a_bar_and_takes_it_down_on_errors(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    clock = Clock()
    with pytest.raises(ZeroDivisionError), ProgressDisplay(clock=clock) as progress:
        for done in range(21):
            clock.now += 0.5
            progress("photos", done, 20)
        raise ZeroDivisionError
    assert "photos: 20 of 20, 2.0/s" in capsys.readouterr().err


def test_progress_display_says_a_line_between_tasks(capsys):
    with ProgressDisplay(clock=Clock()) as progress:
        progress("features", 0, 10)
        progress.say("half way")
        progress("photos", 5, 5)
    assert "half way" in capsys.readouterr().err.splitlines()


def test_progress_display_takes_a_smaller_number_for_a_new_task(capsys):
    clock = Clock()
    with ProgressDisplay(clock=clock) as progress:
        for total in (40, 33):
            for done in (0, total):
                clock.now += 1.0
                progress("features", done, total)
    assert capsys.readouterr().err.splitlines() == ["features: 40 of 40, 40.0/s", "features: 33 of 33, 33.0/s"]


def test_progress_display_goes_on_with_a_task_after_a_line(capsys):
    clock = Clock()
    with ProgressDisplay(clock=clock) as progress:
        for done in range(5):
            progress("steps", done, 4)
            clock.now += 20.0
            if done == 2:
                progress.say("epoch 1")
                progress("steps", done, 4)
        progress("steps", 4, 4)  # said before
    assert capsys.readouterr().err.splitlines() == [
        "steps: 1 of 4, 20 s each, 0:01:00 left",
        "steps: 2 of 4, 20 s each, 0:00:40 left",
        "epoch 1",
        "steps: 3 of 4, 20 s each, 0:00:20 left",
        "steps: 4 of 4, 20 s each",
    ]
