import socket
import sys

import pytest
from click.testing import CliRunner

from hierpets.cli.deploy.serve import command
from hierpets.errors import BundleError, ConfigError
from hierpets.serve.run import bind
from hierpets.serve.settings import make_settings


def invoke(*args):
    result = CliRunner().invoke(command, list(args))
    return result.exception


def test_without_its_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "hierpets.serve.app", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    error = invoke("--model", str(tmp_path))
    assert isinstance(error, ConfigError)
    assert str(error).startswith("serve needs its extra: pip install 'hierpets[serve]'")


def test_a_folder_without_a_bundle_is_told_so(tmp_path):
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
def test_a_limit_that_makes_no_sense_is_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        make_settings(options)


def test_options_that_are_not_given_keep_their_defaults():
    assert make_settings({"top_k": None, "queue": 99}).model_dump() == make_settings({"queue": 99}).model_dump()


def test_a_port_that_is_taken_is_told_so():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="choose another with"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_it_listens_on_this_machine_alone_unless_told():
    default = {parameter.name: parameter.default for parameter in command.params}
    assert default["host"] == "127.0.0.1"
