"""Runs without a page, on real gateways: nbclient, nbconvert, papermill, and our clients alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import urlsplit

import nbclient
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets import TraitError
from traitlets.config import Config

from notebook_remote.client.messages import UnreadableMessage, decode, normalize
from notebook_remote.exceptions import (
    GatewayAuthError,
    GatewayError,
    GatewayUnreachable,
    KernelSpecNotFound,
    ReplyLost,
)
from notebook_remote.headless.manager import (
    BlockingGatewayKernelManager,
    GatewayKernelManager,
    GatewayNotebookClient,
)

from ..support.doctor import PlainProxy
from ..support.intermediary import Intermediary
from ..support.notebooks import notebook, read, shown, until, write
from ..support.servers import PATIENCE, Farm, Server, wait_for
from ..support.shared_servers import SharedServers

LEGACY = "--ZMQChannelsWebsocketConnection.kernel_ws_protocol="
LINK_TIMEOUT = 1.0  # seconds; as short as it can be


@pytest.fixture(autouse=True)
def nobody(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the configuration of whoever runs the tests."""
    clean = farm.env("somebody")
    for name in os.environ:
        if name not in clean and name != "NOTEBOOK_REMOTE_EG_PYTHON":
            monkeypatch.delenv(name)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, clean[name])
    monkeypatch.setenv("KERNEL_USERNAME", "ada")


def config(server: Server, url: str = "", **options: Any) -> Config:
    settings = {"url": url or server.url, "auth_token": server.token, **options}
    return Config({"Gateway": settings})


@pytest.fixture
def on(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """A client that blocks, for a kernel that was started for it on a gateway."""
    managers = []

    def start(server: Server, url: str = "", **options: Any) -> Any:
        manager = BlockingGatewayKernelManager(config=config(server, url, **options))
        manager.start_kernel()
        managers.append(manager)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=PATIENCE)
        return client

    yield start
    for manager in managers:
        manager.shutdown_kernel()


def run(client: Any, code: str) -> str:
    """Run code and return what it printed."""
    texts: list[str] = []
    client.execute_interactive(
        code, timeout=PATIENCE, output_hook=lambda m: texts.append(m["content"].get("text", ""))
    )
    return "".join(texts)


def printed(client: Any, msg_id: str) -> str:
    """The next line that this request prints, which may come in pieces."""
    text = ""
    while not text.endswith("\n"):
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] == "stream":
            text += message["content"]["text"]
    return text


def reply(client: Any, msg_id: str) -> dict[str, Any]:
    return dict(client._recv_reply(msg_id, timeout=PATIENCE)["content"])


def is_gone(server: Server, kernel_id: str) -> bool:
    return server.get(f"/api/kernels/{kernel_id}").status_code == 404


# -- nbclient, and what jupyter_client's users call ---------------------------------------------


def test_nbclient_runs_a_notebook(gateway: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_COLOUR", "green")
    made = notebook(
        "import os; print(os.environ.get('KERNEL_COLOUR'))",
        "input()",
        "6 * 7",
    )
    client = GatewayNotebookClient(made, config=config(gateway), allow_errors=True)
    kernel_ids = []
    client.on_notebook_start = lambda notebook: kernel_ids.append(client.km.kernel_id)
    client.execute()
    colour, refused, answer = map(shown, made.cells)
    assert refused.startswith("StdinNotImplementedError")
    assert answer == "42"
    # jupyter_server takes no environment.
    assert colour == ("None\n" if "jupyter_server" in gateway.command else "green\n")
    assert is_gone(gateway, kernel_ids[0])


def test_a_client_that_blocks(gateway: Server, on: Callable[..., Any]) -> None:
    client = on(gateway)
    assert run(client, "x = 41; print(x + 1)") == "42\n"
    assert client.execute("1 / 0", reply=True, timeout=PATIENCE)["content"]["ename"]
    assert client.complete("prin", reply=True, timeout=PATIENCE)["content"]["matches"]
    assert client.is_alive()
    with pytest.raises(Empty):
        client.get_shell_msg(timeout=0)
    other = client.parent.client()
    other.start_channels()
    other.wait_for_ready(timeout=PATIENCE)
    assert run(other, "print(x)") == "41\n"
    other.stop_channels()
    texts: list[str] = []
    client.execute_interactive(
        "print(input('who? '))",
        allow_stdin=True,
        timeout=PATIENCE,
        stdin_hook=lambda m: (texts.append(m["content"]["prompt"]), client.input("ada")),
        output_hook=lambda m: texts.append(m["content"].get("text", "")),
    )
    assert "".join(texts) == "who? ada\n"
    client.parent.restart_kernel()
    client.wait_for_ready(timeout=PATIENCE)
    assert run(client, "print('x' in dir())") == "False\n"


def test_a_client_that_is_async(shared: SharedServers) -> None:
    gateway = shared.gateway("jupyter-server")

    async def use() -> None:
        manager = GatewayKernelManager(config=config(gateway))
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=PATIENCE)
        msg_id = client.execute("import time\nprint('on')\ntime.sleep(1000)")
        while (await client.get_iopub_msg(timeout=PATIENCE))["msg_type"] != "stream":
            pass
        await manager.interrupt_kernel()
        answer = await client._recv_reply(msg_id, timeout=PATIENCE)
        assert answer["content"]["ename"] == "KeyboardInterrupt"
        assert await client.is_alive()
        await manager.shutdown_kernel()
        assert not await client.is_alive()
        assert is_gone(gateway, manager.kernel_id)
        client.stop_channels()  # which is no error after the kernel

    asyncio.run(use())


def test_a_timeout_interrupts(shared: SharedServers) -> None:
    made = notebook("import time; time.sleep(1000)", "2 + 2")
    client = GatewayNotebookClient(
        made,
        config=config(shared.gateway("jupyter-server")),
        timeout=1,
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    client.execute()
    interrupted, answer = map(shown, made.cells)
    assert interrupted.startswith("KeyboardInterrupt")
    assert answer == "4"


# -- messages of every size and kind ------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["v1", "legacy"])
def test_much_output_and_binary_messages(
    protocol: str, farm: Farm, shared: SharedServers, on: Callable[..., Any]
) -> None:
    legacy = protocol == "legacy"
    gateway = shared.gateway("jupyter-server")
    if legacy:
        gateway = farm.gateway("jupyter-server", LEGACY).start()
    client = on(gateway)
    sizes: list[int] = []
    client.execute_interactive(
        "display({'text/plain': 'x' * (12 << 20)}, raw=True)",
        timeout=PATIENCE,
        output_hook=lambda m: sizes.append(len(m["content"].get("data", {}).get("text/plain", ""))),
    )
    assert max(sizes) == 12 << 20

    opened: list[dict[str, Any]] = []
    code = (
        "import comm\n"
        "c = comm.create_comm(target_name='test', data={}, buffers=[bytes(range(256)), b''])\n"
        "c.on_msg(lambda m: c.send({}, buffers=[bytes(m['buffers'][0])[::-1]]))"
    )
    client.execute_interactive(code, timeout=PATIENCE, output_hook=opened.append)
    (opening,) = [m for m in opened if m["msg_type"] == "comm_open"]
    assert bytes(opening["buffers"][0]) == bytes(range(256))
    message = client.session.msg("comm_msg", {"comm_id": opening["content"]["comm_id"], "data": {}})
    message["buffers"] = [b"\xff\x00 abc"]
    client.shell_channel.send(message)
    while (answer := client.get_iopub_msg(timeout=PATIENCE))["msg_type"] != "comm_msg":
        pass
    assert bytes(answer["buffers"][0]) == b"cba \x00\xff"


def test_a_reply_waits_for_its_output(
    shared: SharedServers, on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """nbclient waits 4 s for output after a reply; on a slow link much of it takes longer."""
    client = on(shared.gateway("jupyter-server"))
    came: list[str] = []
    put = client.queue.put

    def note(channel: str, message: Any) -> None:
        came.append(message["content"].get("execution_state") or message["msg_type"])
        put(channel, message)

    monkeypatch.setattr(client.queue, "put", note)
    for _ in range(20):  # a gateway sends them in this order or the other
        came.clear()
        run(client, "for i in range(20): display({'text/plain': 'x' * 1000}, raw=True)")
        assert came == ["busy", "execute_input", *["display_data"] * 20, "idle", "execute_reply"]


def test_what_a_gateway_would_not_take_is_an_error(
    shared: SharedServers, on: Callable[..., Any]
) -> None:
    client = on(shared.gateway("jupyter-server"), max_message_size=10_000)
    msg_id = client.execute("#" + "x" * 10_000)
    with pytest.raises(GatewayError, match="Send less at once"):
        reply(client, msg_id)
    assert run(client, "print(1)") == "1\n"


@pytest.mark.parametrize("payload", [b"", b"\xff" * 80, b"\x01" + b"\0" * 30])
@pytest.mark.parametrize("v1", [True, False])
def test_what_is_no_message(payload: bytes, v1: bool) -> None:
    for opcode in (1, 2):
        with pytest.raises(UnreadableMessage):
            decode(opcode, payload, v1)


@pytest.mark.parametrize(
    ("kind", "content", "right"),
    [
        ("status", {}, {"execution_state": ""}),
        ("stream", {"name": "stdout", "text": 5}, {"name": "stdout", "text": "5"}),
        ("error", {"ename": None}, {"ename": "", "evalue": "", "traceback": []}),
        ("error", {"traceback": ["a", 5]}, {"ename": "", "evalue": "", "traceback": ["a", "5"]}),
        ("execute_reply", {"traceback": None}, {"status": "", "traceback": []}),
        ("kernel_info_reply", {}, {"protocol_version": "5.3"}),
        ("comm_msg", {"comm_id": "1", "data": None}, {"comm_id": "1", "data": {}}),
        ("execute_input", {"execution_count": "x"}, {"execution_count": None}),
        (
            "display_data",
            {
                "data": {"a/b": {"c": 1}, "d/e": ["f"], "application/g+json": [1], "g+json": 2},
                "transient": {"display_id": 1},
            },
            {
                "data": {
                    "a/b": '{"c": 1}',
                    "d/e": ["f"],
                    "application/g+json": [1],
                    "g+json": "2",
                },
                "metadata": {},
                "transient": {},
            },
        ),
        ("display_data", {"data": [1]}, None),
        ("comm_open", {"data": "x"}, None),
        ("status", [], None),
    ],
)
def test_what_is_odd_about_a_message_is_put_right(kind: str, content: Any, right: Any) -> None:
    message = {"header": {}, "parent_header": {}, "metadata": {}, "msg_type": kind}
    message["content"] = content
    if right is None:
        with pytest.raises(UnreadableMessage):
            normalize(message)
    else:
        normalize(message)
        assert message["content"] == right


@pytest.mark.parametrize("count", [True, -1, 1.0, "1", None, [], 7])
def test_any_count_of_executions_makes_an_output(count: Any) -> None:
    for content in ({"data": {}, "execution_count": count}, {"data": {"a/b+json": count}}):
        message = {"header": {"msg_type": "execute_result"}, "parent_header": {}, "metadata": {}}
        message |= {"msg_type": "execute_result", "content": content}
        normalize(message)
        right = 7 if content.get("execution_count") == 7 else None
        assert nbformat.v4.output_from_msg(message).execution_count is right


def test_half_a_letter_in_json() -> None:
    header = '{"msg_id": "1", "msg_type": "stream"}'
    text = f'{{"channel": "iopub", "header": {header}, "parent_header": null, "metadata": {{}},'
    text += '"content": {"name": "stdout", "text": "\\ud83d\\ude00 \\udce9"}}'
    assert decode(1, text.encode(), v1=False)[1]["content"]["text"] == "\U0001f600 \ufffd"


# -- links ----------------------------------------------------------------------------------------

# A gateway on whose connections the kernel's output arrives only from some time on, as it is when
# it connects while the kernel happens to be busy.
LATE = """
from asyncio import Future
import zmq
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.ioloop import IOLoop

class Late(ZMQChannelsWebsocketConnection):
    def nudge(self):
        done = Future()
        done.set_result(None)
        output = self.channels["iopub"].socket
        output.setsockopt(zmq.UNSUBSCRIBE, b"")
        IOLoop.current().call_later(1.0, output.setsockopt, zmq.SUBSCRIBE, b"")
        return done
"""


def test_output_comes_late_to_the_gateway(
    farm: Farm, tmp_path: Path, on: Callable[..., Any]
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    late = "--ServerApp.kernel_websocket_connection_class=late.Late"
    gateway = farm.gateway("jupyter-server", late, env={"PYTHONPATH": str(tmp_path)}).start()
    client = on(gateway)
    again = client.parent.client()  # without wait_for_ready, which waits for output, too
    again.start_channels()
    assert printed(again, again.execute("print('heard')")) == "heard\n"
    again.stop_channels()


def test_a_cut_link_loses_nothing(
    gateway: Server,
    link: Callable[..., Intermediary],
    tmp_path: Path,
    on: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    between = link(gateway)
    client = on(gateway, between.url, gateway_retry_interval=0.05)
    go, done = tmp_path / "go", tmp_path / "done"
    msg_id = client.execute(
        f"print('before', flush=True)\n{until(go)}print('after', flush=True)\n"
        f"open({str(done)!r}, 'w').close()"
    )
    assert printed(client, msg_id) == "before\n"
    between.refuse()
    wait_for("the loss to be noticed", lambda: "connecting again" in caplog.text)
    # What a gateway sends before it has noticed is lost: no peer of a stock gateway can help that.
    wait_for("the gateway, too", lambda: gateway.connections(client.parent.kernel_id) <= 0)
    second = client.execute("print('second')")  # sent once there is a link again
    go.touch()
    wait_for("the cell to end", done.exists)
    between.restore()
    assert printed(client, msg_id) == "after\n"
    assert reply(client, msg_id)["status"] == "ok"
    assert printed(client, second) == "second\n"
    assert reply(client, second)["execution_count"] == 2


def test_a_reply_that_was_lost_is_an_error(
    gateway: Server, link: Callable[..., Intermediary], tmp_path: Path, on: Callable[..., Any]
) -> None:
    between = link(gateway)
    client = on(gateway, between.url, link_timeout=LINK_TIMEOUT, gateway_retry_interval=0.05)
    go, done = tmp_path / "go", tmp_path / "done"
    code = f"print('before', flush=True)\n{until(go)}open({str(done)!r}, 'w').close()"
    msg_id = client.execute(code)
    assert printed(client, msg_id) == "before\n"
    between.blackhole()
    go.touch()
    wait_for("the cell to end", done.exists)
    # Whatever the kernel says now goes into the hole.
    wait_for("what the gateway sends", lambda: is_idle(gateway, client.parent.kernel_id))
    between.restore(forget=True)
    with pytest.raises(ReplyLost, match="lost with a connection"):
        reply(client, msg_id)
    assert run(client, "print(1)") == "1\n"


def test_what_goes_out_on_a_dead_link_is_an_error(
    shared: SharedServers, link: Callable[..., Intermediary], on: Callable[..., Any]
) -> None:
    gateway = shared.gateway("jupyter-server")
    between = link(gateway)
    client = on(gateway, between.url, link_timeout=LINK_TIMEOUT, gateway_retry_interval=0.05)
    between.blackhole()
    msg_id = client.execute("x = 1")
    between.restore(forget=True)
    with pytest.raises(ReplyLost):
        reply(client, msg_id)
    assert run(client, "print('x' in dir())") == "False\n"


def test_a_reply_that_cannot_be_read_is_an_error(
    shared: SharedServers, on: Callable[..., Any]
) -> None:
    gateway = shared.gateway("jupyter-server")
    spoiling = (b'"user_expressions"', b"'user_expressions'")
    with Intermediary(urlsplit(gateway.url).port or 0, rewrite=spoiling) as between:
        client = on(gateway, between.url)
        with pytest.raises(ReplyLost, match="cannot be read"):
            reply(client, client.execute("x = 1"))
        assert client.kernel_info(reply=True, timeout=PATIENCE)["content"]["status"] == "ok"
        assert len(client._channels._pending._probes) < 5
        for _ in range(3):
            other = client.parent.client()
            other.start_channels()
            other.stop_channels()
        assert len(client.parent.kernel._channels) == 1


def test_clients_that_leave_while_they_connect(
    shared: SharedServers, on: Callable[..., Any]
) -> None:
    """A cancellation that comes in the same moment as what is waited for is not lost."""
    client = on(shared.gateway("jupyter-server"))
    for round in range(150):
        other = client.parent.client()
        other.start_channels()
        time.sleep(round % 50 / 1000)  # another moment of the connection each time
        other.stop_channels()
    assert len(client.parent.kernel._channels) == 1


def is_idle(server: Server, kernel_id: str) -> bool:
    return bool(server.get(f"/api/kernels/{kernel_id}").json()["execution_state"] == "idle")


def test_a_link_that_stays_away(
    shared: SharedServers, link: Callable[..., Intermediary], on: Callable[..., Any]
) -> None:
    gateway = shared.gateway("jupyter-server")
    between = link(gateway)
    client = on(gateway, between.url, gateway_retry_interval=0.05, reconnect_timeout=0.2)
    between.refuse()
    with pytest.raises(GatewayUnreachable, match="reconnect_timeout"):
        client.get_shell_msg(timeout=PATIENCE)
    between.restore()


def test_a_link_that_never_works(shared: SharedServers, on: Callable[..., Any]) -> None:
    """Somebody in between spoils what the kernel says, on each connection."""
    gateway = shared.gateway("jupyter-server")
    spoiling = (b"\x82\x7e", b"\xf2\x7e")
    with (
        Intermediary(urlsplit(gateway.url).port or 0, rewrite=spoiling) as between,
        pytest.raises(GatewayUnreachable, match="not agreed on"),
    ):
        on(gateway, between.url, gateway_retry_interval=0.05, reconnect_timeout=0.2)


# -- kernels that die -----------------------------------------------------------------------------


def test_a_kernel_that_dies(gateway: Server) -> None:
    made = notebook("import os; os.kill(os.getpid(), 9)")
    client = GatewayNotebookClient(made, config=config(gateway))
    kernel_ids = []
    client.on_notebook_start = lambda notebook: kernel_ids.append(client.km.kernel_id)
    with pytest.raises(DeadKernelError, match="all it knew is lost"):
        client.execute()
    assert is_gone(gateway, kernel_ids[0])


def test_a_kernel_that_its_gateway_shuts_down(gateway: Server, on: Callable[..., Any]) -> None:
    client = on(gateway, poll_interval=0.1)
    gateway.request("DELETE", f"/api/kernels/{client.parent.kernel_id}")
    with pytest.raises(DeadKernelError, match="shut down, culled or has died"):
        client.get_shell_msg(timeout=PATIENCE)
    assert not client.is_alive()


def test_a_replica_that_does_not_know_the_kernel(
    shared: SharedServers, on: Callable[..., Any]
) -> None:
    gateway = shared.gateway("jupyter-server")
    calls: list[int] = []

    class Forgetful(PlainProxy):
        target = gateway.url

        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            kernel_id = self.path.rpartition("/")[2]
            if "/api/kernels/" not in self.path or len(calls) != 1:
                calls.extend([200] if "/api/kernels/" in self.path else [])
                self.answer()
                return
            calls.append(404)
            body = json.dumps({"message": f"Kernel does not exist: {kernel_id}"}).encode()
            self.send_response(404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        ws_url = "ws" + gateway.url.removeprefix("http")
        url = f"http://localhost:{proxy.server_port}"
        client = on(gateway, url, ws_url=ws_url, poll_interval=0.1)
        wait_for("it to be asked again", lambda: calls[2:])
        assert calls[:3] == [200, 404, 200]
        assert run(client, "print(1)") == "1\n"
        assert client.is_alive()
        client.stop_channels()
        client.parent.shutdown_kernel()
        proxy.shutdown()
        thread.join()


# -- which gateway, and what proves us to it ------------------------------------------------------


def test_tls(farm: Farm, tls: tuple[str, str, str], on: Callable[..., Any]) -> None:
    gateway = farm.gateway("kernel-gateway", tls=tls).start()
    with pytest.raises(GatewayUnreachable, match="not trusted"):
        on(gateway)
    assert run(on(gateway, ca_certs=tls[0]), "print(1)") == "1\n"


def test_a_wrong_token(gateway: Server, on: Callable[..., Any]) -> None:
    with pytest.raises(GatewayAuthError, match="refused our token") as caught:
        on(gateway, auth_token="wrong-s3cret")
    assert "s3cret" not in str(caught.value)


def test_kernel_names(farm: Farm, shared: SharedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = shared.gateway("jupyter-server"), shared.gateway("kernel-gateway")
    named = {
        "one": {"url": one.url, "auth_token": one.token},
        "two": two.url,
        "down": "http://localhost:1",
    }
    monkeypatch.setenv("NOTEBOOK_REMOTE_TWO_AUTH_TOKEN", two.token)

    def start(name: str) -> str:
        settings = Config({"Gateways": {"named": named}})
        manager = BlockingGatewayKernelManager(kernel_name=name, config=settings)
        manager.start_kernel()
        url = str(manager.kernel.gateway.config.url)
        manager.shutdown_kernel()
        return url

    assert start("python3@two") == two.url
    with pytest.raises(KernelSpecNotFound, match="choose python3@one or python3@two"):
        start("python3")
    with pytest.raises(
        KernelSpecNotFound, match="Choose one of python3@one, python3@two"
    ) as caught:
        start("julia")
    assert "nothing listens at http://localhost:1" in str(caught.value).lower()
    with pytest.raises(KernelSpecNotFound, match="There are: one, two"):
        start("python3@three")
    with pytest.raises(KernelSpecNotFound, match="It has: python3"):
        start("julia@one")
    del named["two"]
    assert start("python3") == one.url
    named.clear()
    with pytest.raises(TraitError, match="JUPYTER_GATEWAY_URL"):
        start("python3")


# -- the programs people use ----------------------------------------------------------------------


class Somebody:
    """Whose environment names a gateway, and who runs programs in a folder of their own."""

    def __init__(self, farm: Farm, gateway: Server) -> None:
        self.folder = farm.folder / "work"
        self.folder.mkdir()
        settings = {"JUPYTER_GATEWAY_URL": gateway.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        self.env = farm.env("user", KERNEL_USERNAME="ada", **settings)
        del self.env["PYTHONWARNINGS"]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            env=self.env,
            cwd=self.folder,
            timeout=2 * PATIENCE,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


# What tells a gateway's kernel from one of this computer.
WHERE = "import os; print(os.environ.get('COLOUR'))"
MANAGER = "notebook_remote.headless.GatewayKernelManager"


@pytest.fixture(scope="module")
def coloured(shared_farm: Farm) -> Server:
    return shared_farm.gateway("jupyter-server", env={"COLOUR": "green"}).start()


@pytest.fixture
def somebody(farm: Farm, coloured: Server) -> Somebody:
    return Somebody(farm, coloured)


def no_kernels(server: Server) -> bool:
    return bool(server.get("/api/kernels").json() == [])


def test_nbconvert(somebody: Somebody, coloured: Server) -> None:
    path = write(somebody.folder / "a.ipynb", WHERE)
    option = f"--ExecutePreprocessor.kernel_manager_class={MANAGER}"
    done = somebody.run("nbconvert", "--to=notebook", "--execute", "--inplace", option, str(path))
    assert done.returncode == 0, done.stderr
    assert read(path) == ["green\n"]
    assert no_kernels(coloured)


def test_papermill(somebody: Somebody, coloured: Server) -> None:
    write(somebody.folder / "a.ipynb", WHERE, "print(colour)")
    words = ("--engine", "notebook-remote", "-p", "colour", "red", "a.ipynb", "b.ipynb")
    done = somebody.run("papermill", *words)
    assert done.returncode == 0, done.stderr
    assert "".join(read(somebody.folder / "b.ipynb")) == "green\nred\n"
    assert "HTTP Request" not in done.stderr  # in between its progress bar
    assert no_kernels(coloured)


def test_the_cell_with_parameters_is_in_the_language_of_the_kernel(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    folder = Path(gateway.env["JUPYTER_DATA_DIR"]) / "kernels" / "r-4"
    folder.mkdir(parents=True)
    spec = {"argv": ["R", "{connection_file}"], "display_name": "R 4", "language": "R"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    somebody = Somebody(farm, gateway.start())
    write(somebody.folder / "a.ipynb", "1")
    words = ("--prepare-only", "--engine", "notebook-remote", "-k", "r-4", "-p", "good", "True")
    done = somebody.run("papermill", *words, "a.ipynb", "b.ipynb")
    assert done.returncode == 0, done.stderr
    made = nbformat.read(somebody.folder / "b.ipynb", as_version=4)
    assert "good = TRUE" in made.cells[0].source
    assert made.metadata.kernelspec == {"name": "r-4", "display_name": "R 4", "language": "R"}


def test_jupyter_execute(somebody: Somebody, coloured: Server) -> None:
    path = write(somebody.folder / "a.ipynb", WHERE)
    page = (Path(__file__).parents[2] / "docs" / "headless.md").read_text(encoding="utf-8")
    (lines,) = [block for block in page.split("```") if "nbclient.cli" in block]
    folder = Path(somebody.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir()
    text = lines.partition("\n")[2]
    (folder / "jupyter_execute_config.py").write_text(text, encoding="utf-8")
    done = somebody.run("jupyter", "execute", "--inplace", str(path))
    assert done.returncode == 0, done.stderr
    assert read(path) == ["green\n"]
    assert no_kernels(coloured)


SCRIPT = f"""
from {MANAGER.rpartition(".")[0]} import BlockingGatewayKernelManager
manager = BlockingGatewayKernelManager(kernel_name="python3")
manager.start_kernel()
print(manager.kernel_id, flush=True)
"""


@pytest.mark.parametrize(
    ("end", "code"), [("raise ValueError", 1), ("import time; time.sleep(1000)", 143)]
)
def test_no_kernel_outlives_the_program(
    end: str, code: int, somebody: Somebody, coloured: Server
) -> None:
    (somebody.folder / "script.py").write_text(SCRIPT + end, encoding="utf-8")
    program = somebody.start("script.py")
    assert program.stdout is not None
    assert len(program.stdout.readline().strip()) == 36, program.stdout.read()
    if code == 143:
        program.send_signal(signal.SIGTERM)
    output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == code, output
    assert no_kernels(coloured)


FORKED = """
import os, sys, time
child = os.fork()
if child == 0:
    try:
        manager.background
    except RuntimeError as error:
        assert "forked" in str(error)
    else:
        os._exit(3)
    manager.shutdown_kernel()  # does nothing here
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=30)
client.execute("1", reply=True, timeout=30)
print("lives")
"""


def test_a_forked_process_leaves_the_kernel_alone(somebody: Somebody, coloured: Server) -> None:
    (somebody.folder / "script.py").write_text(SCRIPT + FORKED, encoding="utf-8")
    program = somebody.start("-W", "ignore::DeprecationWarning", "script.py")
    output, _ = program.communicate(timeout=2 * PATIENCE)
    assert (program.returncode, output.splitlines()[-1]) == (0, "lives"), output
    assert no_kernels(coloured)


def test_a_kernel_that_is_left_behind_is_told_of(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    somebody = Somebody(farm, gateway)
    script = (
        f"{SCRIPT}\nimport time\nwhile not __import__('os').path.exists('go'): time.sleep(0.02)"
    )
    (somebody.folder / "script.py").write_text(script, encoding="utf-8")
    program = somebody.start("script.py")
    assert program.stdout is not None
    kernel_id = program.stdout.readline().strip()
    gateway.kill()
    (somebody.folder / "go").touch()
    output, _ = program.communicate(timeout=PATIENCE)
    assert f"Kernel {kernel_id} may still run on the gateway at {gateway.url}" in output
    assert "Traceback" not in output


def test_sigterm_ends_nbconvert_with_its_kernel(
    somebody: Somebody, coloured: Server, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    code = f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(1000)"
    path = write(somebody.folder / "a.ipynb", code)
    option = f"--ExecutePreprocessor.kernel_manager_class={MANAGER}"
    program = somebody.start("-m", "nbconvert", "--to=html", "--execute", option, str(path))
    wait_for("the cell to run", begun.exists)
    program.send_signal(signal.SIGTERM)
    output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 143, output
    assert no_kernels(coloured)


def test_an_error_in_a_cell_ends_the_run(somebody: Somebody, coloured: Server) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        nbclient.execute(
            notebook("1 / 0"), kernel_manager_class=GatewayKernelManager, config=config(coloured)
        )
    assert no_kernels(coloured)
