"""One spelling for URLs, so that REST, WebSockets, cookies and the store mean the same address.

People type ``https://Héllo.example:443/user/zoë/../ada``. HTTP libraries differ in what they make
of that: one encodes it, the other sends it as it is. So it is brought into the form of RFC 3986
where it enters: host in lower case and in its ASCII form (IDNA), path percent-encoded, without dot
segments and default port.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx

# What DNS and the hosts file can hold: letters, digits, dots, dashes, underscores; IPv6 has colons.
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(%25[a-z0-9._~-]+)?")
# The pages of a Jupyter Server, whose addresses people copy from their browser.
PAGE = re.compile(
    r"/(lab(/(tree|workspaces)(/.*)?)?|doc(/tree(/.*)?)?|tree(/.*)?|notebooks/.*\.ipynb"
    r"|nbclassic(/.*)?|edit/.*\.\w+|consoles/.+|terminals/\w+|login)/?$"
)


def server_address(url: str) -> str:
    """The address of a server, for that of one of its pages; its query stays.

    A gateway under a prefix that looks like a page is given by a page of its own, such as
    http://host/lab/lab. A slash at the end does not tell: browsers' addresses have one, too.
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=PAGE.sub("", parts.path).rstrip("/")))


def normalized_url(url: str) -> str:
    """The same address in its one spelling. Raises ValueError if it can be none.

    Called for every URL of the configuration, with a scheme and a host. A query stays as it is.
    """
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
        # httpx notices a bad "xn--" label when it is asked for the host; the resolver encodes the
        # host by Python's codec, which refuses empty labels and those that are too long.
        assert parsed.host is not None  # noqa: S101 - for the side effect of decoding it
        host.encode("idna")
    except (httpx.InvalidURL, ValueError) as error:  # IDNAError and UnicodeError are ValueErrors
        raise ValueError("its host cannot be the name of one") from error
    if not HOST.fullmatch(host):
        raise ValueError("its host cannot be the name of one")
    return str(parsed.copy_with(fragment=None))


def splits_password(url: str) -> bool:
    """Whether a / ? or # in a password has split it, as in ``http://ada:pa/ss@host``.

    With digits before the / it could be a host, its port and a path as well. An @ in the first
    segment of such a path is taken for the end of a password; in a later one, as in that of
    ``http://hub:8000/user/ada@example.org``, only if what follows looks like a host and a port.
    """
    found = re.match(r"\s*\w+://([^/?#]*)(.+)", url, re.DOTALL)
    if not found or "@" not in found[2]:
        return False
    _, colon, port = found[1].rpartition("@")[2].rpartition(":")
    if not colon or "]" in port:  # an address of IPv6 without a port
        return False
    if not port.isdigit():
        return bool(port)
    mark, rest = found[2][0], found[2][1:]
    if mark == "/":
        begins_so = "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]
    else:
        begins_so = "@" in rest and not re.match(r"\w+=", rest)  # as in ?token=
    ends_so = re.match(r"[^/?#:]+:\d+(?:[/?#]|$)", rest.rpartition("@")[2])
    return begins_so or ends_so is not None


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A URL without ``user:password@`` and ``?token=``, and these as options of Gateway.

    Logs and errors show URLs, and files keep them.
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
    """The same URL for WebSockets: ws in place of http, wss in place of https."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="wss" if parts.scheme == "https" else "ws"))
