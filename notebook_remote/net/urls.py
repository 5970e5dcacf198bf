"""Normalizes URLs, so that REST, WebSockets, cookies and stored files use the same address.

People type ``https://Héllo.example:443/user/zoë/../ada``, and HTTP libraries differ in how they
encode that. So each URL of the configuration is normalized first (RFC 3986): the host in lower case
and ASCII (IDNA), the path percent-encoded, no dot segments, no default port.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx

# Host names in DNS and the hosts file, and IPv6 addresses.
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%25[a-z0-9._~-]+)?")
# Paths of a Jupyter Server's pages: people copy them from their browser's address bar.
PAGE = re.compile(
    r"/(lab(/(tree|workspaces)(/.*)?)?|doc(/tree(/.*)?)?|tree(/.*)?|notebooks/.*\.ipynb"
    r"|nbclassic(/.*)?|edit/.*\.\w+|consoles/.+|terminals/\w+|login)/?$"
)


def server_address(url: str) -> str:
    """The address of a Jupyter Server, given the address of one of its pages; the query stays.

    For a server whose path prefix looks like a page, give one of its pages: http://host/lab/lab.
    A slash at the end makes no difference, since addresses of pages may have one.
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=PAGE.sub("", parts.path).rstrip("/")))


def normalized_url(url: str) -> str:
    """The URL in its normal form; the query stays unchanged. Raises ValueError for a bad host.

    ``url`` has a scheme and a host.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
        # httpx detects a bad "xn--" label only when it decodes the host; Python's codec, which the
        # resolver uses, rejects labels that are empty or too long.
        assert parsed.host is not None  # noqa: S101 - for the side effect of decoding it
        host.encode("idna")
    except (httpx.InvalidURL, ValueError) as error:  # IDNAError and UnicodeError are ValueErrors
        raise ValueError("its host cannot be the name of one") from error
    if not HOST.fullmatch(host):
        raise ValueError("its host cannot be the name of one")
    return str(parsed.copy_with(fragment=None))


def splits_password(url: str) -> bool:
    """Whether an unencoded / ? or # in a password splits the URL: ``http://ada:pa/ss@host``.

    Digits before the / may be a port. Then an @ in the first segment of the path counts as the end
    of a password; one in a later segment (``http://hub:8000/user/ada@example.org``) only if a host
    and a port follow.
    """
    found = re.match(r"\s*\w+://([^/?#]*)(.+)", url, re.DOTALL)
    if not found or "@" not in found[2]:
        return False
    _, colon, port = found[1].rpartition("@")[2].rpartition(":")
    if not colon or "]" in port:  # an IPv6 address without a port
        return False
    if not port.isdigit():
        return bool(port)
    mark, rest = found[2][0], found[2][1:]
    if mark == "/":
        password_in_start = "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]
    else:
        password_in_start = "@" in rest and not re.match(r"\w+=", rest)  # a query such as ?token=
    host_at_end = re.match(r"[^/?#:]+:\d+(?:[/?#]|$)", rest.rpartition("@")[2])
    return password_in_start or host_at_end is not None


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A URL without ``user:password@`` and ``?token=``, and these as options of Gateway.

    URLs are shown in logs and errors and stored in files, and must contain no secrets.
    """
    parts = urlsplit(url)
    found = {
        "http_user": unquote(parts.username or ""),
        "http_pwd": unquote(parts.password or ""),
        "auth_token": parse_qs(parts.query).get("token", [""])[0],
    }
    netloc = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
    return plain, {name: value for name, value in found.items() if value}


def same_server(one: str, other: str) -> bool:
    """Whether two normalized URLs have the same scheme, host and port."""
    return urlsplit(one)[:2] == urlsplit(other)[:2]


def websocket_url(url: str) -> str:
    """The URL with ws in place of http, wss in place of https."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))
