import json
import os
import subprocess
import sys

import pytest

from hierpets.children import child_environment

# Adding a variable moves them all; changing one that is there does not.
WATCH = """
import json, os, sys, threading
added = []

def watch(event, arguments):
    if event == "os.putenv" and os.fsdecode(arguments[0]) not in os.environ and threading.active_count() > 1:
        added.append(os.fsdecode(arguments[0]))

sys.addaudithook(watch)
"""
LOAD = """
import numpy as np
import hierpets
hierpets.load()(np.zeros((400, 400, 3), np.uint8))
"""


def added_beside_threads(code):
    names = [name for name in os.environ if name not in ("LD_LIBRARY_PATH", "OPENCV_IO_MAX_IMAGE_PIXELS")]
    run = subprocess.run(
        [sys.executable, "-c", f"{WATCH}\n{code}\nprint(json.dumps(added))"],
        env={name: os.environ[name] for name in names},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def test_load_adds_no_variable_while_a_thread_may_read_them():
    assert added_beside_threads(LOAD) == []


@pytest.mark.parametrize(("path", "left"), [("/own/lib64:", "/own/lib64"), ("", ""), ("a::b", "a:b")])
def test_child_environment_has_no_path_of_libraries_that_means_the_working_folder(monkeypatch, path, left):
    monkeypatch.setenv("LD_LIBRARY_PATH", path)
    assert child_environment() == {**os.environ, "LD_LIBRARY_PATH": left}
