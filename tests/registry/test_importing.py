"""A plugin's file is imported by its path, and leaves no trace."""

from __future__ import annotations

import sys

import numpy as np
from helpers.plugins import load_plugin, write_registry

from hierpets.plugin import Case, Labels
from hierpets.registry.loading import (
    load_registry,
)

LABELS = Labels(np.array([0, 0, 1]), np.array([0, -1, 1]), ("cat", "dog"), ("birman", "pug"))
CASE = Case({"cat": 1.0}, {("cat", None): 1.0}, "species", {})


class TestImporting:
    def test_import_file_takes_the_one_beside_the_registry(self, tmp_path, monkeypatch):
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir(), there.mkdir()
        (here / "p.py").write_text("def f(labels): return [9.0] * len(labels)")
        path = write_registry(there, "def f(labels): return [1.0] * len(labels)")
        monkeypatch.chdir(here)
        assert load_registry(path).get("sampler", "mine").call(LABELS).tolist() == [1, 1, 1]

    def test_import_file_follows_a_relative_registry(self, tmp_path, monkeypatch):
        write_registry(tmp_path, "def f(labels): return [1.0] * len(labels)")
        monkeypatch.chdir(tmp_path)
        mine = load_registry("registry.yaml").get("sampler", "mine")
        monkeypatch.chdir("/")
        assert mine.call(LABELS).tolist() == [1, 1, 1]

    def test_import_file_reads_an_edited_file_again(self, tmp_path):
        for value in (1, 2):
            mine = load_plugin(tmp_path, f"def f(labels): return [{value}.0] * len(labels)")
            assert mine.call(LABELS)[0] == value

    def test_import_file_leaves_nothing_behind(self, tmp_path):
        before = list(sys.path)
        load_plugin(tmp_path, "def f(labels): return [1.0] * len(labels)").call(LABELS)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["p.py", "registry.yaml"]
        assert sys.path == before

    def test_import_file_runs_a_file_once(self, tmp_path):
        path = write_registry(
            tmp_path, "def f(labels): ...\ng = f", extra="  - {name: g, kind: sampler, entry: 'p.py:g'}\n"
        )
        found = load_registry(path)
        assert found.get("sampler", "mine").load() is found.get("sampler", "g").load()

    def test_import_file_makes_two_modules_of_two_files_of_one_name(self, tmp_path):
        functions = []
        for folder in (tmp_path / "a", tmp_path / "b"):
            folder.mkdir()
            functions.append(load_plugin(folder, "def f(labels): ...").load())
        assert functions[0].__module__ != functions[1].__module__
