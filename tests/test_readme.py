"""The Python of the README, run as it stands there."""

import re
from pathlib import Path

import pytest
from PIL import Image

from hierpets.data.demo import render
from hierpets.model.manifest import read_manifest

README = Path(__file__).parents[1] / "README.md"
LEAVES = ("cat/siamese", "cat/birman", "dog/pug", "dog/dalmatian")


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A working directory with the photos that the README names."""
    for leaf in LEAVES:
        (tmp_path / "photos" / leaf).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(render(f"demo:{leaf}/{number}")).save(tmp_path / "photos" / leaf / f"{number}.jpg")
    for name in ("photo", "a", "b"):
        Image.fromarray(render(f"demo:cat/siamese/{ord(name[0])}")).save(tmp_path / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_lines_of_the_readme_run(workplace, capsys):
    (block,) = python_blocks()
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    names = {"photos": sorted((workplace / "photos").rglob("*.jpg"))}
    exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + len(names["photos"]) + 1
    assert printed[0].split()[0] in ("unknown", "species", "breed")
    assert [prediction.path for prediction in names["strict"]] == ["a.jpg", "b.jpg"]
    assert read_manifest(names["result"].bundle).taxonomy.species == ("cat", "dog")
    assert (workplace / "runs/pets/evaluation/metrics.json").is_file()
