"""The channels through the relay, against every gateway."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

import pytest
import websocket

from ..support.recipes import assert_ends
from ..support.servers import V1, Farm, Server, wait_for

ECHO_COMM = """
def on_comm(comm, message):
    @comm.on_msg
    def echo(message):
        buffers = [bytes(b)[::-1] for b in message["buffers"]]
        comm.send({"n": len(buffers)}, buffers=buffers)
get_ipython().kernel.comm_manager.register_target("echo", on_comm)
"""


def test_a_cell_runs(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        assert channels.run("print(6 * 7)") == "42\n"


def test_the_subprotocol_is_the_gateways(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id:
        with any_notebook.channels(kernel_id) as channels:
            assert channels.ws.getsubprotocol() == V1
        with any_notebook.channels(kernel_id, subprotocols=()) as channels:
            assert channels.ws.getsubprotocol() is None
            assert channels.run("print('legacy')") == "legacy\n"


def test_binary_buffers_come_through_both_ways(any_notebook: Server) -> None:
    blob = bytes(range(256)) * 4096  # 1 MiB with every byte value
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        channels.run(ECHO_COMM)
        channels.send("shell", "comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
        channels.send(
            "shell", "comm_msg", {"comm_id": "c1", "data": {}}, buffers=(blob, b"\xff\x00")
        )
        while (message := channels.receive())["msg_type"] != "comm_msg":
            pass
        assert message["buffers"] == [blob[::-1], b"\x00\xff"]


def test_large_output_arrives(any_notebook: Server) -> None:
    """The stock gateway client loses a message over 10 MiB (facts 2)."""
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        assert len(channels.run("print(len('x' * 12_000_000)); 'x' * 12_000_000")) > 12_000_000


def test_input_is_asked_and_answered(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        msg_id = channels.start("print('hello ' + input('name? '))", allow_stdin=True)
        asked = channels.messages_until(msg_id, "input_request")[-1]
        assert asked["content"]["prompt"] == "name? "
        channels.send("stdin", "input_reply", {"value": "Ada"}, parent=asked["header"])
        answered = channels.messages_until(msg_id, "stream", "execute_reply")
        assert "hello Ada" in "".join(m["content"].get("text", "") for m in answered)


def test_completion_and_inspection(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        channels.run("import math")
        msg_id = channels.send("shell", "complete_request", {"code": "math.fl", "cursor_pos": 7})
        reply = channels.messages_until(msg_id, "complete_reply")[-1]
        assert any(match.endswith("floor") for match in reply["content"]["matches"])
        content = {"code": "math.floor", "cursor_pos": 10, "detail_level": 0}
        msg_id = channels.send("shell", "inspect_request", content)
        assert channels.messages_until(msg_id, "inspect_reply")[-1]["content"]["found"]


def test_the_debuggers_control_channel(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        content = {"seq": 1, "type": "request", "command": "debugInfo", "arguments": {}}
        msg_id = channels.send("control", "debug_request", content)
        reply = channels.messages_until(msg_id, "debug_reply")[-1]
        assert reply["content"]["success"] is True


def test_interrupt_of_a_busy_kernel(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        msg_id = channels.start("print('busy', flush=True)\nwhile True: pass")
        channels.messages_until(msg_id, "stream")
        assert any_notebook.post(f"/api/kernels/{kernel_id}/interrupt").status_code == 204
        messages = channels.messages_until(msg_id, "error", "execute_reply")
        errors = [m["content"]["ename"] for m in messages if m["msg_type"] == "error"]
        assert errors == ["KeyboardInterrupt"]


def test_restart_while_busy(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id:
        with any_notebook.channels(kernel_id) as channels:
            channels.run("x = 1")
            channels.messages_until(
                channels.start("print('busy', flush=True)\nwhile 1: pass"), "stream"
            )
            response = any_notebook.post(f"/api/kernels/{kernel_id}/restart")
            assert response.status_code == 200, response.text
            assert response.json()["id"] == kernel_id
        with any_notebook.channels(kernel_id) as channels:
            assert channels.run("x").startswith("NameError")


def test_a_reconnect_with_the_same_session_gets_what_was_buffered(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id:
        channels = any_notebook.channels(kernel_id)
        msg_id = channels.start(
            "import time\nfor i in range(5):\n    print(i, flush=True); time.sleep(.2)"
        )
        channels.messages_until(msg_id, "stream")
        channels.ws.sock.close()  # the link breaks, without a goodbye
        with any_notebook.channels(kernel_id, session_id=channels.session_id) as again:
            messages = again.messages_until(msg_id, "execute_reply", "status:idle")
        text = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
        assert text.split()[-4:] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("kernel_id", ["00000000-0000-0000-0000-000000000000"])
def test_an_unknown_kernel_is_a_404(any_notebook: Server, kernel_id: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        any_notebook.channels(kernel_id)


def test_who_is_not_authenticated_is_refused(any_notebook: Server) -> None:
    with any_notebook.kernel() as kernel_id:
        for header in ([], ["Authorization: token wrong"]):
            with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
                any_notebook.channels(kernel_id, header=header)


def test_a_token_in_an_address_is_not_logged_with_a_refusal(notebook: Server) -> None:
    for path in ("/api/kernels/{}/channels", "/api/kernels/{}", "/notebook-remote/api/backends/{}"):
        missing = str(uuid.uuid4())
        answer = notebook.request(
            "DELETE" if path.endswith("backends/{}") else "GET",
            f"{path.format(missing)}?token={notebook.token}",
            headers={"Authorization": ""},
        )
        assert answer.status_code >= 400
        wait_for("the log", lambda missing=missing: missing in notebook.log)
    assert "token=[secret]" in notebook.log
    assert notebook.token not in notebook.log


def test_a_page_of_another_origin_is_refused(farm: Farm) -> None:
    """With a cookie, as a browser has it: a token in a header skips the check, as upstream."""
    notebook = farm.notebook("--ServerApp.disable_check_xsrf=True").start()
    with notebook.kernel() as kernel_id:
        login = notebook.get(f"/tree?token={notebook.token}", headers={"Authorization": ""})
        cookie = "; ".join(f"{c.name}={c.value}" for c in login.cookies)
        with notebook.channels(kernel_id, header=[], cookie=cookie) as channels:
            assert channels.run("1") == "1"
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            notebook.channels(kernel_id, header=[], cookie=cookie, origin="http://evil.example")


def test_a_plain_request_is_told_that_this_is_a_websocket(notebook: Server) -> None:
    with notebook.kernel() as kernel_id:
        assert notebook.get(f"/api/kernels/{kernel_id}/channels").status_code == 400


def test_the_channels_close_with_the_kernel(notebook: Server) -> None:
    """No gateway closes them by itself (facts, table of gateways)."""
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
        assert notebook.request("DELETE", f"/api/kernels/{kernel_id}").status_code == 204
        assert_ends(channels)


def test_the_channels_close_when_the_gateway_dies(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind).start()
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
    with notebook.channels(notebook.start_kernel()) as channels:
        channels.run("1")
        gateway.kill()
        assert_ends(channels)


def test_the_page_is_refused_while_the_gateway_is_down_and_served_after(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = farm.notebook(gateway=gateway, env={"JUPYTER_GATEWAY_RETRY_MAX": "0"}).start()
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
    gateway.kill()
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        notebook.channels(kernel_id)
    gateway.start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"


def test_a_kernel_may_take_longer_than_the_connection(farm: Farm) -> None:
    """A Jupyter Server answers the handshake when the kernel has answered."""
    gateway = farm.gateway("jupyter-server")
    folder = Path(gateway.env["JUPYTER_DATA_DIR"]) / "kernels" / "slow"
    folder.mkdir(parents=True)
    start = f"sleep 4; exec {sys.executable} -m ipykernel_launcher -f $0"
    spec = {"argv": ["sh", "-c", start, "{connection_file}"], "display_name": "", "language": ""}
    (folder / "kernel.json").write_text(json.dumps(spec))
    env = {"JUPYTER_GATEWAY_CONNECT_TIMEOUT": "1", "JUPYTER_GATEWAY_RETRY_MAX": "0"}
    notebook = farm.notebook(gateway=gateway.start(), env=env).start()
    kernel_id = notebook.start_kernel(name="slow")
    with notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"
        assert notebook.get(f"/api/kernels/{kernel_id}").json()["connections"] == 1


def test_connections_are_counted(notebook: Server) -> None:
    with notebook.kernel() as kernel_id:

        def count() -> int:
            return int(notebook.get(f"/api/kernels/{kernel_id}").json()["connections"])

        with notebook.channels(kernel_id) as channels:
            channels.run("1")
            wait_for("one connection", lambda: count() == 1)
        wait_for("no connection", lambda: count() == 0)
