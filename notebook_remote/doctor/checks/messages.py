"""The doctor's checks with messages to its kernel: latency, sizes, rates, tickets."""

from __future__ import annotations

import hashlib
import statistics
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import websocket

from ..channels import V1, Channels, Closed, Comm
from ..context import LARGE_TIMEOUT, Context
from ..findings import CheckFailed, Result, error_message, in_short, passed, skipped, warned
from .network import is_loopback
from .rest import KINDS, is_object

MIB = 1024 * 1024
LARGE = 11 * MIB  # 1 MiB above the limit of stock gateways
ACK_DELAY = 0.03  # seconds more to the kernel than to the gateway: delayed acknowledgements
NOTICEABLE_DELAY = 0.25  # seconds to a kernel and back that a person notices at each key
OUTPUT_SIZE = 4 * MIB  # of output at once; stock gateways pass 3 MB in 3 s
OUTPUT_COUNT = 3500  # messages at once; stock gateways pass 3000 in 3 s
ROUND_TRIPS = 5  # that are measured
LIMIT_OPTION = '{"websocket_max_message_size": 268435456}'
LARGE_MESSAGES_FAIL = "Uploads and widgets above 10 MiB fail."
TARGET = "notebook-remote-doctor"
BYTES = bytes(range(256))  # not valid UTF-8
ECHO = f"""
def _doctor(comm, opening):
    import hashlib
    def answer(message):
        data, buffers = message["content"]["data"], message.get("buffers") or []
        if data["do"] == "echo":
            comm.send({{}}, buffers=[bytes(b) for b in buffers])
        elif data["do"] == "measure":
            comm.send({{"sha256": [hashlib.sha256(bytes(b)).hexdigest() for b in buffers]}})
        elif data["do"] == "large":
            comm.send({{}}, buffers=[bytes(range(256)) * (data["size"] // 256)])
        elif data["do"] == "many":
            for _ in range(data["count"]):
                comm.send({{}})
    comm.on_msg(answer)
get_ipython().kernel.comm_manager.register_target({TARGET!r}, _doctor)
"""
FLOOD = f"for _ in range({OUTPUT_SIZE // MIB}): print('x' * {MIB - 1}, flush=True)"


def check_subprotocol(context: Context) -> Result:
    """Both ends agree on v1, in which binary data are not copied."""
    found = context.channels.subprotocol
    if context.channels.v1:
        return passed(f"{V1}.")
    return warned(
        f"The gateway does not take {V1} but {found or 'the older JSON protocol'}.",
        "Large and binary messages cost more there: update the gateway, or unset its"
        " kernel_ws_protocol.",
    )


def check_round_trip(context: Context) -> Result:
    """The kernel answers; its latency, and by pings that of the network alone."""
    channels = context.channels
    kernel_times = []
    try:
        ping_times = [channels.ping() for _ in range(ROUND_TRIPS)]
        for _ in range(ROUND_TRIPS):
            started = time.monotonic()
            info = channels.request("kernel_info_request", {})["content"]
            kernel_times.append(time.monotonic() - started)
    except TimeoutError:
        raise _no_answer(context) from None
    context.language = str(info.get("language_info", {}).get("name", "unknown"))
    ping, reply = statistics.median(ping_times), statistics.median(kernel_times)
    text = f"{ping * 1000:.1f} ms to the gateway and back, {reply * 1000:.1f} ms to the kernel."
    if reply - ping > ACK_DELAY:
        text += " (Stock gateways hold small messages back for 40 ms; on Linux our relay"
        text += " gets around that.)"
    if reply > NOTICEABLE_DELAY:
        return warned(
            text,
            "Completion and inspection will lag. If the first number is large, the network is"
            " slow (VPN, distance); else the gateway or its computer is busy.",
        )
    return passed(text)


def _no_answer(context: Context) -> CheckFailed:
    """The failure of a kernel that does not answer although its channels are open."""
    path = f"{context.gateway.kernels_endpoint}/{context.kernel.id}"
    response = context.transport.request("GET", path)
    model = response.json() if is_object(response) else {}
    if model.get("execution_state") == "starting":
        # Gateways relay nothing, and answer no ping, before the first status or for a minute.
        return CheckFailed(
            "The kernel was started, and its gateway has had no status of it since (busy, idle,"
            f" starting), for {context.transport.limit:g} s and more.",
            "Either it hangs at its start, which its log at the gateway shows, or it never"
            " sends a status: report that to the authors of this kernel (Jupyter's messaging"
            " protocol, 'Kernel status'). --kernel=NAME tries another one.",
        )
    return CheckFailed(
        f"The kernel does not answer within {context.transport.limit:g} s.",
        "Look at the gateway's log and load; --Gateway.connect_timeout sets how long to wait.",
    )


def check_status(context: Context) -> Result:
    """The kernel says when it is busy and when it is idle again."""
    channels = context.channels
    states = []
    try:
        for message in channels.messages(channels.send("kernel_info_request", {})):
            states.append(str(message["content"].get("execution_state", "")))
            if states[-1] == "idle":
                break
    except TimeoutError:
        raise CheckFailed(
            f"The kernel answers, and does not say when it is {_missing_states(states)}: it sends"
            " no such status, and cells stay marked as running.",
            "Report it to the authors of this kernel (Jupyter's messaging protocol, 'Kernel"
            " status'); other kernels on this gateway are not concerned.",
        ) from None
    _register_echo(context, channels)
    return passed("The kernel says when it is busy and when it is idle.")


def _missing_states(states: list[str]) -> str:
    return "idle" if "busy" in states else "busy or idle"


def _register_echo(context: Context, channels: Channels) -> None:
    if context.language != "python":
        context.no_echo = f"it needs a Python kernel; this one speaks {context.language}"
    elif not channels.v1:
        context.no_echo = "it needs the v1 subprotocol"
    else:
        reply, _ = channels.run(ECHO)
        is_ok = reply.get("content", {}).get("status") == "ok"
        context.no_echo = "" if is_ok else "it needs ipykernel, and this is another kernel"


def check_binary(context: Context) -> Result:
    """Binary data come back unchanged."""
    if context.no_echo:
        return skipped(f"Not tried: {context.no_echo}.")
    sent = (BYTES, b"\xff" * 1000, BYTES * 40)
    answer = Comm(context.channels, TARGET).request("echo", *sent)
    if tuple(answer["buffers"]) != sent:
        raise CheckFailed(
            "Binary data came back changed: widgets, images and uploads will break.",
            "Look for what is in between that rewrites messages (a proxy, a filter).",
        )
    return passed("Binary data reach the kernel and come back unchanged.")


def check_large_to_kernel(context: Context) -> Result:
    """The gateway accepts 11 MiB towards the kernel; stock gateways accept 10 MiB."""
    if context.no_echo:
        return skipped(f"Not tried: {context.no_echo}.")
    try:
        _measure(context, LARGE)
    except Closed as closed:
        context.close_channels()
        why = " (too big, it says)" if closed.code == 1009 else ""
        return _too_large(context, f"The gateway ends the connection at 11 MiB{why}.")
    except TimeoutError:
        context.close_channels()
        return warned(
            f"11 MiB took longer than {LARGE_TIMEOUT:g} s.",
            "Uploads and large widgets will take their time: the line there is slow.",
        )
    own = int(context.gateway.max_message_size)
    if own < LARGE:
        return passed(
            "The gateway takes 11 MiB.",
            f"This server's own limit is {own / MIB:.3g} MiB: raise Gateway.max_message_size"
            " for larger uploads.",
        )
    return passed("The gateway takes 11 MiB.")


def _measure(context: Context, size: int) -> None:
    """Send so many bytes to the kernel. Raises Closed, TimeoutError, CheckFailed."""
    data = BYTES * (size // len(BYTES))
    comm = Comm(context.slow_channels, TARGET)
    there = comm.request("measure", data)["content"]["data"].get("sha256")
    if there != [hashlib.sha256(data).hexdigest()]:
        raise CheckFailed(
            f"{size // MIB} MiB reached the kernel changed.",
            "Look for what is in between that rewrites messages.",
        )


def _too_large(context: Context, text: str) -> Result:
    try:
        _measure(context, 9 * MIB)
    except (Closed, TimeoutError):
        context.close_channels()
        return warned(
            f"{text} Nor does it take 9 MiB, as stock gateways do.",
            "Look for a proxy in between that limits the size of messages.",
        )
    step = f"{KINDS.get(context.kind, 'This gateway')} has no option for that: send less at a time."
    if context.kind == "jupyter-server":
        step = f"Allow more there, with --ServerApp.tornado_settings='{LIMIT_OPTION}', and here,"
        step += " with Gateway.max_message_size."
    return warned(f"{text} It takes 9 MiB, as stock gateways do.", f"{LARGE_MESSAGES_FAIL} {step}")


def check_large_from_kernel(context: Context) -> Result:
    """11 MiB from the kernel to us."""
    if context.no_echo:
        return skipped(f"Not tried: {context.no_echo}.")
    started = time.monotonic()
    try:
        answer = Comm(context.slow_channels, TARGET).request("large", size=LARGE)
    except (Closed, TimeoutError) as error:
        context.close_channels()
        raise CheckFailed(
            f"11 MiB from the kernel do not arrive: {error}.",
            "Look for a proxy in between that limits the size or the time of messages;"
            " plots and tables of that size will be lost.",
        ) from None
    if answer["buffers"] != [BYTES * (LARGE // len(BYTES))]:
        raise CheckFailed(
            "11 MiB from the kernel arrived changed.",
            "Look for what is in between that rewrites messages.",
        )
    rate = LARGE / MIB / (time.monotonic() - started)
    return passed(f"11 MiB arrived, {rate:.0f} MiB/s.")


def check_output_limits(context: Context) -> Result:
    """Much output at once arrives whole."""
    if context.no_echo:
        return skipped(f"Not tried: {context.no_echo}.")
    channels = context.slow_channels
    _, messages = channels.run(FLOOD)
    streams = [m["content"] for m in messages if m["header"]["msg_type"] == "stream"]
    received_size = sum(len(c["text"]) for c in streams if c["name"] == "stdout")
    received_count = Comm(channels, TARGET).count("many", count=OUTPUT_COUNT)
    missing = []
    if received_size < OUTPUT_SIZE:
        missing.append(
            f"of {OUTPUT_SIZE // MIB} MiB printed at once {received_size / MIB:.1f} arrived"
        )
    if received_count < OUTPUT_COUNT:
        missing.append(f"of {OUTPUT_COUNT} messages at once {received_count}")
    if not missing:
        return passed(
            f"{OUTPUT_SIZE // MIB} MiB printed at once and {OUTPUT_COUNT} messages all arrived."
        )
    return warned(
        f"The gateway cuts output off: {', '.join(missing)}.",
        "Raise its limits if your notebooks need it: ZMQChannelsWebsocketConnection."
        "iopub_data_rate_limit and iopub_msg_rate_limit, 0 for none, in its configuration.",
    )


def check_idle(context: Context) -> Result:
    """An idle connection stays open, and the other side answers pings."""
    channels = context.channels
    silence = min(context.gateway.link_timeout / 5, 3.0)  # the longest silence of the relay
    try:
        channels.be_silent(silence)
        took = channels.ping()
    except Closed as closed:
        context.close_channels()
        raise CheckFailed(
            f"Within {silence:g} s without messages the connection was gone: {closed}.",
            "Raise the idle timeout of the proxy in between to a minute or more.",
        ) from None
    except TimeoutError:
        context.close_channels()
        raise CheckFailed(
            "WebSocket pings are not answered, so the notebook server would take the link for"
            " dead.",
            "Let the proxy in between pass ping and pong on.",
        ) from None
    return passed(f"After {silence:g} s of silence a ping came back in {took * 1000:.1f} ms.")


def check_ticket(context: Context) -> Result:
    """A ticket for a page's origin opens the channels, and only once."""
    if "tickets" not in context.features:
        return skipped("Not tried: the gateway gives no tickets (see 'add-on').")
    base, session_id = context.gateway.page_url, uuid.uuid4().hex
    insecure = urlsplit(base).scheme == "ws" and not is_loopback(urlsplit(base).hostname or "")
    if context.origin.startswith("https:") and insecure:
        raise CheckFailed(
            f"Pages of {context.origin} may not open {base}: browsers forbid ws:// there.",
            "Give the gateway TLS, or Gateway.page_ws_url an address that begins with wss://.",
        )
    path = f"{context.gateway.kernels_endpoint}/{context.kernel.id}/channels/ticket"
    response = context.transport.request(
        "POST", path, {"origin": context.origin, "session_id": session_id}
    )
    if response.status_code != 201 or not is_object(response):
        raise CheckFailed(
            f"No ticket: HTTP {response.status_code}, {error_message(response)}.",
            "The gateway's log has a line that begins with 'notebook-remote-gateway mint'.",
        )
    model = response.json()
    context.transport.secrets.add(str(model["ticket"]))
    query = f"&{model['param']}={model['ticket']}"
    return _use_ticket(
        context,
        lambda: context.connect(
            base=base,
            query=query,
            session_id=session_id,
            origin=context.origin,
            authenticated=False,
        ),
    )


def _use_ticket(context: Context, connect: Callable[[], Channels]) -> Result:
    try:
        channels = connect()
        channels.request("kernel_info_request", {})
        channels.close()
    except (OSError, websocket.WebSocketException, Closed) as error:
        raise CheckFailed(
            f"A ticket does not open the channels at {context.gateway.page_url} for a page of"
            f" {context.origin}: {in_short(error)[:100]}.",
            "The gateway's log has a line that begins with 'notebook-remote-gateway redeem' and"
            " says why. Without one the request did not get there: see Gateway.page_ws_url and"
            " the proxy.",
        ) from None
    try:
        connect().close()
    except (OSError, websocket.WebSocketException):
        return passed(f"A page of {context.origin} gets in with a ticket, and once only.")
    return warned(
        f"A page of {context.origin} gets in with a ticket, and with the same one again.",
        "Behind this name are several gateways; each knows of its own only which tickets were"
        " used. Session affinity at the load balancer keeps them to once.",
    )
