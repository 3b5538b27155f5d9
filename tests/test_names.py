"""One word for one thing: a class name occurs once in the package."""

import ast
from collections import Counter
from pathlib import Path

import hierpets


def test_class_names_occur_once_in_the_package():
    files = Path(hierpets.__file__).parent.rglob("*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert {name for name, count in names.items() if count > 1} == set()
