"""The files of a page, and what is refused."""

from html import unescape

import pytest
from click.testing import CliRunner

import hierpets
from hierpets.cli.deploy.export import command
from hierpets.errors import BundleError, ConfigError
from hierpets.export.web import export as exporting
from hierpets.export.web.export import export_page
from hierpets.export.web.schema import WebModel

RUNTIME_FILES = {"static/ort.js": b"// ONNX Runtime Web", "static/ort.wasm": b"\0asm"}


@pytest.fixture
def no_runtime(monkeypatch):
    """The export without the runtime, which has tests of its own."""
    monkeypatch.setattr(exporting, "read_runtime", lambda file: RUNTIME_FILES)


def test_export_writes_a_page_with_all_that_it_needs(tiny_run, no_runtime, tmp_path):
    registry = tiny_run.parent / "registry.yaml"
    page = export_page(tiny_run / "bundle", tmp_path / "out", registry=registry)
    files = {str(path.relative_to(page.path)) for path in page.path.rglob("*") if path.is_file()}
    assert {"index.html", "static/app.js", "static/backend.js", "static/ort.js", "model/model.onnx"} <= files
    assert not any(name.endswith((".py", ".j2")) for name in files)
    known = WebModel.model_validate_json((page.path / "model/model.json").read_text(encoding="utf-8"))
    assert known.about.model == hierpets.load(tiny_run / "bundle", registry=registry).model
    assert page.parities[0].drift == 0 and page.size == sum((page.path / name).stat().st_size for name in files)
    assert not (page.path / "model/LICENSE").exists()
    index = unescape((page.path / "index.html").read_text(encoding="utf-8"))
    assert "default-src 'none'" in index and 'href="docs"' not in index


def test_export_replaces_a_page_and_nothing_else(tiny_run, no_runtime, tmp_path):
    bundle, registry = tiny_run / "bundle", tiny_run.parent / "registry.yaml"
    export_page(bundle, tmp_path / "out", registry=registry)
    with pytest.raises(ConfigError, match="already exists; use --overwrite"):
        export_page(bundle, tmp_path / "out", registry=registry)
    export_page(bundle, tmp_path / "out", registry=registry, overwrite=True)
    precious = tmp_path / "home" / "letter.txt"
    precious.parent.mkdir()
    precious.write_text("dear", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"home: is no page"):
        export_page(bundle, precious.parent, registry=registry, overwrite=True)
    assert precious.read_text(encoding="utf-8") == "dear"


def test_export_of_a_page_that_is_too_large_writes_nothing(tiny_run, no_runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_BYTES", 100_000)
    with pytest.raises(BundleError, match=r"the page would weigh 0\.\d MB, at most 0"):
        export_page(tiny_run / "bundle", tmp_path / "out", registry=tiny_run.parent / "registry.yaml")
    assert not (tmp_path / "out").exists()


def test_export_command_writes_a_page_and_says_how_to_look_at_it(tiny_run, no_runtime, tmp_path):
    out = tmp_path / "my page"
    options = ["--format", "web", "--out", str(out), "--registry", str(tiny_run.parent / "registry.yaml")]
    done = CliRunner().invoke(command, [str(tiny_run / "bundle"), *options])
    assert done.exit_code == 0, done.output
    assert f"python -m http.server --directory '{out}'" in done.output and (out / "index.html").is_file()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--format", "web"], "choose one with --out"),
        (["--format", "web", "--out", "x", "--precision", "int8"], "computes in f32"),
        (["--format", "onnx", "--runtime", __file__], "--runtime is for --format web"),
    ],
)
def test_export_command_refuses_options_that_do_not_fit(options, problem):
    done = CliRunner().invoke(command, options)
    assert done.exit_code == 2 and problem in done.output
