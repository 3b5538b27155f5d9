"""Who may write into a run folder."""

import multiprocessing
from pathlib import Path

import pytest
from helpers.systems import needs_locks

from hierpets.errors import ConfigError
from hierpets.training.run.folder import Run, open_run


def hold(folder, held, release):
    with open_run(folder):
        held.set()
        release.wait(60)


@needs_locks
def test_open_run_refuses_a_folder_that_another_process_trains_into(tmp_path):
    context = multiprocessing.get_context("forkserver")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "run", held, release))
    other.start()
    assert held.wait(60)
    try:
        with pytest.raises(ConfigError, match="another process is training in it"), open_run(tmp_path / "run"):
            pass
    finally:
        release.set()
        other.join(60)
    with open_run(tmp_path / "run") as run:
        assert run.folder == tmp_path / "run"


def test_open_run_changes_nothing_by_itself(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with open_run(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_open_run_takes_a_folder_that_holds_an_audit_alone_and_clear_keeps_it(tmp_path):
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}")
    with open_run(tmp_path) as run:
        run.clear()
    assert (tmp_path / "audit" / "audit.json").exists()


@pytest.mark.parametrize(
    ("folder", "mark", "kind"), [("bundle", "bundle.json", "bundle"), ("measured", "metrics.json", "evaluation")]
)
def test_open_run_overwrites_no_folder_in_which_a_user_keeps_files(tmp_path, folder, mark, kind):
    (tmp_path / folder).mkdir()
    (tmp_path / "config.yaml").write_text("seed: 0")
    for name in (mark, "notes.txt"):
        (tmp_path / folder / name).write_text("{}")
    with (
        pytest.raises(ConfigError, match=rf"{folder}: holds notes.txt beside the {kind}, and is not replaced"),
        open_run(tmp_path, overwrite=True),
    ):
        pass
    (tmp_path / folder / "notes.txt").unlink()
    with open_run(tmp_path, overwrite=True) as run:
        run.clear()
    assert not (tmp_path / folder).exists()


def test_open_run_refuses_a_file(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot be used as a run folder: .*exists"), open_run(tmp_path / "run"):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files, even of root")
def test_open_run_refuses_a_folder_that_takes_no_files():
    with pytest.raises(ConfigError, match=r"^/proc: cannot be used as a run folder: "), open_run(Path("/proc")):
        pass


def test_run_logs_and_reports_nothing_where_it_is_silent(tmp_path):
    run = Run(tmp_path / "run", silent=True)
    run.listener = lambda event: pytest.fail("reported")
    run.log("data")
    run.clear()
    assert not run.folder.exists()
