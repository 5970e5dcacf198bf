"""The doctor's own kernel: its start, the ways to it, and its end."""

from __future__ import annotations

import os
import threading
import time
import uuid
from typing import Any

import requests
import websocket

from ...config.gateway import LAUNCH_TIMEOUT_ENV, Gateway
from ..channels import V1, Channels
from ..findings import CheckFailed, Result, good, in_short, not_tried, words_of
from .rest import Answers, is_object

REPLICAS = 6  # connections that ask for the kernel
STOP_LIMIT = 10.0  # seconds to shut the kernel down
UPGRADE = (
    "Let the proxy in between pass WebSockets: HTTP/1.1 and the headers Upgrade and Connection"
    " (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header"
    ' Connection "upgrade";). Or set Gateway.ws_url to an address without it.'
)


class Kernel:
    """The kernel that the doctor starts: its id, chosen by us, and whether it may exist."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.others: set[str] = set()  # an id that the gateway chose instead
        self.asked = False
        self.answered = threading.Event()

    @property
    def ids(self) -> set[str]:
        """Under which it may be found."""
        return {self.id, *self.others} if self.asked else set()


class KernelChecks(Answers):
    """A kernel of the doctor's own, and the ways to it. What returns a Result is a check."""

    def __init__(self, gateway: Gateway, kernel_name: str, origin: str) -> None:
        super().__init__(gateway)
        self.kernel_name, self.origin = kernel_name, origin
        self.kernel = Kernel()
        self.channels_open: Channels | None = None

    # -- start and stop -------------------------------------------------------------------------

    def start(self) -> Result:
        """A kernel starts."""
        name = self.kernel_name or self._python() or self.default_kernelspec
        body: dict[str, Any] = {"name": name or next(iter(self.kernelspecs))}
        body["kernel_id"] = self.kernel.id
        if env := self._env():
            body["env"] = env
        self.kernel.asked = True
        started = time.monotonic()
        try:
            response = self.wire.ask(
                "POST", self.gateway.kernels_endpoint, body, seconds=self.gateway.start_timeout
            )
            if response.status_code in (200, 201) and is_object(response):
                self._note_id(str(response.json().get("id", "")))
        except requests.Timeout:
            raise CheckFailed(
                f"No kernel {body['name']!r} within {self.gateway.start_timeout:g} s.",
                "Look at the gateway's log. If starts take long there (an image is pulled), allow"
                " for it: KERNEL_LAUNCH_TIMEOUT in the environment, or Gateway.request_timeout.",
            ) from None
        finally:
            self.kernel.answered.set()
        if response.status_code not in (200, 201) or not is_object(response):
            raise self._not_started(response, str(body["name"]))
        return good(f"{body['name']!r}, answered within {time.monotonic() - started:.1f} s.")

    def _note_id(self, chosen: str) -> None:
        if chosen and chosen != self.kernel.id:
            self.kernel.others.add(chosen)

    def _python(self) -> str:
        """A kernelspec of Python's, for the checks with binary data; the default one if it can."""
        names = [self.default_kernelspec, *sorted(self.kernelspecs)]
        for name in names:
            spec = self.kernelspecs.get(name)
            inner = spec.get("spec") if isinstance(spec, dict) else None
            if isinstance(inner, dict) and str(inner.get("language", "")).lower() == "python":
                return name
        return ""

    def _env(self) -> dict[str, str]:
        """What a start sends: KERNEL_*, and what is allowed; as docs say, written once more."""
        allowed = self.gateway.allowed_env_names
        env = {n: v for n, v in os.environ.items() if n.startswith("KERNEL_") or n in allowed}
        if self.kind == "enterprise-gateway":
            env["KERNEL_ID"] = self.kernel.id
            if self.gateway.http_user:
                env.setdefault("KERNEL_USERNAME", self.gateway.http_user)
            launch = int(self.gateway.start_timeout - self.gateway.launch_timeout_pad)
            env.setdefault(LAUNCH_TIMEOUT_ENV, str(max(launch, 1)))
        return env

    def _not_started(self, response: requests.Response, name: str) -> CheckFailed:
        text = f"The gateway did not start {name!r}: HTTP {response.status_code}"
        text += f", {words_of(response) or 'without a word'}"
        step = "Look at the gateway's log for why, and try the kernel on that computer by itself."
        if response.status_code in (401, 403):
            step = "Ask the gateway's operator who may start kernels there."
            if self.kind == "enterprise-gateway" and "KERNEL_USERNAME" not in self._env():
                step = (
                    "Say who you are with KERNEL_USERNAME in the environment; a gateway that runs"
                    " as root refuses to start kernels as root."
                )
        elif response.status_code == 429:
            step = "The gateway's limit of kernels is reached: shut some down, or raise it there."
        elif name not in self.kernelspecs:
            step = f"There is no kernelspec of that name: use one of {sorted(self.kernelspecs)}."
        return CheckFailed(f"{text}.", step)

    def stop(self) -> Result:
        """The kernel is shut down, and gone. Also called when the examination is broken off."""
        if self.channels_open is not None:
            self.channels_open.close()
        if not self.kernel.asked:
            return not_tried("No kernel was started.")
        deadline = time.monotonic() + STOP_LIMIT
        # A start that is under way cannot be taken back; what it starts can.
        self.kernel.answered.wait(STOP_LIMIT)
        left = self._shut_down()
        while left and time.monotonic() < deadline:
            time.sleep(0.2)
            left = self._shut_down()
        if left:
            raise CheckFailed(
                f"The kernel {', '.join(sorted(left))} may still be there.",
                f"Shut it down: DELETE {self.gateway.url}{self.gateway.kernels_endpoint}/<id>.",
            )
        return good("The kernel of this examination is shut down; nothing is left.")

    def _shut_down(self) -> set[str]:
        """Delete it; return the ids that are not known to be gone."""
        return {kernel_id for kernel_id in self.kernel.ids if not self._gone(kernel_id)}

    def _gone(self, kernel_id: str) -> bool:
        path, addresses = f"{self.gateway.kernels_endpoint}/{kernel_id}", self.wire.addresses
        try:
            # It may be at one of several gateways behind this name; the others do not know it.
            for turn in range(2 * REPLICAS):
                address = addresses[turn % len(addresses)]
                deleted = self.wire.ask("DELETE", path, address=address, seconds=STOP_LIMIT)
                if deleted.status_code != 404:
                    return self.wire.ask("GET", path, address=address).status_code == 404
        except requests.RequestException:
            return False
        return True

    # -- ways to it -----------------------------------------------------------------------------

    def replicas(self) -> Result:
        """Each connection to the gateway's name finds the kernel that one of them started."""
        path = f"{self.gateway.kernels_endpoint}/{self.kernel_id}"
        addresses = self.wire.addresses
        count = max(REPLICAS, len(addresses))
        answers = []
        for turn in range(count):
            response = self.wire.ask("GET", path, address=addresses[turn % len(addresses)])
            answers.append(response.status_code)
        if set(answers) == {200}:
            return good(f"{count} connections in turn all find the kernel.")
        lost = answers.count(404)
        if not lost:
            odd = next(status for status in answers if status != 200)
            raise CheckFailed(
                f"The kernel is there, and asked for it the gateway answers with HTTP {odd}.",
                f"Let GET {path} through a proxy in between; else look at the gateway's log.",
            )
        cookies = self.wire.cookie_names - {f"username-{self.wire.host.replace('.', '-')}"}
        hint = (
            f" It sets cookies ({', '.join(sorted(cookies))}): if its balancer goes by them,"
            " --Gateway.accept_cookies=True is all that is missing."
            if cookies and not self.gateway.accept_cookies
            else ""
        )
        raise CheckFailed(
            f"{lost} of {count} connections do not find the kernel that was just started: several"
            " gateways are behind this name, and each knows only its own kernels.",
            "Let the load balancer send each client to one of them (session affinity), or give each"
            f" a name of its own.{hint}",
        )

    @property
    def kernel_id(self) -> str:
        """The id by which the gateway knows the kernel."""
        return next(iter(self.kernel.others), self.kernel.id)

    def open(self, base: str = "", limit: float = 0.0, query: str = "", **options: Any) -> Channels:
        """Open the kernel's channels. Raises OSError or websocket.WebSocketException."""
        session_id = options.pop("session_id", uuid.uuid4().hex)
        url = f"{base or self.gateway.websocket_url}{self.gateway.kernels_endpoint}"
        url += f"/{self.kernel_id}/channels?session_id={session_id}{query}"
        seconds = limit or self.wire.limit
        ws = self.wire.open(url, subprotocol=V1, seconds=seconds, **options)
        return Channels(ws, session_id, self.wire.limit)

    def channels(self) -> Result:
        """The kernel's channels open."""
        started = time.monotonic()
        try:
            # Enterprise Gateway answers a start before the kernel is up, and this when it is.
            self.channels_open = self.open(limit=self.gateway.start_timeout)
        except (OSError, websocket.WebSocketException) as error:
            raise self._not_open(error) from None
        return good(f"Open, to a kernel that is up, within {time.monotonic() - started:.1f} s.")

    def _not_open(self, error: Exception) -> CheckFailed:
        where = self.gateway.websocket_url
        if isinstance(error, websocket.WebSocketBadStatusException):
            return self._handshake_refused(error.status_code, error.resp_body)
        if isinstance(error, (TimeoutError, websocket.WebSocketTimeoutException)):
            limit = self.gateway.start_timeout
            if self.kind == "enterprise-gateway":
                return CheckFailed(
                    f"Enterprise Gateway took the start, and after {limit:g} s the kernel is not"
                    " up.",
                    "Its log says why the launch failed or hangs; KERNEL_LAUNCH_TIMEOUT gives it"
                    " longer.",
                )
            return CheckFailed(f"No answer to the WebSocket handshake within {limit:g} s.", UPGRADE)
        if isinstance(error, OSError):
            return CheckFailed(
                f"No connection to {where}: {in_short(error)}.",
                "Correct Gateway.ws_url." if self.gateway.ws_url else UPGRADE,
            )
        return CheckFailed(
            f"What answers at {where} speaks no WebSocket ({in_short(error)}).", UPGRADE
        )

    def _handshake_refused(self, status: int, body: bytes | None) -> CheckFailed:
        said = (body or b"").decode(errors="replace")[:100]
        text = f"HTTP {status} in answer to the WebSocket handshake, after REST had worked"
        if status == 404:
            return CheckFailed(
                f"{text}: the kernel is not known there.",
                "If several gateways are behind this name, see 'replicas'; else correct"
                " Gateway.ws_url, or the proxy's path for WebSockets.",
            )
        if status in (401, 403):
            return CheckFailed(
                f"{text}.",
                "The token got through with REST: see that the proxy in between passes the header"
                f" {self.gateway.auth_header_key} on for WebSockets too.",
            )
        return CheckFailed(f"{text} ({said or 'empty'}).", UPGRADE)
