"""The environment of kernels on this computer: as `jupyter notebook` gives it, without secrets."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from notebook_remote_gateway import settings

from notebook_remote.config.environment import variable_of, variables_of
from notebook_remote.config.gateway import Gateway
from notebook_remote.config.named import Gateways
from notebook_remote.kernel_environment import (
    ADDON_VARIABLES,
    SETTINGS_PREFIXES,
    for_embedded_gateway,
)

from .support.servers import Farm, Server

SECRETS = {
    "JUPYTER_GATEWAY_AUTH_TOKEN": "s3cret",
    "JUPYTER_GATEWAY_HEADERS": '{"X-Key": "s3cret"}',
    "NOTEBOOK_REMOTE_GATEWAYS": "gpu=http://ada:s3cret@localhost:1",
    "NOTEBOOK_REMOTE_GPU_AUTH_TOKEN": "s3cret",
    "NOTEBOOK_REMOTE_GPU_HTTP_PWD": "s3cret",
    "NOTEBOOK_REMOTE_GPU_HEADERS": '{"X-Key": "s3cret"}',
    "NOTEBOOK_REMOTE_MY_GPU_PROXY": "http://ada:s3cret@localhost:1",
    "NOTEBOOK_REMOTE_TICKET_KEY": "s3cret" * 8,
}


def test_every_setting_of_a_gateway_is_left_out() -> None:
    variables = [
        trait.metadata["env"]
        for cls in (Gateway, Gateways)
        for trait in cls.class_traits(config=True).values()
    ]
    variables += variables_of(Gateway, "my-gpu")
    assert [name for name in variables if not name.startswith(SETTINGS_PREFIXES)] == []


def test_an_embedded_gateway_gets_the_add_ons_settings_and_no_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = {
        value
        for value in vars(settings).values()
        if isinstance(value, str) and value.startswith("NOTEBOOK_REMOTE_")
    }
    for name in theirs:
        monkeypatch.setenv(name, "1")
    for gateway in ("pass", "pass-two", "ticket", "ticket-key", "allowed-origins"):
        for option in ("auth_token", "http_pwd", "headers", "proxy"):
            monkeypatch.setenv(variable_of(gateway, option), "s3cret")
    given = for_embedded_gateway()
    assert (
        {name for name in given if name.startswith("NOTEBOOK_REMOTE_")} == theirs == ADDON_VARIABLES
    )
    assert "s3cret" not in given.values()


def session(notebook: Server) -> dict[str, str]:
    """Start a notebook's session; the ids of it and its kernel."""
    body = {"path": "a.ipynb", "type": "notebook", "name": "a.ipynb", "kernel": {"name": "python3"}}
    model = notebook.post("/api/sessions", body).json()
    return {"session": model["id"], "kernel": model["kernel"]["id"]}


def environment(notebook: Server, kernel_id: str) -> dict[str, str]:
    with notebook.channels(kernel_id) as channels:
        found = ast.literal_eval(channels.run("import os; print(dict(os.environ))"))
    parent = found.pop("JPY_PARENT_PID")
    assert parent.isdigit()
    return {str(k): str(v).replace(str(notebook.folder), "ROOT") for k, v in found.items()}


@pytest.mark.parametrize("mode", ["local", "proxy"])
def test_it_is_that_of_jupyter_notebook(farm: Farm, mode: str) -> None:
    stock, notebook = farm.gateway("jupyter-server"), farm.notebook(f"--mode={mode}")
    notebook.env = {**stock.env, **SECRETS}
    stock.start()
    notebook.start()
    theirs, ours = session(stock), session(notebook)
    expected, found = environment(stock, theirs["kernel"]), environment(notebook, ours["kernel"])
    assert found == expected
    assert {"HOME", "PATH"} <= found.keys()
    assert found["JPY_SESSION_NAME"] == str(Path("ROOT") / "a.ipynb")

    # Of a kernel without a session too, and after a rename and a restart.
    with stock.kernel() as alone, notebook.kernel() as without:
        expected, found = environment(stock, alone), environment(notebook, without)
        assert found == expected
    for server, ids in ((stock, theirs), (notebook, ours)):
        renamed = {"path": "b.ipynb", "name": "b.ipynb"}
        server.request("PATCH", f"/api/sessions/{ids['session']}", json=renamed)
        assert server.post(f"/api/kernels/{ids['kernel']}/restart").ok
    found = environment(notebook, ours["kernel"])
    assert found == environment(stock, theirs["kernel"])
    assert found["JPY_SESSION_NAME"] == str(Path("ROOT") / "b.ipynb")
