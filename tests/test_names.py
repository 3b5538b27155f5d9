"""One word for one thing: a class name occurs once in the package; and a type checker sees the public names alone."""

import ast
from collections import Counter
from pathlib import Path

import hierpets


def test_class_names_occur_once_in_the_package():
    files = Path(hierpets.__file__).parent.rglob("*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert {name for name, count in names.items() if count > 1} == set()


def test_a_type_checker_sees_the_public_names_and_no_others():
    body = ast.parse(Path(hierpets.__file__).read_text(encoding="utf-8")).body
    assert "__getattr__" not in {node.name for node in body if isinstance(node, ast.FunctionDef)}, "it takes any name"
    (seen,) = (node.body for node in body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    assert {alias.name: part.module for part in seen for alias in part.names} == hierpets._HOMES
    assert {*hierpets._HOMES, "__version__"} == {*hierpets.__all__}
