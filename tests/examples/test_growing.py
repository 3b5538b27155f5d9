"""The week of a shop runs from an empty folder to a page."""

import importlib.util
from pathlib import Path

import pytest

from hierpets.bundle.manifest import read_manifest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "growing.py"


@pytest.mark.slow
def test_the_week_ends_with_a_bundle_that_grew_and_forgot(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("growing", SCRIPT)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main(["--out", str(tmp_path)])
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.taxonomy.tree == {
        "cat": ("siamese", "tuxedo"),
        "dog": ("golden", "husky", "pug"),
        "rabbit": (),
    }
    assert manifest.origins.count("grown") == 2
    said = capsys.readouterr().out
    assert "dog/husky: 10 photos, new" in said
    assert "demo:dog/husky/300: husky" in said
    assert "demo:rabbit/-/300: rabbit (species)" in said
    assert "the page answers with" in said
