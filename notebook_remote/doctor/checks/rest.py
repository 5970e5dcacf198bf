"""The doctor's checks of what answers: HTTP, token, which gateway, kernelspecs, add-on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from ...config.gateway import Gateway
from ..findings import (
    UPDATE_SERVER,
    CheckFailed,
    Result,
    good,
    in_short,
    is_vulnerable,
    not_tried,
    warning,
    words_of,
)
from ..transport import trust_all
from .network import Reach, is_loopback

SKEW = 30.0  # seconds between two clocks that are worth a warning
KINDS = {
    "jupyter-server": "Jupyter Server",
    "kernel-gateway": "Kernel Gateway",
    "enterprise-gateway": "Enterprise Gateway",
}


class Answers(Reach):
    """What a gateway says of itself before a kernel is started there. Each method is a check."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self.kind = self.add_on = ""
        self.features: list[str] = []
        self.kernelspecs: dict[str, Any] = {}
        self.default_kernelspec = ""
        self._asked_at = (0.0, 0.0, "")  # before, after, and what the gateway's clock said

    def http(self) -> Result:
        """HTTP answers at the path that the URL has."""
        before = time.time()
        try:
            response = self.wire.ask("GET", "/api", proof=False)
        except requests.RequestException as error:
            raise self._no_http(error) from None
        self._asked_at = (before, time.time(), response.headers.get("Date", ""))
        status = response.status_code
        if 300 <= status < 400:
            raise self._redirected(response)
        if status == 400 and not self.wire.secure and self._speaks_tls():
            raise self._needs_https()
        if status in (401, 403) or (status == 200 and is_object(response)):
            return good(f"Answers at {self.gateway.url}/api within {_ms(response.elapsed)}.")
        if status >= 500:
            raise CheckFailed(
                f"Answers with HTTP {status} ({words_of(response)}).",
                "Look at the gateway's log; if a proxy stands in front of it, at whether that"
                " finds the gateway up.",
            )
        return self._odd_path(response)

    def _odd_path(self, response: requests.Response) -> Result:
        """Not the answer of a gateway's /api: the path is wrong, or a proxy hides it."""
        endpoint = self.gateway.kernelspecs_endpoint
        specs = self.wire.ask("GET", endpoint, proof=False)
        if specs.status_code in (401, 403) or (specs.status_code == 200 and is_object(specs)):
            return good(f"Answers at {endpoint}; {self.gateway.url}/api is not let through.")
        what = f"HTTP {response.status_code}, {words_of(response) or 'empty'}"
        text = f"No gateway answers at {self.gateway.url}/api ({what[:120]})."
        for url in self._shorter_urls():
            found = self.wire.ask("GET", "/api", proof=False, base=url)
            if found.status_code in (401, 403) or (found.status_code == 200 and is_object(found)):
                raise CheckFailed(text, f"One answers at {url}. {self.use(url)}")
        raise CheckFailed(
            text,
            f"Correct {self.gateway.address_option}: the gateway's /api is below it. Ask its"
            " operator for the path prefix (base_url), or look into its log at start.",
        )

    def _shorter_urls(self) -> Iterator[str]:
        parts = urlsplit(self.gateway.url)
        path = parts.path.rstrip("/")
        while path:
            path = path.rpartition("/")[0]
            yield urlunsplit(parts._replace(path=path))

    def _redirected(self, response: requests.Response) -> CheckFailed:
        target = urljoin(response.url, response.headers.get("Location", ""))
        base = target.partition("?")[0].rstrip("/")
        if base.endswith("/api"):
            return CheckFailed(f"Redirects to {base}.", self.use(base.removesuffix("/api")))
        return CheckFailed(
            f"Redirects to {base} instead of answering.",
            "If that is a login page, something in front of the gateway wants one: ask its operator"
            " how programs get in (a header goes into Gateway.headers, a token into its option)."
            " If it is the gateway, use that URL.",
        )

    def _no_http(self, error: requests.RequestException) -> CheckFailed:
        if not self.wire.secure and self._speaks_tls():
            return self._needs_https()
        if isinstance(error, requests.Timeout):
            return CheckFailed(
                f"Takes the connection and says nothing for {self.wire.limit:g} s.",
                "Check that it is the gateway's port, and that the gateway is not hanging (its log,"
                " its CPU). --Gateway.connect_timeout sets how long to wait.",
            )
        return CheckFailed(
            f"The connection broke off without an answer ({in_short(error)}).",
            "Check that it is the gateway's port and not that of something else, and its log.",
        )

    def _speaks_tls(self) -> bool:
        try:
            self.shake_hands(trust_all())
        except OSError:
            return False
        return True

    def _needs_https(self) -> CheckFailed:
        url = urlunsplit(urlsplit(self.gateway.url)._replace(scheme="https"))
        return CheckFailed(f"What listens at port {self.wire.port} speaks TLS.", self.use(url))

    def token(self) -> Result:
        """The gateway takes our token, at the kernelspecs, which it has to show us anyway."""
        endpoint = self.gateway.kernelspecs_endpoint
        response = self.wire.ask("GET", endpoint)
        status = response.status_code
        if status in (401, 403) or 300 <= status < 400:
            raise self._refused(response)
        if status != 200 or not is_object(response):
            raise CheckFailed(
                f"{endpoint} answers with HTTP {status} ({words_of(response)[:120]}).",
                f"Correct the path prefix in {self.gateway.address_option}, or"
                " Gateway.kernelspecs_endpoint; if that"
                " is right, the gateway's log says more.",
            )
        model = response.json()
        specs = model.get("kernelspecs")
        self.kernelspecs = specs if isinstance(specs, dict) else {}
        self.default_kernelspec = str(model.get("default") or "")
        open_to_all = self.wire.ask("GET", endpoint, proof=False).status_code == 200
        if not open_to_all:
            return good("Accepted; without it the gateway refuses.")
        return warning(
            "The gateway asks nobody for a token: whoever reaches it can run code there.",
            "Unless something else keeps others away from it, give it a token (--auth_token at"
            " Kernel and Enterprise Gateway, --IdentityProvider.token at Jupyter Server).",
        )

    def _refused(self, response: requests.Response) -> CheckFailed:
        said = words_of(response)
        answer = f"HTTP {response.status_code}{f', {said}' if said else ''}"
        wants = response.headers.get("WWW-Authenticate", "")
        give_it = f"{self.gateway.how_to_give_a_token[:1].upper()}"
        give_it += f"{self.gateway.how_to_give_a_token[1:]}."
        if not self.wire.headers:
            return CheckFailed(f"The gateway wants a token ({answer}).", give_it)
        if wants.lower().startswith("basic"):
            return CheckFailed(
                f"Something in front of the gateway wants a user name and password ({answer}).",
                "Give them with Gateway.http_user and Gateway.http_pwd.",
            )
        step = f"{give_it} We sent it in the header {self.gateway.auth_header_key}"
        scheme = self.gateway.auth_scheme
        step += f", after the word {scheme!r}" if scheme else ""
        step += "; if a proxy in front wants it otherwise, set Gateway.auth_header_key and"
        step += " Gateway.auth_scheme."
        if response.status_code == 403 and not is_loopback(self.wire.host):
            step += (
                " A Jupyter Server also refuses names that are not its own:"
                " --ServerApp.allow_remote_access=True there."
            )
        return CheckFailed(f"The gateway refuses the token ({answer}).", step)

    def kind_and_version(self) -> Result:
        """Which gateway it is, and the add-on's answer to the same question."""
        model = self._object("/api")
        probe = self._object("/api/notebook-remote")
        features = probe.get("features")
        self.features = [str(f) for f in features] if isinstance(features, list) else []
        self.add_on = str(probe.get("version", ""))
        self.kind = str(probe.get("kind", "")) or self._kind(model)
        version = str(model.get("version", "of unknown version"))
        if self.kind == "enterprise-gateway":
            version = f"{model.get('gateway_version', '')} on jupyter_server {version}"
        elif self.kind == "kernel-gateway":
            version = f"on jupyter_server {version}"
        if not self.kind:
            return warning(
                f"It answers as Jupyter does, but is no gateway that we know ({version}).",
                "Go on if the checks below pass; we test with Jupyter Server 2, Kernel Gateway 3"
                " and Enterprise Gateway 3.",
            )
        text = f"{KINDS.get(self.kind, self.kind)} {version}."
        if is_vulnerable(str(model.get("version", ""))):
            return warning(
                f"{text} That jupyter_server has known vulnerabilities.",
                "Enterprise Gateway needs this old one: let only people you trust reach it."
                if self.kind == "enterprise-gateway"
                else f"{UPDATE_SERVER}, in the gateway's environment.",
            )
        return good(text)

    def _kind(self, model: dict[str, Any]) -> str:
        if "gateway_version" in model:
            return "enterprise-gateway"
        info = self._object("/api/swagger.json").get("info")
        title = str(info.get("title", "")) if isinstance(info, dict) else ""
        if "Kernel Gateway" in title:
            return "kernel-gateway"
        return "jupyter-server" if "started" in self._object("/api/status") else ""

    def _object(self, path: str) -> dict[str, Any]:
        response = self.wire.ask("GET", path)
        usable = response.status_code == 200 and is_object(response)
        return dict(response.json()) if usable else {}

    def clock(self) -> Result:
        """The gateway's clock is like ours."""
        before, after, date = self._asked_at
        try:
            there = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            return not_tried("The gateway does not say what time it is.")
        there = there if there.tzinfo else there.replace(tzinfo=timezone.utc)
        here = datetime.fromtimestamp((before + after) / 2, timezone.utc)
        skew = (there - here).total_seconds() + 0.5  # HTTP cuts off what is below a second
        if abs(skew) <= SKEW:
            return good("The two clocks agree to within seconds.")
        which = "ahead of" if skew > 0 else "behind"
        return warning(
            f"The gateway's clock is {abs(skew):.0f} s {which} this computer's.",
            "Set both with NTP: certificates, renewed tokens and tickets between replicas depend on"
            " them.",
        )

    def specs(self) -> Result:
        """There are kernelspecs, and the default one is among them."""
        names = sorted(self.kernelspecs)
        if not names:
            raise CheckFailed(
                "The gateway has no kernelspecs, so no kernel can be started.",
                "Install a kernel in its environment (pip install ipykernel), or see what hides"
                " them there (allowed_kernelspecs).",
            )
        text = f"{len(names)}: {', '.join(names)[:200]}."
        if self.default_kernelspec not in names:
            return warning(
                f"{text} The default, {self.default_kernelspec!r}, is not among them.",
                "Set the gateway's default_kernel_name to one of them.",
            )
        return good(f"{text} Default: {self.default_kernelspec}.")

    def addon(self) -> Result:
        """Whether the add-on is there, with what the mode needs of it."""
        mode, needed = self.gateway.mode, {"direct": "tickets", "browser": "passes"}
        wanted = needed.get(mode, "")
        has = f"Version {self.add_on}: {', '.join(self.features) or 'no features'}."
        if not self.add_on:
            text = "notebook-remote-gateway is not switched on at the gateway."
            step = "Install it and switch it on there; gateway/README.md has the line."
            if mode == "browser" and not self.gateway.insecure_token_in_page:
                raise CheckFailed(f"{text} Mode 'browser' needs it.", step)
            if mode == "direct" and not self.gateway.insecure_token_in_page:
                return warning(f"{text} Pages will go through the notebook server.", step)
            return not_tried(f"{text} Mode {mode!r} does not need it.")
        if wanted and wanted not in self.features and not self.gateway.insecure_token_in_page:
            raise CheckFailed(
                f"{has} Mode {mode!r} needs {wanted}.",
                "Set NOTEBOOK_REMOTE_ALLOWED_ORIGINS at the gateway to the origin of your pages."
                if wanted == "passes"
                else "Give the gateway a token: without one the add-on gives no tickets.",
            )
        return good(has)


def is_object(response: requests.Response) -> bool:
    """Whether the answer is a JSON object."""
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False


def _ms(elapsed: Any) -> str:
    return f"{elapsed.total_seconds() * 1000:.0f} ms"
