import logging

import numpy as np
import pytest

from hierpets.cli.log import print_log_safely

NAME = "red\x1b[31m\nd\u202eg.jpg"
SHOWN = r"red\x1b[31m\nd\u202eg.jpg"


@pytest.fixture
def log(monkeypatch):
    """A logger without handlers, as after ``main``; pytest's own are on the root."""
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    print_log_safely()
    return logging.Logger("alone")


def test_control_characters_of_what_is_logged_are_escaped(log, capsys):
    log.warning("%s: skipped\n%d more of %.1f%%", NAME, 3, 2.5)
    assert capsys.readouterr().err == f"{SHOWN}: skipped\n3 more of 2.5%\n"


def test_numbers_of_numpy_stay_numbers(log, capsys):
    log.warning("%d photos, %.1f%%", np.int64(3), np.float32(2.5))
    assert capsys.readouterr().err == "3 photos, 2.5%\n"


def test_an_error_keeps_its_lines(log, capsys):
    log.warning("%s: no recommendation: %s", "a.jpg", ValueError("first \x1b[2J\nsecond"))
    assert capsys.readouterr().err == "a.jpg: no recommendation: first \\x1b[2J\nsecond\n"


def test_a_traceback_keeps_its_lines(log, capsys):
    try:
        raise ValueError("bad \x1b[2J")
    except ValueError as error:
        log.error("%s", NAME, exc_info=error)
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[1], lines[-1]) == (
        SHOWN,
        "Traceback (most recent call last):",
        "ValueError: bad \\x1b[2J",
    )


def test_other_handlers_get_what_was_logged(log, capsys):
    seen = []
    log.addFilter(lambda record: seen.append(record) or True)
    log.warning("%s", NAME)
    assert capsys.readouterr().err == f"{SHOWN}\n"
    assert seen[0].getMessage() == NAME
