"""What docs/drop-in.md says of options: each means to us what it means to `jupyter notebook`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.gateway.gateway_client import GatewayClient, NoOpTokenRenewer
from jupyter_server.serverapp import ServerApp, aliases, flags
from notebook.app import JupyterNotebookApp
from traitlets import Bool, Float, HasTraits, Int, TraitType
from traitlets.config import Config

from notebook_remote.app import RemoteNotebookApp, RemoteServerApp
from notebook_remote.config.gateway import Gateway

from ..support.certificates import Files
from ..support.docs_tools import docs_tool
from ..support.servers import PATIENCE, Farm, free_port

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "drop-in.md"
# What differs between the two, as the page says, and what no user sets.
OURS = {
    "ServerApp": {
        "contents_manager_class",  # a subclass of the configured one, with locks
        "jpserver_extensions",
        "kernel_manager_class",
        "kernel_spec_manager_class",
        "kernel_websocket_connection_class",
        "session_manager_class",
        "tornado_settings",  # with the size of a message
        "token",  # new for each server
    },
    "FileContentsManager": {"checkpoints_kwargs"},  # with the log's name
    "JupyterNotebookApp": {
        "extra_labextensions_path",
        "labextensions_url",
        "handlers",
        "settings",
    },
}
# These make the command do something else than serve.
STOP = {"generate-config", "show-config", "show-config-json", "pylab"}
# Run by each of both commands' applications, which say what has become of their options.
PROBE = """
import json, re, sys
from pathlib import Path
from jupyter_client.manager import KernelManager
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.filemanager import FileContentsManager
from notebook.app import JupyterNotebookApp
from notebook_remote.app import RemoteNotebookApp

def values(thing, cls):
    values = {name: repr(getattr(thing, name)) for name in cls.class_trait_names(config=True)}
    return {name: re.sub("0x[0-9a-f]+", "", value) for name, value in values.items()}

app_class = {"stock": JupyterNotebookApp, "ours": RemoteNotebookApp}[sys.argv[1]]
server = app_class.initialize_server(argv=sys.argv[3:])
Path(sys.argv[2]).write_text(json.dumps({
    "ServerApp": values(server, ServerApp),
    "JupyterNotebookApp": values(server.starter_app, JupyterNotebookApp),
    "KernelManager": values(KernelManager(parent=server), KernelManager),
    "FileContentsManager": values(server.contents_manager, FileContentsManager),
}))
"""

Values = dict[str, dict[str, str]]


def probe(farm: Farm, which: str, *options: str, config: str = "") -> Values:
    """The options' values in one of both applications, in the same surroundings."""
    env = farm.env("probe", PYTHONWARNINGS="ignore")
    folder = Path(env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(exist_ok=True)
    (folder / "jupyter_notebook_config.py").write_text(config)
    output = farm.folder / f"{which}.json"
    found = subprocess.run(
        [sys.executable, "-c", PROBE, which, str(output), "--allow-root", *options],
        capture_output=True,
        text=True,
        env=env,
        cwd=farm.folder,
        timeout=PATIENCE,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return dict(json.loads(output.read_text()))


def both(farm: Farm, *options: str, config: str = "") -> Values:
    """The options' values, which are the same in both applications where the page says so."""
    stock, ours = (probe(farm, which, *options, config=config) for which in ("stock", "ours"))
    for section, values in stock.items():
        for name in OURS.get(section, ()):
            values.pop(name, None)
            ours[section].pop(name, None)
    differing = {
        f"{section}.{name}": (value, ours[section].get(name))
        for section, values in stock.items()
        for name, value in values.items()
        if value != ours[section].get(name)
    }
    assert differing == {}
    return ours


# -- the page --------------------------------------------------------------------------------------


def test_the_tables_are_current() -> None:
    """A release of upstream's with a new option turns this red, until it has been looked at."""
    module, page = docs_tool("dropin"), PAGE.read_text(encoding="utf-8")
    assert module.with_tables(page) == page, "run: python docs/_tools/dropin.py"
    for option in ("--port", "--custom-css", "-y"):
        assert f"| `{option}` |" in page
    upstream = set(GatewayClient.class_trait_names(config=True))
    assert all(f"| `{trait}` |" in page for trait in upstream)
    assert all(f"`{variable}`" in page for variable in module.stock_variables())
    assert set(module.OPTIONS) <= set(module.stock_options())  # none that is gone
    assert set(module.CLIENT) <= upstream
    assert set(module.VARIABLES) <= module.stock_variables()


# -- options of `jupyter notebook` -----------------------------------------------------------------


def test_each_short_option_means_the_same(farm: Farm, tls: Files) -> None:
    folder = farm.folder / "work" / "within"
    folder.mkdir(parents=True)
    config = farm.folder / "mine.py"
    config.write_text("c.ServerApp.max_body_size = 12345\nc.JupyterNotebookApp.default_url = '/x'")
    port = free_port()
    given = {
        "browser": "true",
        "certfile": tls[1],
        "client-ca": tls[0],
        "config": str(config),
        "ip": "127.0.0.2",
        "keyfile": tls[2],
        "log-level": "40",
        "notebook-dir": str(folder.parent),
        "port": str(port),
        "port-retries": "3",
        "preferred-dir": str(folder),
        "transport": "ipc",
    }
    on_a_socket = {"sock": str(farm.folder / "socket"), "sock-mode": "0660"}
    stock_aliases = {**aliases, **JupyterNotebookApp.aliases}
    assert set(stock_aliases) - STOP == {*given, *on_a_socket, "gateway-url"}  # else add it here
    switches = set({**flags, **JupyterNotebookApp.flags}) - STOP

    def arguments(names: set[str], valued: dict[str, str]) -> list[str]:
        plain = [f"-{name}" if len(name) == 1 else f"--{name}" for name in sorted(names)]
        return [*plain, *(f"--{name}={value}" for name, value in valued.items())]

    values = both(farm, *arguments(switches - {"debug", "no-script"}, given))
    server = values["ServerApp"]
    assert (server["port"], server["ip"]) == (str(port), "'127.0.0.2'")
    assert (server["max_body_size"], server["log_level"]) == ("12345", "40")
    assert values["JupyterNotebookApp"]["default_url"] == "'/x'"
    assert values["JupyterNotebookApp"]["expose_app_in_browser"] == "True"
    assert values["KernelManager"]["transport"] == "'ipc'"
    values = both(farm, *arguments({"debug", "no-script"}, on_a_socket))
    assert values["ServerApp"]["sock_mode"] == "'0660'"
    assert values["ServerApp"]["log_level"] == "10"


@pytest.mark.parametrize("option", [["--show-config"], ["--show-config-json"], ["--pylab=inline"]])
def test_options_that_do_not_serve(farm: Farm, option: list[str]) -> None:
    ends = []
    for module in ("notebook", "notebook_remote"):
        found = subprocess.run(
            [sys.executable, "-m", module, "--ServerApp.port=9876", "--allow-root", *option],
            capture_output=True,
            text=True,
            env=farm.env("command"),
            cwd=farm.folder,
            timeout=PATIENCE,
            check=False,
        )
        said = found.stdout + found.stderr
        ends.append((found.returncode, "9876" in said, "Use `%pylab" in said))
    assert ends[0] == ends[1]
    assert True in ends[0]


def test_gateway_url_is_the_stock_option() -> None:
    assert aliases["gateway-url"] == "GatewayClient.url"
    assert RemoteNotebookApp.aliases["gateway-url"] == "Gateway.url"
    assert set(aliases) <= set(RemoteServerApp().aliases)
    assert set(flags) | set(JupyterNotebookApp.flags) <= set(RemoteNotebookApp.flags)


# -- other options -------------------------------------------------------------------------------


def other_than(trait: TraitType[Any, Any]) -> Any:
    """A value that is not the default; None for traits that have no simple one."""
    default = trait.default_value
    if isinstance(trait, Bool):
        return not default
    if isinstance(trait, (Int, Float)) and isinstance(default, (int, float)):
        return default + 1
    return None


def changed(cls: type[HasTraits], without: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    values = {
        name: other_than(trait)
        for name, trait in cls.class_traits(config=True).items()
        if name not in without
    }
    return {name: value for name, value in values.items() if value is not None}


def test_every_switch_and_number_in_a_configuration_file_means_the_same(farm: Farm) -> None:
    of_server = changed(ServerApp, {"show_config", "show_config_json", "generate_config", "port"})
    of_app = changed(JupyterNotebookApp, set(ServerApp.class_trait_names()))
    lines = [f"c.ServerApp.{name} = {value!r}" for name, value in of_server.items()]
    lines.append("c.PasswordIdentityProvider.hashed_password = 'sha1:1:2'")  # one is required
    lines += [f"c.JupyterNotebookApp.{name} = {value!r}" for name, value in of_app.items()]
    values = both(farm, config="\n".join(lines))
    assert len(of_server) > 20
    assert len(of_app) > 2
    taken = {name for name, value in of_server.items() if values["ServerApp"][name] == repr(value)}
    assert set(of_server) - taken <= {"open_browser", "allow_root"}
    assert values["JupyterNotebookApp"]["custom_css"] == "False"


@pytest.mark.parametrize("section", ["NotebookApp", "JupyterNotebookApp", "ServerApp"])
def test_the_server_is_configured_in_each_section_that_notebook_takes(
    farm: Farm, section: str
) -> None:
    port = free_port()
    lines = {"port_retries": 7, "base_url": "/from-file/", "default_url": "/lab"}
    config = "\n".join(f"c.{section}.{name} = {value!r}" for name, value in lines.items())
    values = both(farm, f"--{section}.port={port}", config=config)
    server = values["ServerApp"]
    assert (server["port"], server["port_retries"]) == (str(port), "7")
    assert server["base_url"] == "'/from-file/'"


def test_all_classes_of_the_stock_command_are_configured_and_documented_by_ours() -> None:
    assert set(ServerApp.classes) <= set(RemoteNotebookApp.classes)
    assert all(
        any(issubclass(ours, stock) for ours in RemoteNotebookApp.classes)
        for stock in JupyterNotebookApp.classes
    )


def test_the_transport_is_that_of_the_embedded_gateways_kernels(farm: Farm) -> None:
    code = (
        "from ipykernel.connect import get_connection_info as i; print(i(unpack=True)['transport'])"
    )
    with tempfile.TemporaryDirectory() as runtime:  # a socket's path may have 107 characters
        notebook = farm.notebook("--transport=ipc", env={"JUPYTER_RUNTIME_DIR": runtime}).start()
        with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
            assert channels.run(code).strip() == "ipc"
        notebook.stop()


# -- the gateway client ----------------------------------------------------------------------------

SAMPLES = {
    "accept_cookies": True,
    "allowed_envs": "A",
    "auth_header_key": "X-Key",
    "auth_scheme": "Bearer",
    "auth_token": "secret",
    "ca_certs": __file__,
    "client_cert": __file__,
    "client_key": __file__,
    "connect_timeout": 7.5,
    "env_whitelist": "B",
    "gateway_retry_interval": 7.5,
    "gateway_retry_interval_max": 7.5,
    "gateway_retry_max": 7,
    "gateway_token_renewer_class": "tests.end_to_end.test_dropin.Renewer",
    "headers": '{"X-A": "b"}',
    "http_pwd": "secret",
    "http_user": "ada",
    "kernels_endpoint": "/my/kernels",
    "kernelspecs_endpoint": "/my/kernelspecs",
    "kernelspecs_resource_endpoint": "/my/resources",
    "launch_timeout_pad": 7.5,
    "request_timeout": 7.5,
    "url": "https://elsewhere:1/prefix",
    "validate_cert": False,
    "ws_url": "wss://elsewhere:2/prefix",
}
WITHOUT_EFFECT = {"event_logger"}


class Renewer(NoOpTokenRenewer):
    pass


def test_there_is_a_sample_for_each_option_of_the_client() -> None:
    assert set(GatewayClient.class_trait_names(config=True)) == {*SAMPLES, *WITHOUT_EFFECT}
    for name in WITHOUT_EFFECT:
        assert "no effect: " in docs_tool("dropin").CLIENT[name]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_option_of_the_client_is_taken_and_used(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SAMPLES[name]
    base = {} if name == "url" else {"url": "http://host"}
    wanted = Renewer if name == "gateway_token_renewer_class" else sample
    assert getattr(Gateway(config=Config(GatewayClient=base)), name) != wanted
    assert getattr(Gateway(config=Config(GatewayClient={**base, name: sample})), name) == wanted
    variable = docs_tool("dropin").variable_of(name)
    if variable:
        monkeypatch.setenv(variable, str(sample))
        assert getattr(Gateway(config=Config(GatewayClient=base)), name) == wanted
    # And somebody asks for it.
    modules = (path.read_text() for path in (TOP / "notebook_remote").rglob("*.py"))
    assert any(re.search(rf"\.{name}\b", text) for text in modules), f"nobody reads Gateway.{name}"
