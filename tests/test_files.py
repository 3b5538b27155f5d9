"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.systems import needs_limits, needs_links, needs_locks

from hierpets.errors import ConfigError
from hierpets.files import cache_dir, check_folder, check_output, whole_file, whole_folder, write_all, write_file
from hierpets.training.features.stored_rows import StoredRows


def test_write_all_makes_folders(tmp_path):
    write_file(tmp_path / "new" / "a.txt", "grün")
    write_all(tmp_path, {"b.bin": b"1", "figures/c.bin": b"2"})
    assert (tmp_path / "new" / "a.txt").read_bytes() == "grün".encode()
    assert (tmp_path / "figures" / "c.bin").read_bytes() == b"2"


def test_write_all_writes_none_when_one_cannot_be_written(tmp_path):
    write_all(tmp_path, {"a": b"old"})
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    with pytest.raises(OSError):
        write_all(tmp_path, {"a": b"new", "blocked/b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "blocked"]


@contextmanager
def room_for(size):
    """No file may grow beyond so many bytes."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@needs_limits
def test_a_file_for_which_there_is_no_room_is_named(tmp_path):
    with pytest.raises(OSError, match="File too large") as caught, room_for(1000):
        write_file(tmp_path / "page.html", b"x" * 2000)
    assert caught.value.filename == str(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@needs_limits
def test_the_folder_of_temporary_files_is_named_where_it_has_no_room_for_features():
    rows = StoredRows(100)
    with pytest.raises(OSError, match="File too large") as caught, room_for(1000):
        rows.append(np.zeros((3, 100)))
    assert caught.value.filename == tempfile.gettempdir()


def test_whole_folder_puts_the_old_one_back_when_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "weights").write_text("old")
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self.name == "made":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied"), whole_folder(target, overwrite=True) as made:
        (made / "weights").write_text("new")
    assert (target / "weights").read_text() == "old"


def test_whole_file_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), whole_file(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_bytes() == b"old"
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


KILLED = """
import os, pathlib, signal, sys
from hierpets.files import whole_folder
target, rename = pathlib.Path(sys.argv[1]), pathlib.Path.rename
def die(self, to):
    rename(self, to)
    os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.rename = die
with whole_folder(target, overwrite=True) as made:
    (made / "weights").write_text("half")
    if sys.argv[2] == "filling":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="system: no SIGKILL")
@pytest.mark.parametrize("moment", ["filling", "between the renames"])
def test_whole_folder_removes_what_a_killed_process_left(tmp_path, moment):
    target = tmp_path / "bundle"
    with whole_folder(target, overwrite=True) as made:
        (made / "weights").write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), moment])
    assert done.returncode == -signal.SIGKILL
    assert [p for p in tmp_path.iterdir() if p != target], "the kill left something"
    with pytest.raises(OSError, match="disk full"), whole_folder(target, overwrite=True):
        raise OSError("disk full")
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    assert (target / "weights").read_text() == "old"


@pytest.mark.parametrize("moves", [1, 2])
def test_whole_folder_loses_nothing_where_it_is_interrupted_between_the_renames(tmp_path, monkeypatch, moves):
    target = tmp_path / "bundle"
    with whole_folder(target, overwrite=True) as made:
        (made / "weights").write_text("old")
    rename, done = Path.rename, []

    def interrupted(self: Path, to: Path) -> Path:
        moved = rename(self, to)
        done.append(to)
        if len(done) == moves:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(target, overwrite=True) as made:
        (made / "weights").write_text("new")
    assert (target / "weights").read_text() == ("old", "new")[moves - 1]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_whole_folder_leaves_nothing_in_a_folder_that_is_named_by_a_dot(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    monkeypatch.chdir(bundle)
    with whole_folder(Path(), overwrite=True) as made:
        (made / "weights").write_text("new")
        assert [*bundle.iterdir()] == []
    assert (bundle / "weights").read_text() == "new"


def test_whole_folder_does_not_replace_what_is_there_at_the_end(tmp_path):
    bundle = tmp_path / "bundle"
    taken = pytest.raises(ConfigError, match="bundle: already exists; give overwrite")
    with taken, whole_folder(bundle, overwrite=False) as made:
        (made / "weights").write_text("slow")
        with whole_folder(bundle, overwrite=False) as other:
            (other / "weights").write_text("quick")
    assert (tmp_path / "bundle" / "weights").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@needs_locks
def test_whole_folder_leaves_the_scratch_of_a_living_one(tmp_path):
    with whole_folder(tmp_path / "bundle", overwrite=True) as made:
        (made / "weights").write_text("slow")
        with whole_folder(tmp_path / "bundle", overwrite=True) as other:
            (other / "weights").write_text("quick")
        assert (tmp_path / "bundle" / "weights").read_text() == "quick"
    assert (tmp_path / "bundle" / "weights").read_text() == "slow"
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("made", ["file", "folder"])
def test_check_output_refuses_what_exists_unless_it_may_be_overwritten(tmp_path, made):
    target = tmp_path / "out"
    target.mkdir() if made == "folder" else target.write_text("old")
    with pytest.raises(ConfigError, match="out: already exists; give overwrite"):
        check_output(target, overwrite=False)
    check_output(target, overwrite=True)
    check_output(tmp_path / "new" / "deep", overwrite=False)
    assert not (tmp_path / "new").exists()


def test_check_folder_counts_what_a_file_manager_leaves_for_nothing(tmp_path):
    for name in ("model.json", "model.bin", ".DS_Store"):
        (tmp_path / name).touch()
    check_folder(tmp_path, overwrite=True, mark="model.json", kind="model", holds=("model.*",))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"holds notes\.txt beside the model, and is not replaced"):
        check_folder(tmp_path, overwrite=True, mark="model.json", kind="model", holds=("model.*",))


def test_check_output_refuses_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"out: cannot be written: .*file is a file, not a folder"):
        check_output(tmp_path / "file" / "deep" / "out", overwrite=False)


LONG = "x" * 250  # itself short enough for a file system, but not with what a temporary file adds


@pytest.mark.parametrize("path", [LONG, f"new/{LONG}"])
def test_check_output_tries_to_write(tmp_path, path):
    with pytest.raises(ConfigError, match="x: cannot be written: no file can be created in "):
        check_output(tmp_path / path, overwrite=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no files, even of root")
def test_check_output_refuses_a_folder_in_which_root_may_write_but_cannot():
    with pytest.raises(ConfigError, match=r"^/proc/x\.json: cannot be written: no file can be created in /proc: "):
        check_output(Path("/proc/x.json"), overwrite=False)


def test_check_output_takes_the_root_of_all_folders():
    with suppress(ConfigError):  # where only root may write in it
        check_output(Path("/"), overwrite=True)


@pytest.mark.parametrize("write", [whole_file, lambda path: whole_folder(path, overwrite=False)])
def test_an_error_names_what_is_written_and_no_temporary_file(tmp_path, write):
    with pytest.raises(OSError) as caught, write(tmp_path / LONG):
        pass
    assert caught.value.filename == str(tmp_path / LONG)


def test_cache_dir_takes_the_first_of_the_places_that_are_named(monkeypatch):
    monkeypatch.setenv("HIERPETS_CACHE", "/a")
    assert cache_dir() == Path("/a")
    monkeypatch.setenv("HIERPETS_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_dir() == Path("/b/hierpets")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where a user has no home
    assert not cache_dir().parent.parent.is_dir()


@needs_locks
def test_writers_remove_what_a_killed_process_left(tmp_path):
    left = "99999-0123abcd"
    for name in (f".a.txt.{left}", ".a.txt.1-ffffffff", ".a.txt.backup", f".b.txt.{left}", f"a.txt.{left}"):
        (tmp_path / name).write_text("left")
    write_file(tmp_path / "a.txt", "new")
    with whole_file(tmp_path / "c.txt") as file:
        file.write(b"new")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("a.txt", "c.txt", ".a.txt.backup", f".b.txt.{left}", f"a.txt.{left}")
    }


@needs_locks
def test_writers_leave_what_another_process_is_writing(tmp_path):
    code = (
        "import sys, pathlib; from hierpets.files import whole_file\n"
        f"with whole_file(pathlib.Path({str(tmp_path / 'a.txt')!r})) as file:\n"
        "    file.write(b'theirs'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        write_file(tmp_path / "a.txt", "mine")
        assert (tmp_path / "a.txt").read_text() == "mine"
        other.communicate()
    assert other.returncode == 0
    assert (tmp_path / "a.txt").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_of_one_file_in_one_process_leave_each_other_alone(tmp_path):
    with whole_file(tmp_path / "a.txt") as file:
        file.write(b"slow")
        write_file(tmp_path / "a.txt", "quick")
        assert (tmp_path / "a.txt").read_text() == "quick"
    assert (tmp_path / "a.txt").read_text() == "slow"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_text_with_a_file_name_that_is_no_text_is_written(tmp_path):
    write_file(tmp_path / "a.txt", "caf\udce9.jpg é")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "caf\\udce9.jpg é"


@needs_links
def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_file(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="system: needs named pipes")
@pytest.mark.parametrize("write", [write_file, lambda path, text: _write_whole(path, text)])
def test_a_pipe_is_written_to_and_stays(tmp_path, write):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(pipe.read_text)
        write(pipe, "what is said")
        assert heard.result() == "what is said"
    assert pipe.is_fifo()


def _write_whole(path, text):
    with whole_file(path) as file:
        file.write(text.encode())


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="system: has no /dev/fd")
def test_a_link_to_a_pipe_without_a_name_is_written_to(monkeypatch):
    """As a shell hands over ``>(gzip)``, and ``/dev/stdout`` in a pipeline."""
    heard, said = os.pipe()
    place = Path(f"/dev/fd/{said}")
    check_output(place, overwrite=False)
    write_file(place, "what is said")
    os.close(said)
    with open(heard) as pipe:  # noqa: PTH123
        assert pipe.read() == "what is said"


@pytest.mark.parametrize("there", [True, False])
@needs_links
def test_a_link_to_a_folder_is_followed_and_stays(tmp_path, there):
    (tmp_path / "latest").symlink_to("runs")
    if there:
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "old").write_text("old")
    with whole_folder(tmp_path / "latest", overwrite=True) as made:
        (made / "new").write_text("new")
    assert (tmp_path / "latest").is_symlink()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["new"]
