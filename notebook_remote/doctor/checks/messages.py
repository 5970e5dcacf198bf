"""The doctor's checks with messages to its kernel: how fast, how large, how much at once."""

from __future__ import annotations

import hashlib
import statistics
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import websocket

from ..channels import V1, Channels, Closed, Comm
from ..findings import CheckFailed, Result, good, in_short, not_tried, warning, words_of
from .kernel import KernelChecks
from .network import is_loopback
from .rest import KINDS, is_object

MIB = 1024 * 1024
LARGE = 11 * MIB  # one more than stock gateways take
LARGE_LIMIT = 20.0  # seconds for such a message, on a slow line
ACK_DELAY = 0.03  # seconds more to the kernel than to the gateway: delayed acknowledgements
SLOW = 0.25  # seconds to a kernel and back that a person notices at each key
STREAM = 4 * MIB  # of output at once; stock gateways take 3 MB in 3 s
MANY = 3500  # messages at once; stock gateways take 3000 in 3 s
COUNT = 5  # round trips that are measured
ALLOW_MORE = '{"websocket_max_message_size": 268435456}'
LARGER_FAIL = "Uploads and widgets above 10 MiB fail."
TARGET = "notebook-remote-doctor"
BYTES = bytes(range(256))  # which are no UTF-8
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
FLOOD = f"for _ in range({STREAM // MIB}): print('x' * {MIB - 1}, flush=True)"


class MessageChecks(KernelChecks):
    """What works on the kernel's channels. What returns a Result is a check."""

    language = ""  # of the kernel
    no_echo = "the kernel's language was not found out"  # why ECHO is not there; empty if it is

    @property
    def open_channels(self) -> Channels:
        """The channels, opened again if a check has cost us them."""
        if self.channels_open is None:
            self.channels_open = self.open()
        self.channels_open.limit = self.wire.limit
        return self.channels_open

    def _drop(self) -> None:
        if self.channels_open is not None:
            self.channels_open.close()
        self.channels_open = None

    def subprotocol(self) -> Result:
        """Both ends agree on v1, in which binary data are not copied."""
        found = self.open_channels.subprotocol
        if self.open_channels.v1:
            return good(f"{V1}.")
        return warning(
            f"The gateway does not take {V1} but {found or 'the older JSON protocol'}.",
            "Large and binary messages cost more there: update the gateway, or unset its"
            " kernel_ws_protocol.",
        )

    def round_trip(self) -> Result:
        """A kernel answers, and how long that takes; pings say how much of it is the network."""
        channels = self.open_channels
        asks = []
        try:
            pings = [channels.ping() for _ in range(COUNT)]
            for _ in range(COUNT):
                started = time.monotonic()
                info = channels.request("kernel_info_request", {})["content"]
                asks.append(time.monotonic() - started)
        except TimeoutError:
            raise self._no_answer() from None
        self.language = str(info.get("language_info", {}).get("name", "unknown"))
        ping, ask = statistics.median(pings), statistics.median(asks)
        text = f"{ping * 1000:.1f} ms to the gateway and back, {ask * 1000:.1f} ms to the kernel."
        if ask - ping > ACK_DELAY:
            text += " (Stock gateways hold small messages back for 40 ms; on Linux our relay"
            text += " gets around that.)"
        if ask > SLOW:
            return warning(
                text,
                "Completion and inspection will lag. If the first number is large, the network is"
                " slow (VPN, distance); else the gateway or its computer is busy.",
            )
        return good(text)

    def _no_answer(self) -> CheckFailed:
        """A kernel does not answer, though its channels are open, and so is the way to them."""
        path = f"{self.gateway.kernels_endpoint}/{self.kernel_id}"
        response = self.wire.ask("GET", path)
        model = response.json() if is_object(response) else {}
        if model.get("execution_state") == "starting":
            # Gateways pass nothing on, and answer no ping, before that or a minute has passed.
            return CheckFailed(
                "The kernel was started, and its gateway has had no status of it since (busy, idle,"
                f" starting), for {self.wire.limit:g} s and more.",
                "Either it hangs at its start, which its log at the gateway shows, or it never"
                " sends a status: report that to the authors of this kernel (Jupyter's messaging"
                " protocol, 'Kernel status'). --kernel=NAME tries another one.",
            )
        return CheckFailed(
            f"The kernel does not answer within {self.wire.limit:g} s.",
            "Look at the gateway's log and load; --Gateway.connect_timeout sets how long to wait.",
        )

    def status(self) -> Result:
        """The kernel says when it is busy and when it is idle again."""
        channels = self.open_channels
        states = []
        try:
            for message in channels.messages(channels.send("kernel_info_request", {})):
                states.append(str(message["content"].get("execution_state", "")))
                if states[-1] == "idle":
                    break
        except TimeoutError:
            raise CheckFailed(
                f"The kernel answers, and does not say when it is {self._missing(states)}: it sends"
                " no such status, and cells stay marked as running.",
                "Report it to the authors of this kernel (Jupyter's messaging protocol, 'Kernel"
                " status'); other kernels on this gateway are not concerned.",
            ) from None
        self._register_echo(channels)
        return good("The kernel says when it is busy and when it is idle.")

    def _missing(self, states: list[str]) -> str:
        return "idle" if "busy" in states else "busy or idle"

    def _register_echo(self, channels: Channels) -> None:
        if self.language != "python":
            self.no_echo = f"it needs a Python kernel; this one speaks {self.language}"
        elif not channels.v1:
            self.no_echo = "it needs the v1 subprotocol"
        else:
            reply, _ = channels.run(ECHO)
            good_reply = reply.get("content", {}).get("status") == "ok"
            self.no_echo = "" if good_reply else "it needs ipykernel, and this is another kernel"

    def echo(self) -> Result:
        """Bytes that are no text come back as they were."""
        if self.no_echo:
            return not_tried(f"Not tried: {self.no_echo}.")
        sent = (BYTES, b"\xff" * 1000, BYTES * 40)
        answer = Comm(self.open_channels, TARGET).ask("echo", *sent)
        if tuple(answer["buffers"]) != sent:
            raise CheckFailed(
                "Binary data came back changed: widgets, images and uploads will break.",
                "Look for what is in between that rewrites messages (a proxy, a filter).",
            )
        return good("Binary data reach the kernel and come back unchanged.")

    def large_to_kernel(self) -> Result:
        """11 MiB towards the kernel: more than stock gateways take."""
        if self.no_echo:
            return not_tried(f"Not tried: {self.no_echo}.")
        try:
            self._measure(LARGE)
        except Closed as closed:
            self._drop()
            why = " (too big, it says)" if closed.code == 1009 else ""
            return self._too_large(f"The gateway ends the connection at 11 MiB{why}.")
        except TimeoutError:
            self._drop()
            return warning(
                f"11 MiB took longer than {LARGE_LIMIT:g} s.",
                "Uploads and large widgets will take their time: the line there is slow.",
            )
        own = int(self.gateway.max_message_size)
        if own < LARGE:
            return good(
                "The gateway takes 11 MiB.",
                f"This server's own limit is {own / MIB:.3g} MiB: raise Gateway.max_message_size"
                " for larger uploads.",
            )
        return good("The gateway takes 11 MiB.")

    def _measure(self, size: int) -> None:
        """Send so many bytes to the kernel. Raises Closed, TimeoutError, Trouble."""
        data = BYTES * (size // len(BYTES))
        comm = Comm(self._patient_channels(), TARGET)
        there = comm.ask("measure", data)["content"]["data"].get("sha256")
        if there != [hashlib.sha256(data).hexdigest()]:
            raise CheckFailed(
                f"{size // MIB} MiB reached the kernel changed.",
                "Look for what is in between that rewrites messages.",
            )

    def _too_large(self, text: str) -> Result:
        try:
            self._measure(9 * MIB)
        except (Closed, TimeoutError):
            self._drop()
            return warning(
                f"{text} Nor does it take 9 MiB, as stock gateways do.",
                "Look for a proxy in between that limits the size of messages.",
            )
        step = (
            f"{KINDS.get(self.kind, 'This gateway')} has no option for that: send less at a time."
        )
        if self.kind == "jupyter-server":
            step = f"Allow more there, with --ServerApp.tornado_settings='{ALLOW_MORE}', and here,"
            step += " with Gateway.max_message_size."
        return warning(f"{text} It takes 9 MiB, as stock gateways do.", f"{LARGER_FAIL} {step}")

    def _patient_channels(self) -> Channels:
        """The channels, with more time for each message until they are asked for again."""
        channels = self.open_channels
        channels.limit = max(LARGE_LIMIT, channels.limit)
        return channels

    def large_from_kernel(self) -> Result:
        """11 MiB from the kernel to us."""
        if self.no_echo:
            return not_tried(f"Not tried: {self.no_echo}.")
        started = time.monotonic()
        try:
            answer = Comm(self._patient_channels(), TARGET).ask("large", size=LARGE)
        except (Closed, TimeoutError) as error:
            self._drop()
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
        return good(f"11 MiB arrived, {rate:.0f} MiB/s.")

    def output_limits(self) -> Result:
        """Much output at once is not cut off."""
        if self.no_echo:
            return not_tried(f"Not tried: {self.no_echo}.")
        channels = self._patient_channels()
        _, messages = channels.run(FLOOD)
        streams = [m["content"] for m in messages if m["header"]["msg_type"] == "stream"]
        got = sum(len(c["text"]) for c in streams if c["name"] == "stdout")
        came = Comm(channels, TARGET).count("many", count=MANY)
        cut = []
        if got < STREAM:
            cut.append(f"of {STREAM // MIB} MiB printed at once {got / MIB:.1f} arrived")
        if came < MANY:
            cut.append(f"of {MANY} messages at once {came}")
        if not cut:
            return good(f"{STREAM // MIB} MiB printed at once and {MANY} messages all arrived.")
        return warning(
            f"The gateway cuts output off: {', '.join(cut)}.",
            "Raise its limits if your notebooks need it: ZMQChannelsWebsocketConnection."
            "iopub_data_rate_limit and iopub_msg_rate_limit, 0 for none, in its configuration.",
        )

    def idle(self) -> Result:
        """An idle connection stays, and the other side answers pings."""
        channels = self.open_channels
        silence = min(self.gateway.link_timeout / 5, 3.0)  # how long the relay is silent at most
        try:
            channels.be_silent(silence)
            took = channels.ping()
        except Closed as closed:
            self._drop()
            raise CheckFailed(
                f"Within {silence:g} s without messages the connection was gone: {closed}.",
                "Raise the idle timeout of the proxy in between to a minute or more.",
            ) from None
        except TimeoutError:
            self._drop()
            raise CheckFailed(
                "WebSocket pings are not answered, so the notebook server would take the link for"
                " dead.",
                "Let the proxy in between pass ping and pong on.",
            ) from None
        return good(f"After {silence:g} s of silence a ping came back in {took * 1000:.1f} ms.")

    # -- direct mode ----------------------------------------------------------------------------

    def ticket(self) -> Result:
        """A page's way in: a ticket for its origin opens the channels, once."""
        if "tickets" not in self.features:
            return not_tried("Not tried: the gateway gives no tickets (see 'add-on').")
        base, session_id = self.gateway.page_url, uuid.uuid4().hex
        insecure = urlsplit(base).scheme == "ws" and not is_loopback(urlsplit(base).hostname or "")
        if self.origin.startswith("https:") and insecure:
            raise CheckFailed(
                f"Pages of {self.origin} may not open {base}: browsers forbid ws:// there.",
                "Give the gateway TLS, or Gateway.page_ws_url an address that begins with wss://.",
            )
        path = f"{self.gateway.kernels_endpoint}/{self.kernel_id}/channels/ticket"
        response = self.wire.ask("POST", path, {"origin": self.origin, "session_id": session_id})
        if response.status_code != 201 or not is_object(response):
            raise CheckFailed(
                f"No ticket: HTTP {response.status_code}, {words_of(response)}.",
                "The gateway's log has a line that begins with 'notebook-remote-gateway mint'.",
            )
        model = response.json()
        self.wire.secrets.add(str(model["ticket"]))
        query = f"&{model['param']}={model['ticket']}"
        return self._use_ticket(
            lambda: self.open(
                base, query=query, session_id=session_id, origin=self.origin, proof=False
            )
        )

    def _use_ticket(self, opened: Callable[[], Channels]) -> Result:
        try:
            channels = opened()
            channels.request("kernel_info_request", {})
            channels.close()
        except (OSError, websocket.WebSocketException, Closed) as error:
            raise CheckFailed(
                f"A ticket does not open the channels at {self.gateway.page_url} for a page of"
                f" {self.origin}: {in_short(error)[:100]}.",
                "The gateway's log has a line that begins with 'notebook-remote-gateway redeem' and"
                " says why. Without one the request did not get there: see Gateway.page_ws_url and"
                " the proxy.",
            ) from None
        try:
            opened().close()
        except (OSError, websocket.WebSocketException):
            return good(f"A page of {self.origin} gets in with a ticket, and once only.")
        return warning(
            f"A page of {self.origin} gets in with a ticket, and with the same one again.",
            "Behind this name are several gateways; each knows of its own only which tickets were"
            " used. Session affinity at the load balancer keeps them to once.",
        )
