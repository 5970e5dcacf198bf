"""The doctor's checks over REST: HTTP, token, which gateway, kernelspecs, add-on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from ..context import Context
from ..findings import (
    UPDATE_SERVER,
    CheckFailed,
    Result,
    error_message,
    in_short,
    is_vulnerable,
    passed,
    skipped,
    warned,
)
from ..transport import trust_all
from .network import advise_address, is_loopback, tls_handshake

MAX_CLOCK_SKEW = 30.0  # seconds between two clocks without a warning
KINDS = {
    "jupyter-server": "Jupyter Server",
    "kernel-gateway": "Kernel Gateway",
    "enterprise-gateway": "Enterprise Gateway",
}


def check_http(context: Context) -> Result:
    """HTTP answers at the path that the URL has."""
    before = time.time()
    try:
        response = context.transport.request("GET", "/api", authenticated=False)
    except requests.RequestException as error:
        raise _no_http(context, error) from None
    context.clock_sample = (before, time.time(), response.headers.get("Date", ""))
    status = response.status_code
    if 300 <= status < 400:
        raise _redirected(context, response)
    if status == 400 and not context.transport.secure and _speaks_tls(context):
        raise _needs_https(context)
    if status in (401, 403) or (status == 200 and is_object(response)):
        return passed(f"Answers at {context.gateway.url}/api within {_ms(response.elapsed)}.")
    if status >= 500:
        raise CheckFailed(
            f"Answers with HTTP {status} ({error_message(response)}).",
            "Look at the gateway's log; if a proxy stands in front of it, at whether that"
            " finds the gateway up.",
        )
    return _odd_path(context, response)


def _odd_path(context: Context, response: requests.Response) -> Result:
    """Handle an answer that is not that of a gateway's /api: a wrong path, or a proxy."""
    endpoint = context.gateway.kernelspecs_endpoint
    specs = context.transport.request("GET", endpoint, authenticated=False)
    if specs.status_code in (401, 403) or (specs.status_code == 200 and is_object(specs)):
        return passed(f"Answers at {endpoint}; {context.gateway.url}/api is not let through.")
    what = f"HTTP {response.status_code}, {error_message(response) or 'empty'}"
    text = f"No gateway answers at {context.gateway.url}/api ({what[:120]})."
    for url in _shorter_urls(context):
        found = context.transport.request("GET", "/api", authenticated=False, base=url)
        if found.status_code in (401, 403) or (found.status_code == 200 and is_object(found)):
            raise CheckFailed(text, f"One answers at {url}. {advise_address(context, url)}")
    raise CheckFailed(
        text,
        f"Correct {context.gateway.address_option}: the gateway's /api is below it. Ask its"
        " operator for the path prefix (base_url), or look into its log at start.",
    )


def _shorter_urls(context: Context) -> Iterator[str]:
    parts = urlsplit(context.gateway.url)
    path = parts.path.rstrip("/")
    while path:
        path = path.rpartition("/")[0]
        yield urlunsplit(parts._replace(path=path))


def _redirected(context: Context, response: requests.Response) -> CheckFailed:
    target = urljoin(response.url, response.headers.get("Location", ""))
    base = target.partition("?")[0].rstrip("/")
    if base.endswith("/api"):
        return CheckFailed(
            f"Redirects to {base}.", advise_address(context, base.removesuffix("/api"))
        )
    return CheckFailed(
        f"Redirects to {base} instead of answering.",
        "If that is a login page, something in front of the gateway wants one: ask its operator"
        " how programs get in (a header goes into Gateway.headers, a token into its option)."
        " If it is the gateway, use that URL.",
    )


def _no_http(context: Context, error: requests.RequestException) -> CheckFailed:
    if not context.transport.secure and _speaks_tls(context):
        return _needs_https(context)
    if isinstance(error, requests.Timeout):
        return CheckFailed(
            f"Takes the connection and says nothing for {context.transport.limit:g} s.",
            "Check that it is the gateway's port, and that the gateway is not hanging (its log,"
            " its CPU). --Gateway.connect_timeout sets how long to wait.",
        )
    return CheckFailed(
        f"The connection broke off without an answer ({in_short(error)}).",
        "Check that it is the gateway's port and not that of something else, and its log.",
    )


def _speaks_tls(context: Context) -> bool:
    try:
        tls_handshake(context, trust_all())
    except OSError:
        return False
    return True


def _needs_https(context: Context) -> CheckFailed:
    url = urlunsplit(urlsplit(context.gateway.url)._replace(scheme="https"))
    return CheckFailed(
        f"What listens at port {context.transport.port} speaks TLS.", advise_address(context, url)
    )


def check_token(context: Context) -> Result:
    """The gateway accepts our token, at the route of the kernelspecs, which we need anyway."""
    endpoint = context.gateway.kernelspecs_endpoint
    response = context.transport.request("GET", endpoint)
    status = response.status_code
    if status in (401, 403) or 300 <= status < 400:
        raise _refused(context, response)
    if status != 200 or not is_object(response):
        raise CheckFailed(
            f"{endpoint} answers with HTTP {status} ({error_message(response)[:120]}).",
            f"Correct the path prefix in {context.gateway.address_option}, or"
            " Gateway.kernelspecs_endpoint; if that"
            " is right, the gateway's log says more.",
        )
    model = response.json()
    specs = model.get("kernelspecs")
    context.kernelspecs = specs if isinstance(specs, dict) else {}
    context.default_kernelspec = str(model.get("default") or "")
    open_to_all = context.transport.request("GET", endpoint, authenticated=False).status_code == 200
    if not open_to_all:
        return passed("Accepted; without it the gateway refuses.")
    return warned(
        "The gateway asks nobody for a token: whoever reaches it can run code there.",
        "Unless something else keeps others away from it, give it a token (--auth_token at"
        " Kernel and Enterprise Gateway, --IdentityProvider.token at Jupyter Server).",
    )


def _refused(context: Context, response: requests.Response) -> CheckFailed:
    words = error_message(response)
    answer = f"HTTP {response.status_code}{f', {words}' if words else ''}"
    challenge = response.headers.get("WWW-Authenticate", "")
    give_it = f"{context.gateway.how_to_give_a_token[:1].upper()}"
    give_it += f"{context.gateway.how_to_give_a_token[1:]}."
    if not context.transport.headers:
        return CheckFailed(f"The gateway wants a token ({answer}).", give_it)
    if challenge.lower().startswith("basic"):
        return CheckFailed(
            f"Something in front of the gateway wants a user name and password ({answer}).",
            "Give them with Gateway.http_user and Gateway.http_pwd.",
        )
    step = f"{give_it} We sent it in the header {context.gateway.auth_header_key}"
    scheme = context.gateway.auth_scheme
    step += f", after the word {scheme!r}" if scheme else ""
    step += "; if a proxy in front wants it otherwise, set Gateway.auth_header_key and"
    step += " Gateway.auth_scheme."
    if response.status_code == 403 and not is_loopback(context.transport.host):
        step += (
            " A Jupyter Server also refuses names that are not its own:"
            " --ServerApp.allow_remote_access=True there."
        )
    return CheckFailed(f"The gateway refuses the token ({answer}).", step)


def check_kind_and_version(context: Context) -> Result:
    """Which gateway it is, and the add-on's answer to the same question."""
    model = _object(context, "/api")
    probe = _object(context, "/api/notebook-remote")
    features = probe.get("features")
    context.features = [str(f) for f in features] if isinstance(features, list) else []
    context.add_on = str(probe.get("version", ""))
    context.kind = str(probe.get("kind", "")) or _kind(context, model)
    version = str(model.get("version", "of unknown version"))
    if context.kind == "enterprise-gateway":
        version = f"{model.get('gateway_version', '')} on jupyter_server {version}"
    elif context.kind == "kernel-gateway":
        version = f"on jupyter_server {version}"
    if not context.kind:
        return warned(
            f"It answers as Jupyter does, but is no gateway that we know ({version}).",
            "Go on if the checks below pass; we test with Jupyter Server 2, Kernel Gateway 3"
            " and Enterprise Gateway 3.",
        )
    text = f"{KINDS.get(context.kind, context.kind)} {version}."
    if is_vulnerable(str(model.get("version", ""))):
        return warned(
            f"{text} That jupyter_server has known vulnerabilities.",
            "Enterprise Gateway needs this old one: let only people you trust reach it."
            if context.kind == "enterprise-gateway"
            else f"{UPDATE_SERVER}, in the gateway's environment.",
        )
    return passed(text)


def _kind(context: Context, model: dict[str, Any]) -> str:
    if "gateway_version" in model:
        return "enterprise-gateway"
    info = _object(context, "/api/swagger.json").get("info")
    title = str(info.get("title", "")) if isinstance(info, dict) else ""
    if "Kernel Gateway" in title:
        return "kernel-gateway"
    return "jupyter-server" if "started" in _object(context, "/api/status") else ""


def _object(context: Context, path: str) -> dict[str, Any]:
    response = context.transport.request("GET", path)
    usable = response.status_code == 200 and is_object(response)
    return dict(response.json()) if usable else {}


def check_clock(context: Context) -> Result:
    """The gateway's clock agrees with ours."""
    before, after, date = context.clock_sample
    try:
        there = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return skipped("The gateway does not say what time it is.")
    there = there if there.tzinfo else there.replace(tzinfo=timezone.utc)
    here = datetime.fromtimestamp((before + after) / 2, timezone.utc)
    skew = (there - here).total_seconds() + 0.5  # HTTP dates have whole seconds
    if abs(skew) <= MAX_CLOCK_SKEW:
        return passed("The two clocks agree to within seconds.")
    which = "ahead of" if skew > 0 else "behind"
    return warned(
        f"The gateway's clock is {abs(skew):.0f} s {which} this computer's.",
        "Set both with NTP: certificates, renewed tokens and tickets between replicas depend on"
        " them.",
    )


def check_kernelspecs(context: Context) -> Result:
    """There are kernelspecs, and the default one is among them."""
    names = sorted(context.kernelspecs)
    if not names:
        raise CheckFailed(
            "The gateway has no kernelspecs, so no kernel can be started.",
            "Install a kernel in its environment (pip install ipykernel), or see what hides"
            " them there (allowed_kernelspecs).",
        )
    text = f"{len(names)}: {', '.join(names)[:200]}."
    if context.default_kernelspec not in names:
        return warned(
            f"{text} The default, {context.default_kernelspec!r}, is not among them.",
            "Set the gateway's default_kernel_name to one of them.",
        )
    return passed(f"{text} Default: {context.default_kernelspec}.")


def check_add_on(context: Context) -> Result:
    """The add-on is there, with the features that the mode needs."""
    mode, needed = context.gateway.mode, {"direct": "tickets", "browser": "passes"}
    wanted = needed.get(mode, "")
    has = f"Version {context.add_on}: {', '.join(context.features) or 'no features'}."
    if not context.add_on:
        text = "notebook-remote-gateway is not switched on at the gateway."
        step = "Install it and switch it on there; gateway/README.md has the line."
        if mode == "browser" and not context.gateway.insecure_token_in_page:
            raise CheckFailed(f"{text} Mode 'browser' needs it.", step)
        if mode == "direct" and not context.gateway.insecure_token_in_page:
            return warned(f"{text} Pages will go through the notebook server.", step)
        return skipped(f"{text} Mode {mode!r} does not need it.")
    if wanted and wanted not in context.features and not context.gateway.insecure_token_in_page:
        raise CheckFailed(
            f"{has} Mode {mode!r} needs {wanted}.",
            "Set NOTEBOOK_REMOTE_ALLOWED_ORIGINS at the gateway to the origin of your pages."
            if wanted == "passes"
            else "Give the gateway a token: without one the add-on gives no tickets.",
        )
    return passed(has)


def is_object(response: requests.Response) -> bool:
    """Whether the answer is a JSON object."""
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False


def _ms(elapsed: Any) -> str:
    return f"{elapsed.total_seconds() * 1000:.0f} ms"
