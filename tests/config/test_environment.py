"""Options from environment variables."""

from __future__ import annotations

import pytest
from traitlets import TraitError, Unicode
from traitlets.config import Config, Configurable

from notebook_remote.config.environment import (
    from_environment,
    is_set,
    set_from_variable,
    variable_of,
    variables_of,
)
from notebook_remote.config.traits import Flag


class Options(Configurable):
    colour = Unicode("red").tag(config=True, env="TEST_COLOUR")
    token = Flag(False).tag(config=True, env="TEST_TOKEN", secret=True)
    internal = Unicode("")


def test_the_configuration_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(from_environment(Options())) == []
    assert not is_set(Options(), "colour")
    monkeypatch.setenv("TEST_COLOUR", "blue")
    assert list(from_environment(Options())) == [("colour", "TEST_COLOUR", "blue")]
    assert is_set(Options(), "colour")
    configured = Options(config=Config({"Options": {"colour": "green"}}))
    assert list(from_environment(configured)) == []
    assert is_set(configured, "colour")


def test_a_gateways_variables_have_its_name_in_capitals() -> None:
    assert variable_of("my-gpu.2", "url") == "NOTEBOOK_REMOTE_MY_GPU_2_URL"
    assert variables_of(Options) == {"TEST_COLOUR", "TEST_TOKEN"}
    assert variables_of(Options, "a") == {"NOTEBOOK_REMOTE_A_COLOUR", "NOTEBOOK_REMOTE_A_TOKEN"}


def test_a_bad_value_is_an_error_that_shows_no_secret() -> None:
    options = Options()
    set_from_variable(options, "token", "TEST_TOKEN", "yes")
    assert options.token is True
    with pytest.raises(TraitError, match="TEST_TOKEN cannot be used: its value is not what"):
        set_from_variable(options, "token", "TEST_TOKEN", "maybe")
