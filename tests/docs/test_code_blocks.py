"""What README and docs show as code is code: commands are understood, names exist, and how-tos run as they stand."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from PIL import Image

import hierpets
from hierpets.bundle.manifest import read_manifest
from hierpets.cli import cli, main
from hierpets.data.demo import render

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = {"bash", "console", ""}
"""In ``bash`` all runs as it stands; ``console``, or no language, shows a terminal."""
RUN = ["index", "hierarchy", "calibration", "promise", "ood"]
RUN_SLOWLY = ["start", "own_photos"]  # they train
LEAVES = ("cat/siamese", "cat/birman", "dog/pug", "dog/dalmatian")


class Block(NamedTuple):
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(block: Block) -> Iterator[list[str]]:
    """The words of every call of hierpets in a block, after ``hierpets``."""
    for line in block.text.replace("\\\n", " ").splitlines():
        for part in line.removeprefix("$ ").split(" | "):
            if part.startswith("hierpets ") and ("..." not in part):
                yield shlex.split(part, comments=True)[1:]


def understand(words: list[str]) -> None:
    """:raises click.ClickException: no such command or option, or a value that it does not take."""
    context, command = click.Context(cli, info_name="hierpets"), cli
    while isinstance(command, click.Group):
        if words[0].startswith("-"):
            return
        _, command, words = command.resolve_command(context, words)
    command.make_context(command.name, list(words), parent=context)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A working directory with the photos that the pages name."""
    for leaf in LEAVES:
        (tmp_path / "photos" / leaf).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(render(f"demo:{leaf}/{number}")).save(tmp_path / "photos" / leaf / f"{number}.jpg")
    for name in ("photo", "a", "b"):
        Image.fromarray(render(f"demo:cat/siamese/{ord(name[0])}")).save(tmp_path / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_are_understood(page, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)  # the pages invent folders
    for block in blocks(page):
        for words in commands(block) if block.language in SHELL else ():
            try:
                understand(words)
            except click.ClickException as error:
                pytest.fail(f"hierpets {shlex.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("words", [["predict"], ["predict", "--alpa", "1", "a.jpg"], ["no"], ["plugins", "lst"]])
def test_understand_refuses_what_the_command_line_refuses(words):
    with pytest.raises(click.ClickException):
        understand(words)


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "api"], ids=lambda page: page.stem)
def test_python_names_what_exists(page):
    for block in blocks(page):
        for node in ast.walk(ast.parse(block.text)) if block.language == "python" else ():
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hierpets":
                assert node.attr in hierpets.__all__


def test_the_python_lines_of_the_readme_run(workplace, capsys):
    (block,) = (block.text for block in blocks(README) if block.language == "python")
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    names = {"photos": sorted((workplace / "photos").rglob("*.jpg"))}
    exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    first, *records, _ = printed
    assert [json.loads(record)["path"] for record in records] == list(map(str, names["photos"]))
    assert first.split()[0] in ("unknown", "species", "breed")
    assert [prediction.path for prediction in names["strict"]] == ["a.jpg", "b.jpg"]
    assert read_manifest(names["result"].bundle).taxonomy.species == ("cat", "dog")
    assert (workplace / "runs/pets/evaluation/metrics.json").is_file()


@pytest.mark.parametrize("name", [*RUN, *(pytest.param(name, marks=pytest.mark.slow) for name in RUN_SLOWLY)])
def test_blocks_of_a_page_run_in_their_order(name, workplace):
    names: dict[str, object] = {}
    ran = 0
    for block in blocks(ROOT / "docs" / f"{name}.md"):
        if block.language == "python":
            exec(compile(block.text, name, "exec"), names)
            ran += 1
        for words in commands(block) if block.language == "bash" else ():
            with pytest.raises(SystemExit) as done:
                main(words)
            assert done.value.code in (0, None), shlex.join(words)
            ran += 1
    assert ran
