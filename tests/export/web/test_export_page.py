"""The files of a page, and what is refused."""

import json
import re

import pytest
from click.testing import CliRunner

import hierpets
from hierpets.bundle.identity import model_id
from hierpets.bundle.manifest import read_manifest
from hierpets.cli.deploy.export import command
from hierpets.errors import BundleError, ConfigError
from hierpets.export.web import export as exporting
from hierpets.export.web.describe import DETECTOR
from hierpets.export.web.export import export_page
from hierpets.export.web.schema import WebModel
from hierpets.messages.catalogue import LANGUAGES

RUNTIME_FILES = {"ort.js": b"// ONNX Runtime Web", "ort.wasm": b"\0asm"}


@pytest.fixture(scope="module", autouse=True)
def _no_runtime():
    """The export without the runtime, which has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "read_runtime", lambda file: RUNTIME_FILES)
        yield


def older_page(folder):
    for name in ("index.html", "model/model.en.json", "static/old.js"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    """The folder of the tiny bundle's page, in the place of an older one, and what the command said."""
    out = older_page(tmp_path_factory.mktemp("exported") / "my page")
    options = ["--format", "web", "--out", str(out), "--registry", str(tiny_run.parent / "registry.yaml")]
    done = CliRunner().invoke(command, [str(tiny_run / "bundle"), *options, "--overwrite"])
    assert done.exit_code == 0, done.output
    return out, done.output


def test_export_writes_a_page_with_all_that_it_needs_in_the_place_of_an_older_one(exported, tiny_run):
    folder, _ = exported
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    (scripts,) = (folder / "static").iterdir()
    names = {path.name for path in scripts.iterdir()}
    assert {"app.js", "backend.js", "worker.js", "style.css", "ort.js", "ort.wasm"} <= names
    digest = model_id(tiny_run / "bundle", read_manifest(tiny_run / "bundle")).digest
    assert f"model/model-{digest}.onnx" in files, "a browser may keep the network of another model"
    assert "// The backend of a page without a server" in (scripts / "backend.js").read_text("utf-8")
    assert not any(name.endswith((".py", ".j2", "old.js")) for name in files)
    assert "model/LICENSE" not in files  # the bundle has none
    assert {f"model/{DETECTOR}", "model/detector.LICENSE"} <= files
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in index and 'href="docs"' not in index and "not stored" not in index


@pytest.mark.parametrize("language", LANGUAGES)
def test_export_speaks_every_language(exported, language):
    folder, _ = exported
    index = (folder / ("index.html" if language == "en" else f"index.{language}.html")).read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in index
    assert (">Photos never leave this device" in index) == (language == "en")
    known = json.loads((folder / f"model/model.{language}.json").read_text(encoding="utf-8"))
    said = " ".join(" ".join(one["sentences"]) for one in known["advice"]["recommendations"])
    assert ("It has" in said) == (language == "en")


def test_export_describes_the_model(exported, tiny_run):
    folder, _ = exported
    known = WebModel.model_validate_json((folder / "model/model.en.json").read_text(encoding="utf-8"))
    predictor = hierpets.load(tiny_run / "bundle", registry=tiny_run.parent / "registry.yaml")
    assert known.about.model == predictor.model
    assert known.about.taxonomy == predictor.manifest.taxonomy.tree
    assert known.networks[0].preprocess == predictor.manifest.preprocess


def test_export_calls_scripts_by_what_is_in_them(exported, tiny_run, tmp_path, monkeypatch):
    """A browser may keep a file for long, and old scripts know nothing of a new model."""
    folder, _ = exported
    registry, runtime = tiny_run.parent / "registry.yaml", RUNTIME_FILES | {"ort.js": b"// another version"}
    monkeypatch.setattr(exporting, "read_runtime", lambda file: runtime)
    monkeypatch.setattr(exporting, "_write_networks", lambda *_: ())
    other = export_page(tiny_run / "bundle", tmp_path / "out", registry=registry).path
    digests = []
    for page in (folder, other):
        (scripts,) = (page / "static").iterdir()
        digests.append(scripts.name)
        for language in LANGUAGES:
            index = (page / ("index.html" if language == "en" else f"index.{language}.html")).read_text("utf-8")
            asked = re.findall(r'(?:src|href)="(static/[^"]+)"', index)
            assert asked and all(name.startswith(f"static/{scripts.name}/") for name in asked)
            assert all((page / name).is_file() for name in asked)
            known = WebModel.model_validate_json((page / f"model/model.{language}.json").read_text("utf-8"))
            assert known.scripts == scripts.name
    assert len({*digests}) == 2


def test_export_command_says_what_was_checked_and_how_to_look_at_it(exported):
    folder, said = exported
    assert "top-1 agrees on 100 of 100 photos" in said
    assert f"python -m http.server --directory '{folder}'" in said


def test_export_replaces_no_page_unasked(tiny_run, tmp_path):
    with pytest.raises(ConfigError, match="already exists; give overwrite"):
        export_page(tiny_run / "bundle", older_page(tmp_path / "out"), registry=tiny_run.parent / "registry.yaml")
    assert (tmp_path / "out/static/old.js").is_file()


def test_export_never_replaces_what_is_no_page(tiny_run, tmp_path):
    precious = tmp_path / "home" / "letter.txt"
    precious.parent.mkdir()
    precious.write_text("dear", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"home: is no page"):
        export_page(tiny_run / "bundle", precious.parent, overwrite=True)
    assert precious.read_text(encoding="utf-8") == "dear"


def test_export_never_replaces_a_page_that_has_something_beside_it(tiny_run, tmp_path):
    out = older_page(tmp_path / "site")
    (out / ".git").mkdir()
    for name in ("CNAME", "imprint.html", "robots.txt"):
        (out / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"site: holds \.git, CNAME, imprint\.html and 1 more beside the page"):
        export_page(tiny_run / "bundle", out, overwrite=True)
    assert (out / "CNAME").read_text(encoding="utf-8") == "mine" and (out / ".git").is_dir()


@pytest.mark.parametrize("here", [".", "model"])
def test_export_never_replaces_the_current_folder(tiny_run, tmp_path, monkeypatch, here):
    out = older_page(tmp_path / "page")
    monkeypatch.chdir(out / here)
    for name in (out, "." if here == "." else ".."):
        with pytest.raises(ConfigError, match="cannot be replaced: it is a mount, or the current folder is in it"):
            export_page(tiny_run / "bundle", name, overwrite=True)


def test_export_of_a_page_that_is_too_large_writes_nothing(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MAX_BYTES", 100_000)
    monkeypatch.setattr(exporting, "_write_networks", lambda *_: ())  # the rest is too large by itself
    with pytest.raises(BundleError, match=r"the page would weigh \d\.\d MB, at most 0"):
        export_page(tiny_run / "bundle", tmp_path / "out", registry=tiny_run.parent / "registry.yaml")
    assert not (tmp_path / "out").exists()


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
