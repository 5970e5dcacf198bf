"""The command is a drop-in for `jupyter notebook`."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from notebook_remote import __version__

from .support.recipes import run
from .support.servers import PATIENCE, STOP_PATIENCE, Farm, Server, alive, children, wait_for
from .support.shared_servers import SharedServers


def config_folder(server: Server) -> Path:
    folder = Path(server.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(exist_ok=True)
    return folder


def test_the_three_ways_to_call_it(farm: Farm) -> None:
    scripts = Path(sys.executable).parent
    env = {**farm.env("x"), "PATH": f"{scripts}:/usr/bin:/bin"}
    for command in (
        [str(scripts / "jupyter-notebook-remote")],
        [str(scripts / "jupyter"), "notebook-remote"],
        [sys.executable, "-m", "notebook_remote"],
    ):
        found = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, env=env, check=True
        )
        assert found.stdout.strip() == __version__


def test_help(farm: Farm) -> None:
    text = run(farm, "--help").stdout
    for words in ("--gateway-url", "--gateway-token-file", "--mode", "--port", "--no-browser"):
        assert words in text
    assert "kernel gateway" in text
    every = run(farm, "--help-all").stdout
    for words in ("--Gateway.ca_certs", "--Gateway.embedded_linger", "--JupyterNotebookApp."):
        assert words in every


def test_generate_and_show_config(farm: Farm) -> None:
    assert run(farm, "--generate-config").returncode == 0
    path = Path(farm.env("command")["JUPYTER_CONFIG_DIR"]) / "jupyter_notebook_remote_config.py"
    assert "# c.Gateway.url = ''" in path.read_text()
    path.write_text("c.Gateway.url = 'http://from-file:1'")
    shown = run(farm, "--show-config", "--mode=proxy")
    assert "http://from-file:1" in shown.stdout
    assert run(farm, "--show-config", "--mode=proxy").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mode=browser"], "--mode=browser needs --gateway-url=URL"),
        (["--mode=other"], "'proxy'"),
        (["--gateway-url=host:1"], "is not the address of a gateway"),
        (["--gateway-url=http://h:1", "--Gateway.ca_certs=nosuch"], "there is no file 'nosuch'"),
        (["--gateway-url=http://h:1", "--gateway-token-file=nosuch"], "there is no file 'nosuch'"),
        (["--Gateway.connect_timeout=soon"], "connect_timeout"),
    ],
)
def test_a_bad_option_is_refused_in_a_sentence(
    farm: Farm, arguments: list[str], words: str
) -> None:
    found = run(farm, "--allow-root", "--no-browser", *arguments)
    assert found.returncode == 1
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_local_mode_is_plain_notebook(shared: SharedServers) -> None:
    notebook = shared.notebook("local")
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        pid = int(channels.run("import os; print(os.getpid())"))
        assert pid in children(notebook.pid)
    assert "embedded" not in notebook.log
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "nosuch"}}
    assert notebook.post("/api/sessions", body).status_code == 501


def test_local_mode_with_a_gateway_says_that_it_is_not_used(farm: Farm) -> None:
    env = {"JUPYTER_GATEWAY_URL": "http://ada:pw@gateway.invalid"}
    notebook = farm.notebook("--mode=local", env=env).start()
    with notebook.kernel():
        pass
    assert "the gateway at http://gateway.invalid is not used" in notebook.log
    assert "Kernels run on this computer" in notebook.log
    assert "pw@" not in notebook.log


def test_the_users_own_classes_win(farm: Farm) -> None:
    classes = [
        "--ServerApp.kernel_manager_class="
        "jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager",
        "--ServerApp.session_manager_class="
        "jupyter_server.services.sessions.sessionmanager.SessionManager",
    ]
    with_own_sessions = farm.notebook(classes[1]).start()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
    assert with_own_sessions.post("/api/sessions", body).status_code == 201
    assert with_own_sessions.get("/api/contents").status_code == 200
    listed = with_own_sessions.get("/notebook-remote/api/kernels").json()["kernels"]
    assert [session["path"] for session in listed[0]["sessions"]] == ["a.ipynb"]
    for options in (classes, classes[:1]):
        notebook = farm.notebook(*options, gateway="http://gateway.invalid").start()
        with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
            pid = int(channels.run("import os; print(os.getpid())"))
            assert pid in children(notebook.pid)


@pytest.mark.parametrize(
    "file",
    [
        "jupyter_notebook_config.py",
        "jupyter_server_config.py",
        "jupyter_notebook_remote_config.py",
        "jupyter_config.py",
    ],
)
def test_configuration_files(farm: Farm, shared: SharedServers, file: str) -> None:
    gateway = shared.gateway("kernel-gateway")
    notebook = farm.notebook()
    (config_folder(notebook) / file).write_text(
        f"c.GatewayClient.url = {gateway.url!r}\n"
        f"c.GatewayClient.auth_token = {gateway.token!r}\n"
        "c.FileContentsManager.delete_to_trash = False\n"
    )
    notebook.start()
    with notebook.kernel() as kernel_id:
        assert gateway.get(f"/api/kernels/{kernel_id}").status_code == 200
    assert f"Kernels run on the gateway at {gateway.url}" in notebook.log
    assert gateway.token not in notebook.log


def test_one_word_is_changed(farm: Farm, shared: SharedServers, tmp_path: Path) -> None:
    """`jupyter notebook --gateway-url=… --GatewayClient.…` with our command's name."""
    gateway = shared.gateway("jupyter-server")
    token = tmp_path / "token"
    token.write_text(gateway.token)
    for options in (
        [f"--gateway-url={gateway.url}", f"--GatewayClient.auth_token={gateway.token}"],
        [f"--GatewayClient.url={gateway.url}", f"--gateway-token={gateway.token}"],
        [f"--gateway-url={gateway.url}", f"--gateway-token-file={token}"],
        [f"--gateway-url={gateway.url}/?token={gateway.token}"],
    ):
        notebook = farm.notebook(*options).start()
        with notebook.kernel() as kernel_id:
            assert gateway.get(f"/api/kernels/{kernel_id}").status_code == 200


def test_pages_and_api_below_a_base_url_with_tls(farm: Farm, tls: tuple[str, str, str]) -> None:
    notebook = farm.notebook(base_url="/base/", tls=tls).start()
    for page in ("/tree", "/lab", "/api/status"):
        assert notebook.get(page).status_code == 200
    with notebook.kernel() as kernel_id:
        options = {"sslopt": {"ca_certs": tls[0]}}
        with notebook.channels(kernel_id, **options) as channels:
            assert channels.run("1") == "1"


def test_a_password_and_a_folder(farm: Farm, tmp_path: Path) -> None:
    from jupyter_server.auth import passwd

    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "here.txt").write_text("x")
    notebook = farm.notebook(
        f"--notebook-dir={tmp_path / 'work'}",
        f"--PasswordIdentityProvider.hashed_password={passwd('open sesame', 'sha1')}",
    ).start()
    found = notebook.get("/api/contents").json()["content"]
    assert [item["name"] for item in found] == ["here.txt"]
    with requests.Session() as session:
        page = session.get(f"{notebook.url}/login", timeout=PATIENCE)
        form = {"password": "open sesame", "_xsrf": session.cookies["_xsrf"]}
        session.post(f"{notebook.url}/login", data=form, timeout=PATIENCE)
        assert session.get(f"{notebook.url}/api/sessions", timeout=PATIENCE).status_code == 200
        assert page.status_code == 200


def test_jupyter_server_list_and_stop(farm: Farm) -> None:
    notebook = farm.notebook().start()
    with notebook.kernel():
        listed = subprocess.run(
            [sys.executable, "-m", "jupyter_server", "list", "--json"],
            capture_output=True,
            text=True,
            env=notebook.env,
            check=True,
        ).stdout
    servers = [json.loads(line) for line in listed.splitlines()]
    assert [s["pid"] for s in servers] == [notebook.pid]  # and not the embedded gateway
    port = str(servers[0]["port"])
    command = [sys.executable, "-m", "jupyter_server", "stop", port]
    with subprocess.Popen(command, env=notebook.env) as stopping:
        assert notebook.process is not None
        assert notebook.process.wait(PATIENCE) == 0
        assert stopping.wait(PATIENCE) == 0


def test_other_extensions_load_and_the_stock_notebook_does_not(shared: SharedServers) -> None:
    notebook = shared.notebook("jupyter-server")
    assert "jupyterlab | extension was successfully loaded" in notebook.log
    assert "notebook_remote | extension was successfully loaded" in notebook.log
    assert "notebook | extension was successfully loaded" not in notebook.log
    assert '"appVersion"' in notebook.get("/tree").text


def test_it_stops_while_a_request_is_still_answered(farm: Farm) -> None:
    """The first answer about nbconvert takes a while in a thread; upstream waits for ever."""
    notebook = farm.notebook("--mode=local").start()
    url, headers = f"{notebook.url}/api/nbconvert", {"Authorization": f"token {notebook.token}"}
    with contextlib.suppress(requests.Timeout):
        requests.get(url, headers=headers, timeout=0.2)
    notebook.stop(patience=STOP_PATIENCE)


def test_an_interrupt_without_a_terminal_leaves_nothing(farm: Farm) -> None:
    notebook = farm.notebook().start()
    notebook.start_kernel()
    processes = children(notebook.pid)
    notebook.signal(signal.SIGINT)
    assert notebook.process is not None
    notebook.process.wait(PATIENCE)
    wait_for("everything to end", lambda: not any(map(alive, processes)))
    assert "Traceback" not in notebook.log
