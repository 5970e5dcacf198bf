"""The doctor's transport: sockets, REST with requests, WebSockets with websocket-client.

Nothing here is shared with our client and relay, so that the doctor can find their errors. Like
them it uses ``Gateway.proxy`` and no proxy of the environment, follows no redirect, and trusts
the certificate authorities of the system, or those of ``Gateway.ca_certs``.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests
import urllib3
import websocket
from jupyter_server.gateway.gateway_client import NoOpTokenRenewer
from requests.adapters import HTTPAdapter

from ..config.gateway import Gateway
from ..redaction import without_secrets
from .findings import CheckFailed


class ProxyRefused(OSError):
    """A proxy refuses to connect to the gateway; the message is its answer."""


class Transport:
    """Connections to one gateway, with the configured credentials."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.limit = float(gateway.connect_timeout)  # seconds for all requests but a kernel's start
        self.headers: dict[str, str] = {}
        self.context: ssl.SSLContext | None = None
        self.addresses: list[str] = []  # that accept connections; set by the checks
        self.cookies: dict[str, str] = {}
        self.cookie_names: set[str] = set()
        self.xsrf = ""  # the XSRF token, for a Jupyter Server without authentication
        self.secrets: set[str] = {gateway.auth_token, gateway.http_pwd or ""}
        parts = urlsplit(gateway.url)
        self.secure = parts.scheme == "https"
        self.proxy = urlsplit(gateway.proxy)
        self.secrets.add(unquote(self.proxy.password or ""))
        self.host, self.port = parts.hostname or "", parts.port or (443 if self.secure else 80)

    # -- credentials ----------------------------------------------------------------------------

    def load_credentials(self) -> None:
        """Read the token and build the headers with our credentials. Raises CheckFailed."""
        gateway = self.gateway
        token = self._token()
        self.headers = dict(gateway.extra_headers)
        if token:
            scheme = (gateway.auth_scheme or "").strip()
            no_scheme = not scheme or scheme.lower() == "none"
            self._set_header(gateway.auth_header_key, token if no_scheme else f"{scheme} {token}")
        if gateway.http_user:
            pair = f"{gateway.http_user}:{gateway.http_pwd or ''}".encode()
            self._set_header("Authorization", "Basic " + base64.b64encode(pair).decode())
        for name, value in self.headers.items():
            self.secrets |= {value, value.rpartition(" ")[2]}
            if not (value.isascii() and name.isascii() and f"{name}{value}".isprintable()):
                raise CheckFailed(
                    f"The header {name!r} contains a line break or a letter that has no place in"
                    " a header.",
                    "Correct the token, or Gateway.headers.",
                )

    def _token(self) -> str:
        gateway = self.gateway
        token = str(gateway.auth_token or "")
        if gateway.auth_token_file:
            try:
                token = Path(gateway.auth_token_file).read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise CheckFailed(
                    f"The token cannot be read from {gateway.auth_token_file}"
                    f" ({type(error).__name__}).",
                    "Correct --gateway-token-file or the file.",
                ) from None
        if gateway.gateway_token_renewer_class is not NoOpTokenRenewer:
            token = self._renew(token.strip())
        self.secrets |= {token, token.strip()}
        return token.strip()

    def _renew(self, token: str) -> str:
        gateway = self.gateway
        renewer = gateway.gateway_token_renewer_class(parent=gateway, log=gateway.log)
        try:
            return str(renewer.get_token(gateway.auth_header_key, gateway.auth_scheme, token))
        except Exception as error:  # noqa: BLE001 - other people's code
            raise CheckFailed(
                f"{type(renewer).__name__} could not renew the token ({type(error).__name__}).",
                "Correct what Gateway.gateway_token_renewer_class names.",
            ) from None

    def _set_header(self, name: str, value: str) -> None:
        for old in [key for key in self.headers if key.lower() == name.lower()]:
            del self.headers[old]
        self.headers[name] = value

    def redact(self, text: str) -> str:
        """A text for people: in one line, without control characters and secrets."""
        for secret in sorted(self.secrets - {""}, key=len, reverse=True):
            for form in (secret, quote(secret, safe="")):
                # A short secret may be part of any word: only a whole word is replaced.
                whole = rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < 6 else re.escape(form)
                text = re.sub(whole, "[secret]", text)
        printable = "".join(c if c.isprintable() else " " for c in text)
        return without_secrets(" ".join(printable.split()))

    # -- sockets --------------------------------------------------------------------------------

    def load_tls_files(self) -> None:
        """Make the TLS settings. Raises CheckFailed if a file cannot be used."""
        gateway = self.gateway
        try:
            context = ssl.create_default_context(cafile=gateway.ca_certs or None)
            if gateway.client_cert:
                context.load_cert_chain(gateway.client_cert, gateway.client_key or None)
        except OSError as error:  # ssl.SSLError is one
            raise CheckFailed(
                f"The TLS files cannot be used: {error}.",
                "Correct Gateway.ca_certs, Gateway.client_cert or Gateway.client_key: PEM files.",
            ) from None
        self.context = context if gateway.validate_cert else trust_all(context)
        if not gateway.validate_cert:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def connect(self, address: str, port: int) -> socket.socket:
        """Open a TCP connection, through the proxy if there is one. Raises OSError."""
        if not self.proxy.hostname:
            return socket.create_connection((address, port), self.limit)
        sock = socket.create_connection((self.proxy.hostname, self.proxy.port or 80), self.limit)
        try:
            self._pass_proxy(sock, f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        except BaseException:
            sock.close()
            raise
        return sock

    def _pass_proxy(self, sock: socket.socket, where: str) -> None:
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if self.proxy.username:
            pair = f"{unquote(self.proxy.username)}:{unquote(self.proxy.password or '')}"
            lines.append("Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode())
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n") and len(answer) < 65536:
            byte = sock.recv(1)  # one byte at a time: what follows the answer is the gateway's
            if not byte:
                break
            answer += byte
        status = answer.partition(b"\r\n")[0].decode("latin1").split(" ", 1)
        if len(status) < 2 or not status[1].startswith("2"):
            raise ProxyRefused(status[1] if len(status) > 1 else "no answer")

    def stream(self, url: str) -> socket.socket:
        """A TCP connection to a URL's host, with TLS for https and wss. Raises OSError."""
        parts = urlsplit(url)
        secure = parts.scheme in ("https", "wss")
        host = parts.hostname or ""
        sock = self.connect(host, parts.port or (443 if secure else 80))
        if not secure or self.context is None:
            return sock
        try:
            return self.context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    # -- REST -----------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        authenticated: bool = True,
        address: str = "",
        seconds: float = 0.0,
        base: str = "",
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send a request on a connection of its own. Raises requests.RequestException.

        ``authenticated``: with our credentials. ``address``: to this one of the host's addresses.
        """
        parts = urlsplit((base or self.gateway.url) + path)
        sent = {"User-Agent": "notebook-remote-doctor", **(headers or {})}
        if authenticated:
            sent |= self.headers
            cookies = dict(self.cookies)
            if self.xsrf and method != "GET":
                cookies.setdefault("_xsrf", self.xsrf)
                sent.setdefault("X-XSRFToken", cookies["_xsrf"])
            if cookies:
                sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in cookies.items())
        if address:
            sent["Host"] = parts.netloc
            literal = f"[{address}]" if ":" in address else address
            parts = parts._replace(netloc=f"{literal}:{self.port}")
        with requests.Session() as session:
            session.trust_env = False
            if self.gateway.proxy:
                session.proxies = dict.fromkeys(("http", "https"), self.gateway.proxy)
            session.verify = bool(self.gateway.validate_cert)
            session.mount("https://", _TLSAdapter(self.context, self.host if address else ""))
            response = session.request(
                method,
                urlunsplit(parts),
                json=body,
                headers=sent,
                timeout=(self.limit, seconds or self.limit),
                allow_redirects=False,
            )
        self.cookie_names |= {c.name for c in response.cookies if "xsrf" not in c.name}
        if self.gateway.accept_cookies:
            self.cookies.update({str(c.name): str(c.value) for c in response.cookies})
        if (
            authenticated
            and response.status_code == 403
            and "_xsrf" in response.text
            and not self.xsrf
        ):
            self.xsrf = uuid.uuid4().hex  # any value, the same in a cookie and a header
            return self.request(
                method, path, body, address=address, seconds=seconds, base=base, headers=headers
            )
        return response

    # -- WebSockets -----------------------------------------------------------------------------

    def open(
        self,
        url: str,
        *,
        subprotocol: str,
        origin: str = "",
        authenticated: bool = True,
        seconds: float,
    ) -> websocket.WebSocket:
        """Open a WebSocket. Raises OSError or websocket.WebSocketException."""
        # As a header of our own: websocket-client takes a server without it for broken.
        lines = [f"Sec-WebSocket-Protocol: {subprotocol}", "User-Agent: notebook-remote-doctor"]
        if authenticated:
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
        cookie = "; ".join(f"{k}={v}" for k, v in self.cookies.items()) if authenticated else None
        sock = self.stream(url)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        ws = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
        try:
            ws.connect(  # type: ignore[no-untyped-call]
                url,
                socket=sock,
                timeout=seconds,
                header=lines,
                cookie=cookie,
                origin=origin or None,
                suppress_origin=not origin,
                redirect_limit=0,
            )
        except BaseException:
            sock.close()
            raise
        return ws


class _TLSAdapter(HTTPAdapter):
    """Uses our TLS settings, to which requests would add its own list of authorities.

    ``name`` is the host name, for a URL with an address in its place.
    """

    def __init__(self, context: ssl.SSLContext | None, name: str) -> None:
        self._pool: dict[str, Any] = {"ssl_context": context}
        if name:
            self._pool["server_hostname"] = name
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by requests."""
        super().init_poolmanager(*args, **{**kwargs, **self._pool})

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Called by requests."""
        return super().proxy_manager_for(*args, **{**kwargs, **self._pool})

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: requests would set its own list of authorities here."""


def trust_all(context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """TLS settings that accept any certificate."""
    context = context or ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
