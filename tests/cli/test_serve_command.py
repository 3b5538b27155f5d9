import socket
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from hierpets.cli import main
from hierpets.cli.deploy.serve import command
from hierpets.errors import BundleError, ConfigError
from hierpets.serve.run import bind
from hierpets.serve.settings import ServeSettings, make_settings


def invoke(*args):
    result = CliRunner().invoke(command, list(args))
    return result.exception


def test_serve_without_its_extra_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.delitem(sys.modules, "hierpets.serve.app", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(SystemExit, match="1"):
        main(["serve", "--model", str(tmp_path)])
    needed = "error: serve needs fastapi, which is not installed: pip install 'hierpets[serve]'\n"
    assert capsys.readouterr().err == needed


def test_serve_refuses_a_folder_without_a_bundle(tmp_path):
    assert isinstance(invoke("--model", str(tmp_path)), BundleError)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_photo_mb": 0}, "max_photo_mb"),
        ({"max_photo_mb": 100}, "max_photo_mb <= max_request_mb"),
        ({"queue": 4}, "queue \\(4\\) must hold the photos of one request \\(32\\)"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_make_settings_refuses_a_limit_that_makes_no_sense(options, told):
    with pytest.raises(ConfigError, match=told):
        make_settings(options)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--alpha", "nan"], "alpha: expected a finite number, got nan"),
        (["--max-photo-mb", "inf"], "serve: max_photo_mb: expected a finite number, got inf"),
        (["--batch-size", "0"], "serve: batch_size: expected at least 1, got 0"),
    ],
)
def test_serve_refuses_a_wrong_number_in_one_line(arguments, told):
    error = invoke(*arguments)
    assert isinstance(error, ConfigError)
    assert str(error) == told


@pytest.mark.parametrize("option", ["--port", "--feedback"])
def test_serve_checks_port_and_folder_before_it_loads_the_model(monkeypatch, tmp_path, option):
    def load(*args, **more):
        raise AssertionError("the model was loaded first")

    monkeypatch.setattr("hierpets.inference.loading.load", load)
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        value = {"--port": taken.getsockname()[1], "--feedback": tmp_path / "file"}[option]
        error = invoke(option, str(value))
    assert isinstance(error, ConfigError)
    assert str(value) in str(error)
    assert "\n" not in str(error)


def test_serve_takes_an_ipv6_address_as_it_stands_in_a_url(monkeypatch):
    def listen(host, port):
        raise ConfigError(f"asked for {host}")

    monkeypatch.setattr("hierpets.serve.run.bind", listen)
    assert str(invoke("--host", "[::1]")) == "asked for ::1"


def test_serve_refuses_an_empty_address():
    found = CliRunner().invoke(command, ["--host", ""])
    assert found.exit_code == 2
    assert "--host': expected an address, such as 0.0.0.0 for all interfaces, got an empty text" in found.output


def test_serve_help_shows_every_setting_with_its_unit_and_default():
    shown = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    for name, field in ServeSettings.model_fields.items():
        if name not in ("options", "allowed_host"):  # these have options of their own
            assert f"--{name.replace('_', '-')}" in shown
            assert field.description[1:] in shown
    assert "in MB. [default: 20]" in shown
    assert "--allowed-host NAME" in shown


@pytest.mark.parametrize("option", ["--model", "--feedback", "--registry"])
def test_serve_completes_paths(option):
    found = ShellComplete(command, {}, "hierpets serve", "").get_completions([option], "run")
    assert [item.type for item in found] == ["file"]


def test_make_settings_keeps_defaults_of_what_is_not_given():
    assert make_settings({"queue": 99}) == ServeSettings().model_copy(update={"queue": 99})


def test_bind_refuses_a_port_that_is_taken():
    said = r"port \d+: [^(:;]+; choose another with"  # the address once, not once more from the system
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match=said):
        bind("127.0.0.1", taken.getsockname()[1])


def test_serve_listens_on_this_machine_alone_unless_told():
    default = {parameter.name: parameter.default for parameter in command.params}
    assert default["host"] == "127.0.0.1"
