import subprocess
import sys

from hierpets.children import child_command


def run_child(module, *arguments, folder):
    return subprocess.run(child_command(module, *arguments), cwd=folder, capture_output=True, text=True, check=False)


def test_child_does_not_import_from_the_working_folder(tmp_path):
    for name in ("json", "random", "runpy", "hierpets"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the user')")
    run = run_child("hierpets.bench.probe", folder=tmp_path)
    assert "JSONDecodeError" in run.stderr, "it has read its input, which is empty"
    assert "of the user" not in run.stderr


def test_child_is_found_where_its_parent_imports_from(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "named.py").write_text("import sys; print(__name__, sys.argv[1:])")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "there")])
    run = run_child("named", "a b", "--c", folder=tmp_path)
    assert run.stdout == "__main__ ['a b', '--c']\n"
