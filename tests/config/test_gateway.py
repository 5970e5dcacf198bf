"""The options of a gateway: where their values come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_server.gateway.gateway_client import GatewayClient
from traitlets import TraitError
from traitlets.config import Config

from notebook_remote.config.gateway import Gateway
from notebook_remote.config.named import Gateways


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


def test_what_is_neither_true_nor_false(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraitError, match=r"Gateway\.validate_cert: 'maybe' is neither"):
        gateway(validate_cert="maybe")
    monkeypatch.setenv("NOTEBOOK_REMOTE_OWN_KERNELS", "maybe")
    with pytest.raises(TraitError, match=r"Gateways\.own_kernels: 'maybe' is neither"):
        Gateways()


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
    "url", ["ada:SEK@host:8888", "//ada:SEK@host", "http:/ada:SEK@host", "http//ada:SEK@host"]
)
def test_a_password_in_what_is_no_url_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    for wrong in ({"url": url}, {"ws_url": url}, {"proxy": url}):
        with pytest.raises(TraitError, match="'host") as caught:
            gateway(**wrong)
        assert "SEK" not in str(caught.value)
    for named in (f"gpu={url}", url, url.replace(":SEK", "=SEK"), f"a:{url}=1"):
        monkeypatch.setenv("NOTEBOOK_REMOTE_GATEWAYS", named)
        with pytest.raises(TraitError) as caught:
            Gateways().all()
        assert "SEK" not in str(caught.value)
    with pytest.raises(TraitError, match="says no name") as caught:
        Gateways(config=Config({"Gateways": {"named": [url]}}))
    assert "SEK" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:SE/K@host:1",
        "http://ada:SE#K@host:1",
        "http://ada:SE?K@host:1",
        "http://a@da:SE/K@host:1",
        "http://ada:12/SEK@host:1",
        "http://ada:12/S/E/K@host:1",
        "http://ada:12?SEK@host:1",
        "http://ada:12#SEK@host:1",
    ],
)
def test_a_password_that_has_to_be_encoded(url: str) -> None:
    for wrong in ({"url": url}, {"ws_url": url.replace("http", "ws")}, {"proxy": url}):
        with pytest.raises(TraitError, match=r"'host:1' is not .* write / as %2F") as caught:
            gateway(**wrong)
        assert "SE" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://hub:8000/user/ada@example.org",
        "http://[::1]:8000/user/ada@example.org",
        "http://[::1]/@ada",
        "https://hub/@ada",
        "http://ada:pw@hub:8000/%40ada",
    ],
)
def test_an_at_sign_in_a_path(url: str) -> None:
    assert gateway(url=url).url == url.replace("ada:pw@", "")


@pytest.mark.parametrize("proxy", ["http://[", "http://p:x", "http://p:99999", "https://p", "p:1"])
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    with pytest.raises(TraitError, match=r"Gateway\.proxy is not the URL of an HTTP proxy"):
        gateway(proxy=proxy)


@pytest.mark.parametrize("headers", ["[" * 100_000, '{"a": ' + "[" * 100_000, "[]", "x"])
def test_headers_that_are_no_json_object(headers: str) -> None:
    with pytest.raises(TraitError, match="not a JSON object"):
        gateway(headers=headers)


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
        ("http://host/lab/", "http://host"),
        ("http://host/lab/tree/", "http://host"),
        ("http://host/lab/workspaces", "http://host"),
        ("http://host/tree/", "http://host"),
        ("http://host/doc", "http://host"),
        ("http://host/doc/", "http://host"),
        ("http://host/doc/tree", "http://host"),
        ("http://host/nbclassic", "http://host"),
        ("http://host/login/", "http://host"),
        ("http://host/terminals/1/", "http://host"),
        ("https://hub/user/ada/lab/?token=t", "https://hub/user/ada"),
        # Prefixes that are none of these, and how to give one that looks like one.
        ("http://host/lab/lab", "http://host/lab"),
        ("http://host/docs", "http://host/docs"),
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


def test_the_path_of_a_url_is_kept_as_given() -> None:
    config = gateway(url="https://Host/Team-A/http-gw/")
    assert config.url == "https://host/Team-A/http-gw"
    assert config.websocket_url == "wss://host/Team-A/http-gw"
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


def gateways(**named: object) -> Gateways:
    return Gateways(config=Config({"Gateways": {"named": named}}))


SECRETS = ("auth_token", "http_pwd", "headers", "proxy", "allowed_envs", "client_cert")


@pytest.mark.parametrize("name", ["gpu", "other"])
def test_a_gateway_of_a_page_gets_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Else whoever uses the page could have a configured gateway's token sent anywhere."""
    values = {
        "headers": '{"X-Key": "v"}',
        "proxy": "http://p:1",
        "client_cert": str(tmp_path / "c"),
    }
    (tmp_path / "c").touch()
    for option in SECRETS:
        for owner in ("GPU", "OTHER"):
            variable = f"NOTEBOOK_REMOTE_{owner}_{option.upper()}"
            monkeypatch.setenv(variable, values.get(option, "s3cret"))
    monkeypatch.setenv("JUPYTER_GATEWAY_ALLOWED_ENVS", "AWS_SECRET_ACCESS_KEY")
    configured = gateways(gpu="http://gpu:1")
    assert configured.make("gpu", "http://gpu:1").auth_token == "s3cret"
    page = configured.make_for_page(name, {"url": "http://elsewhere:1"})
    unset = Gateway(config=Config({"Gateway": {"url": "http://h", "allowed_envs": ""}}))
    for option in SECRETS:
        assert getattr(page, option) == getattr(unset, option), option
    assert page.from_page


def test_one_that_is_added_again_at_its_address_is_the_configured_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTEBOOK_REMOTE_GPU_AUTH_TOKEN", "s3cret")
    configured = gateways(gpu={"url": "HTTP://GPU:80", "http_user": "ada"})
    options = {"url": "http://gpu", "mode": "direct", "validate_cert": False}
    again = configured.make_for_page("gpu", options)
    assert (again.auth_token, again.http_user, again.mode) == ("s3cret", "ada", "direct")
    assert again.validate_cert  # a page does not make it send that token to just anybody
    assert not again.from_page
    pasted = configured.make_for_page("gpu", {"url": "http://bob:pw@gpu/lab?token=pasted"})
    assert (pasted.auth_token, pasted.http_user, pasted.http_pwd) == ("pasted", "bob", "pw")


def test_who_added_a_gateway_in_a_page_is_sent_to_the_page() -> None:
    added = gateways().make_for_page("gpu", {"url": "http://gpu"})
    assert added.how_to_give_a_token.endswith("in the page, in Settings > Gateways")
    with pytest.raises(TraitError, match=r"no address: give it as https://host:8888/prefix\.$"):
        gateways().make_for_page("gpu", {"url": ""})


@pytest.mark.parametrize("name", ["My_gpu", "my.gpu", "MY-GPU"])
def test_names_that_share_variables_are_refused(name: str) -> None:
    with pytest.raises(TraitError, match="NOTEBOOK_REMOTE_MY_GPU_ACCEPT_COOKIES"):
        gateways(**{"my_gpu": "http://a", name: "http://b"}).all()
    with pytest.raises(TraitError, match="'my_gpu'"):
        gateways(my_gpu="http://a").make_for_page(name, {"url": "http://b"})


@pytest.mark.parametrize(("one", "two"), [("g", "g_ws"), ("g_page", "g")])
def test_so_are_those_of_which_one_is_the_beginning_of_an_option(one: str, two: str) -> None:
    with pytest.raises(TraitError, match="WS_URL"):
        gateways(**{one: "http://a", two: "http://b"}).all()


def test_a_name_does_not_take_a_variable_of_all_gateways() -> None:
    with pytest.raises(TraitError, match="NOTEBOOK_REMOTE_PAGE_WS_URL"):
        gateways(page="http://a").all()


def test_files_are_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / "token"
    token.touch()
    assert gateway(auth_token_file="~/token").auth_token_file == str(token)
    named = gateways(gpu={"url": "http://gpu", "auth_token_file": "~/token"}).all()[1]
    assert named.auth_token_file == str(token)


@pytest.mark.parametrize("url", ["http://xn--a:1", "http://a..b", "http://a b"])
def test_a_host_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(TraitError, match="host"):
        gateway(url=url)


def test_a_path_has_one_spelling_for_rest_and_websocket() -> None:
    config = gateway(url="http://H:80/user/zoë")
    assert config.url == "http://h/user/zo%C3%AB"
    assert config.websocket_url == "ws://h/user/zo%C3%AB"
