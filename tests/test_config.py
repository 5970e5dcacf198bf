"""The options of a gateway: where their values come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_server.gateway.gateway_client import GatewayClient
from traitlets import TraitError
from traitlets.config import Config

from notebook_remote.config import Gateway, Gateways


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("JUPYTER_", "NOTEBOOK_REMOTE_", "KERNEL_")):
            monkeypatch.delenv(name)


def gateway(section: str = "Gateway", **options: object) -> Gateway:
    """A gateway that has a URL, unless ``url`` is empty."""
    config = Config({section: options})
    if "url" not in options:
        config.Gateway.url = "http://host"
    return Gateway(config=config)


def test_configuration_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway().connect_timeout == 10
    monkeypatch.setenv("JUPYTER_GATEWAY_CONNECT_TIMEOUT", "20")
    assert gateway().connect_timeout == 20
    assert gateway(connect_timeout=30).connect_timeout == 30
    assert gateway("GatewayClient", connect_timeout=40).connect_timeout == 40


def test_our_section_beats_upstreams() -> None:
    config = Config(
        {"Gateway": {"url": "http://ours:1"}, "GatewayClient": {"url": "http://theirs:2"}}
    )
    assert Gateway(config=config).url == "http://ours:1"


def test_every_option_of_upstreams_gateway_client_is_understood() -> None:
    """A new one in upstream turns this red."""
    upstream = set(GatewayClient.class_trait_names(config=True)) - {"event_logger"}
    assert upstream <= set(Gateway.class_trait_names(config=True))


def test_every_environment_variable_of_upstream_is_understood() -> None:
    upstream = {v for k, v in vars(GatewayClient).items() if k.endswith("_env")}
    ours = {t.metadata.get("env") for t in Gateway.class_traits(config=True).values()}
    assert upstream <= ours
    assert {"JUPYTER_GATEWAY_MAX_REQUEST_RETRIES", "JUPYTER_GATEWAY_ENV_WHITELIST"} <= ours


@pytest.mark.parametrize("word", ["False", "false", "FALSE", "no", "No", "0", "off", "n", "f", ""])
def test_false_however_it_is_spelled(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_VALIDATE_CERT", word)
    assert gateway().validate_cert is False
    monkeypatch.delenv("JUPYTER_GATEWAY_VALIDATE_CERT")
    assert gateway(validate_cert=word).validate_cert is False


@pytest.mark.parametrize("word", ["True", "yes", "1", "on"])
def test_true_however_it_is_spelled(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_ACCEPT_COOKIES", word)
    assert gateway().accept_cookies is True


def test_an_unusable_variable_is_named_and_a_secret_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_REQUEST_TIMEOUT", "soon")
    with pytest.raises(TraitError, match=r"JUPYTER_GATEWAY_REQUEST_TIMEOUT.*'soon'"):
        gateway()
    monkeypatch.delenv("JUPYTER_GATEWAY_REQUEST_TIMEOUT")
    monkeypatch.setenv("JUPYTER_GATEWAY_HEADERS", '{"X-Key": "s3cret"')
    with pytest.raises(TraitError, match="not a JSON object") as caught:
        gateway()
    assert "s3cret" not in str(caught.value)


def test_browser_mode_has_no_embedded_gateway() -> None:
    with pytest.raises(TraitError, match="--mode=browser needs --gateway-url"):
        gateway(mode="browser", url="")
    assert not gateway(mode="browser", url="http://gpu:8888").embedded


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(TraitError, match="proxy"):
        gateway(mode="sideways")


@pytest.mark.parametrize(
    "url", ["localhost:8888", "ftp://host", "http://", "http://host:99999", "x"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(TraitError, match="is not the address of a gateway: write it as"):
        gateway(url=url)


@pytest.mark.parametrize(
    ("pasted", "address"),
    [
        ("http://host/lab?token=t", "http://host"),
        ("http://host/lab", "http://host"),
        ("http://host:1/lab/tree/a/x.ipynb?token=t", "http://host:1"),
        ("http://host/lab/workspaces/auto-x/tree/x.ipynb", "http://host"),
        ("http://host/tree", "http://host"),
        ("http://host/tree/folder#x", "http://host"),
        ("https://hub/user/ada/notebooks/a/x.ipynb", "https://hub/user/ada"),
        ("http://host/edit/a.py", "http://host"),
        ("http://host/doc/tree/x.ipynb", "http://host"),
        ("http://host/terminals/1", "http://host"),
        ("http://host/consoles/x", "http://host"),
        ("http://host/login?next=%2Flab%3F", "http://host"),
        ("http://host/?token=t", "http://host"),
        # Prefixes that are none of these, or are said to be prefixes by a slash at the end.
        ("http://host/lab/", "http://host/lab"),
        ("http://host/labs", "http://host/labs"),
        ("http://host/notebooks/gpu", "http://host/notebooks/gpu"),
        ("http://host/my-tree", "http://host/my-tree"),
    ],
)
def test_the_address_of_a_page_is_that_of_its_server(pasted: str, address: str) -> None:
    named = Gateways(config=Config({"Gateways": {"named": {"gpu": pasted}}}))
    for config in (gateway(url=pasted), named.make("gpu", pasted), *named.all()[1:]):
        assert config.url == address
        assert config.auth_token == ("t" if "token=t" in pasted else "")


def test_a_url_is_kept_as_given() -> None:
    config = gateway(url="https://Host/Team-A/http-gw/")
    assert config.url == "https://Host/Team-A/http-gw"
    assert config.websocket_url == "wss://Host/Team-A/http-gw"
    assert gateway(url="http://a:1", ws_url="wss://b:2/x").websocket_url == "wss://b:2/x"
    config = gateway(url="http://a:1", ws_url="ws://ada:pw@b:2/x?token=abc")
    assert (config.websocket_url, config.auth_token) == ("ws://b:2/x", "abc")


def test_credentials_are_taken_out_of_the_url() -> None:
    config = gateway(url="http://ada:p%40ss@host:1/x?token=abc")
    assert config.url == "http://host:1/x"
    assert (config.http_user, config.http_pwd, config.auth_token) == ("ada", "p@ss", "abc")


def test_without_a_url_there_is_an_embedded_gateway() -> None:
    assert gateway(url="").embedded
    assert gateway(url=None).embedded
    assert not gateway(url="http://host").embedded
    assert not gateway(mode="local").embedded


def test_an_embedded_gateway_has_no_options_of_a_remote_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN_FILE", "/nosuch")
    monkeypatch.setenv("JUPYTER_GATEWAY_WS_URL", "ws://elsewhere")
    config = gateway(url="", http_user="ada", headers='{"X": "y"}', poll_interval=1)
    assert (config.auth_token_file, config.ws_url, config.http_user) == ("", "", "")
    assert config.extra_headers == {}
    assert config.poll_interval == 1


def test_what_upstream_allows_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway("GatewayClient", ws_url=None, auth_token=None).websocket_url == "ws://host"
    monkeypatch.setenv("JUPYTER_GATEWAY_MAX_REQUEST_RETRIES", "20")
    monkeypatch.setenv("JUPYTER_GATEWAY_KERNELSPECS_ENDPOINT", "my/specs/")
    assert gateway().max_request_retries == 20
    assert gateway().kernelspecs_endpoint == "/my/specs"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("ca_certs", "client_cert", "client_key", "auth_token_file"):
        with pytest.raises(TraitError, match=rf"Gateway.{name}: there is no file"):
            gateway(**{name: str(tmp_path / "nosuch")})


def test_a_start_may_take_what_the_launch_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway().start_timeout == 42
    monkeypatch.setenv("KERNEL_LAUNCH_TIMEOUT", "300")
    assert gateway().start_timeout == 302
    assert gateway(request_timeout=400, launch_timeout_pad=5).start_timeout == 400


def test_allowed_environment_variables() -> None:
    assert gateway(allowed_envs="A, B,,", env_whitelist="C").allowed_env_names == {"A", "B", "C"}
