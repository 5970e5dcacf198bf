"""The add-on is enabled in each kind of gateway as README.md says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.servers import Farm
from ..support.tickets import PageChannels, ask, audit_outcomes, handshake, ticket

INSTALLS = """
from jupyter_server.serverapp import ServerApp
from notebook_remote_gateway.jupyter_server import install

class Embedded(ServerApp):
    def init_webapp(self):
        super().init_webapp()
        install(self)

Embedded.launch_instance()
"""


def test_the_readmes_line_for_jupyter_server_works(farm: Farm) -> None:
    """The command enables only an extension that has a file in the folder to which it writes.

    The package installs that file into the environment; the test copies it to its own folder.
    """
    installed = Path(sys.prefix, "etc/jupyter/jupyter_server_config.d/notebook_remote_gateway.json")
    gateway = farm.gateway("jupyter-server")
    gateway.command.remove("--ServerApp.jpserver_extensions={}")
    gateway.env["JUPYTER_PREFER_ENV_PATH"] = "0"  # so that the test's settings take precedence
    gateway.start()
    assert gateway.get("/api/notebook-remote").status_code == 404  # it is disabled by default
    gateway.stop()
    folder = Path(gateway.env["JUPYTER_CONFIG_DIR"], "jupyter_server_config.d")
    folder.mkdir(parents=True)
    shutil.copy(installed, folder)
    line = ["-m", "jupyter", "server", "extension", "enable", "notebook_remote_gateway"]
    subprocess.run([sys.executable, *line, "--user"], env=gateway.env, check=True)
    gateway.start()
    assert gateway.get("/api/notebook-remote").status_code == 200


def test_an_invalid_setting_stops_the_start(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, addon=True, env={"NOTEBOOK_REMOTE_TICKET_KEY": "short"})
    gateway.start(wait=False)
    assert gateway.process is not None
    assert gateway.process.wait(40) == 1
    assert "a key of 5 bytes is too short" in gateway.log
    assert "Traceback" not in gateway.log


@pytest.mark.eg
def test_client_certificates_cannot_be_combined_with_tickets(farm: Farm) -> None:
    option = "--EnterpriseGatewayApp.authorized_origin=proxy.example"
    gateway = farm.gateway("enterprise-gateway", option, addon=True)
    gateway.start(wait=False)
    assert gateway.process is not None
    assert gateway.process.wait(40) == 1
    assert "Use one of the two." in gateway.log


def test_a_server_app_without_extensions_can_install_the_add_on(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    script = gateway.folder / "embedded_app.py"
    script.write_text(INSTALLS)
    gateway.command[1:3] = [str(script)]
    assert gateway.command[0] == sys.executable
    gateway.start()
    with gateway.kernel() as kernel_id, PageChannels(gateway, kernel_id) as channels:
        assert channels.run("6 * 7") == "42"


def test_a_notebook_server_does_not_load_the_add_on(farm: Farm) -> None:
    """The add-on's routes would hide the channels that the notebook server relays."""
    notebook = farm.notebook("--ServerApp.jpserver_extensions=notebook_remote_gateway=True").start()
    assert "this server is not a gateway" in notebook.log
    with notebook.kernel() as kernel_id:
        assert ask(notebook, kernel_id).status_code == 404
        with notebook.channels(kernel_id) as channels:
            assert channels.run("6 * 7") == "42"


def test_replicas_with_a_common_key_accept_each_others_tickets(farm: Farm) -> None:
    """Each replica accepts a ticket once, as README.md says."""
    env = {"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32}
    one, other = (farm.gateway("jupyter-server", addon=True, env=env).start() for _ in range(2))
    with one.kernel() as kernel_id:
        nr_token = ticket(one, kernel_id)
        assert handshake(one, kernel_id, nr_token) == 101
        assert handshake(other, kernel_id, nr_token) == 404  # the kernel is not shared here
        for replica in (one, other):
            assert handshake(replica, kernel_id, nr_token) == 403
            assert audit_outcomes(replica, "redeem", kernel_id) == ["ok", "reused"]
        with PageChannels(one, kernel_id) as channels:
            assert channels.run("import os; os.getenv('NOTEBOOK_REMOTE_TICKET_KEY')") == ""


def test_gateways_without_a_common_key_reject_each_others_tickets(farm: Farm) -> None:
    one, other = (farm.gateway("jupyter-server", addon=True).start() for _ in range(2))
    with one.kernel() as kernel_id:
        assert handshake(other, kernel_id, ticket(one, kernel_id)) == 403
        assert audit_outcomes(other, "redeem", kernel_id) == ["bad-signature"]
