"""The doctor's checks with a kernel of its own: start, replicas, channels, shutdown."""

from __future__ import annotations

import os
import time
from typing import Any

import requests
import websocket

from ...config.gateway import LAUNCH_TIMEOUT_ENV
from ..context import Context
from ..findings import CheckFailed, Result, error_message, in_short, passed, skipped
from .rest import is_object

CONNECTIONS = 6  # that request the kernel, to find a replica without it
SHUTDOWN_TIMEOUT = 10.0  # seconds to shut the kernel down
UPGRADE = (
    "Let the proxy in between pass WebSockets: HTTP/1.1 and the headers Upgrade and Connection"
    " (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header"
    ' Connection "upgrade";). Or set Gateway.ws_url to an address without it.'
)


def check_start(context: Context) -> Result:
    """A kernel starts."""
    name = context.kernel_name or _python(context) or context.default_kernelspec
    body: dict[str, Any] = {"name": name or next(iter(context.kernelspecs))}
    body["kernel_id"] = context.kernel.chosen_id
    if env := _env(context):
        body["env"] = env
    context.kernel.requested = True
    started = time.monotonic()
    try:
        response = context.transport.request(
            "POST", context.gateway.kernels_endpoint, body, seconds=context.gateway.start_timeout
        )
        if response.status_code in (200, 201) and is_object(response):
            _note_id(context, str(response.json().get("id", "")))
    except requests.Timeout:
        raise CheckFailed(
            f"No kernel {body['name']!r} within {context.gateway.start_timeout:g} s.",
            "Look at the gateway's log. If starts take long there (an image is pulled), allow"
            " for it: KERNEL_LAUNCH_TIMEOUT in the environment, or Gateway.request_timeout.",
        ) from None
    finally:
        context.kernel.answered.set()
    if response.status_code not in (200, 201) or not is_object(response):
        raise _start_failed(context, response, str(body["name"]))
    return passed(f"{body['name']!r}, answered within {time.monotonic() - started:.1f} s.")


def _note_id(context: Context, kernel_id: str) -> None:
    if kernel_id and kernel_id != context.kernel.chosen_id:
        context.kernel.other_ids.add(kernel_id)


def _python(context: Context) -> str:
    """A kernelspec of Python's, for the checks with binary data; preferably the default one."""
    names = [context.default_kernelspec, *sorted(context.kernelspecs)]
    for name in names:
        spec = context.kernelspecs.get(name)
        inner = spec.get("spec") if isinstance(spec, dict) else None
        if isinstance(inner, dict) and str(inner.get("language", "")).lower() == "python":
            return name
    return ""


def _env(context: Context) -> dict[str, str]:
    """The variables of a start, as the docs say: KERNEL_* and the allowed ones."""
    allowed = context.gateway.allowed_env_names
    env = {n: v for n, v in os.environ.items() if n.startswith("KERNEL_") or n in allowed}
    if context.kind == "enterprise-gateway":
        env["KERNEL_ID"] = context.kernel.chosen_id
        if context.gateway.http_user:
            env.setdefault("KERNEL_USERNAME", context.gateway.http_user)
        launch = int(context.gateway.start_timeout - context.gateway.launch_timeout_pad)
        env.setdefault(LAUNCH_TIMEOUT_ENV, str(max(launch, 1)))
    return env


def _start_failed(context: Context, response: requests.Response, name: str) -> CheckFailed:
    text = f"The gateway did not start {name!r}: HTTP {response.status_code}"
    text += f", {error_message(response) or 'without a word'}"
    step = "Look at the gateway's log for why, and try the kernel on that computer by itself."
    if response.status_code in (401, 403):
        step = "Ask the gateway's operator who may start kernels there."
        if context.kind == "enterprise-gateway" and "KERNEL_USERNAME" not in _env(context):
            step = (
                "Say who you are with KERNEL_USERNAME in the environment; a gateway that runs"
                " as root refuses to start kernels as root."
            )
    elif response.status_code == 429:
        step = "The gateway's limit of kernels is reached: shut some down, or raise it there."
    elif name not in context.kernelspecs:
        step = f"There is no kernelspec of that name: use one of {sorted(context.kernelspecs)}."
    return CheckFailed(f"{text}.", step)


def check_shutdown(context: Context) -> Result:
    """The kernel is shut down and gone. Also called when the examination is interrupted."""
    context.close_channels()
    if not context.kernel.requested:
        return skipped("No kernel was started.")
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT
    # A start that is under way cannot be cancelled: the kernel is shut down once it is up.
    context.kernel.answered.wait(SHUTDOWN_TIMEOUT)
    remaining = _shut_down(context)
    while remaining and time.monotonic() < deadline:
        time.sleep(0.2)
        remaining = _shut_down(context)
    if remaining:
        raise CheckFailed(
            f"The kernel {', '.join(sorted(remaining))} may still be there.",
            f"Shut it down: DELETE {context.gateway.url}{context.gateway.kernels_endpoint}/<id>.",
        )
    return passed("The kernel of this examination is shut down; nothing is left.")


def _shut_down(context: Context) -> set[str]:
    """Delete the kernel; return the ids under which it may still run."""
    return {kernel_id for kernel_id in context.kernel.possible_ids if not _gone(context, kernel_id)}


def _gone(context: Context, kernel_id: str) -> bool:
    path, addresses = f"{context.gateway.kernels_endpoint}/{kernel_id}", context.transport.addresses
    try:
        # It may run at one of several gateways behind this name, which the others do not know.
        for turn in range(2 * CONNECTIONS):
            address = addresses[turn % len(addresses)]
            deleted = context.transport.request(
                "DELETE", path, address=address, seconds=SHUTDOWN_TIMEOUT
            )
            if deleted.status_code != 404:
                return context.transport.request("GET", path, address=address).status_code == 404
    except requests.RequestException:
        return False
    return True


def check_replicas(context: Context) -> Result:
    """Each connection to the gateway's name finds the kernel that one of them started."""
    path = f"{context.gateway.kernels_endpoint}/{context.kernel.id}"
    addresses = context.transport.addresses
    count = max(CONNECTIONS, len(addresses))
    answers = []
    for turn in range(count):
        response = context.transport.request("GET", path, address=addresses[turn % len(addresses)])
        answers.append(response.status_code)
    if set(answers) == {200}:
        return passed(f"{count} connections in turn all find the kernel.")
    lost = answers.count(404)
    if not lost:
        odd = next(status for status in answers if status != 200)
        raise CheckFailed(
            f"The kernel is there, and asked for it the gateway answers with HTTP {odd}.",
            f"Let GET {path} through a proxy in between; else look at the gateway's log.",
        )
    cookies = context.transport.cookie_names - {
        f"username-{context.transport.host.replace('.', '-')}"
    }
    hint = (
        f" It sets cookies ({', '.join(sorted(cookies))}): if its balancer goes by them,"
        " --Gateway.accept_cookies=True is all that is missing."
        if cookies and not context.gateway.accept_cookies
        else ""
    )
    raise CheckFailed(
        f"{lost} of {count} connections do not find the kernel that was just started: several"
        " gateways are behind this name, and each knows only its own kernels.",
        "Let the load balancer send each client to one of them (session affinity), or give each"
        f" a name of its own.{hint}",
    )


def check_channels(context: Context) -> Result:
    """The kernel's channels open."""
    started = time.monotonic()
    try:
        # Enterprise Gateway answers a start at once, and opens channels when the kernel is up.
        context.open_channels(context.gateway.start_timeout)
    except (OSError, websocket.WebSocketException) as error:
        raise _open_failed(context, error) from None
    return passed(f"Open, to a kernel that is up, within {time.monotonic() - started:.1f} s.")


def _open_failed(context: Context, error: Exception) -> CheckFailed:
    where = context.gateway.websocket_url
    if isinstance(error, websocket.WebSocketBadStatusException):
        return _handshake_refused(context, error.status_code, error.resp_body)
    if isinstance(error, (TimeoutError, websocket.WebSocketTimeoutException)):
        limit = context.gateway.start_timeout
        if context.kind == "enterprise-gateway":
            return CheckFailed(
                f"Enterprise Gateway took the start, and after {limit:g} s the kernel is not up.",
                "Its log says why the launch failed or hangs; KERNEL_LAUNCH_TIMEOUT gives it"
                " longer.",
            )
        return CheckFailed(f"No answer to the WebSocket handshake within {limit:g} s.", UPGRADE)
    if isinstance(error, OSError):
        return CheckFailed(
            f"No connection to {where}: {in_short(error)}.",
            "Correct Gateway.ws_url." if context.gateway.ws_url else UPGRADE,
        )
    return CheckFailed(f"What answers at {where} speaks no WebSocket ({in_short(error)}).", UPGRADE)


def _handshake_refused(context: Context, status: int, body: bytes | None) -> CheckFailed:
    words = (body or b"").decode(errors="replace")[:100]
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
            f" {context.gateway.auth_header_key} on for WebSockets too.",
        )
    return CheckFailed(f"{text} ({words or 'empty'}).", UPGRADE)
