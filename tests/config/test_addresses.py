"""Addresses in the configuration: normalized, or an error that shows no password."""

from __future__ import annotations

import pytest
from traitlets import TraitError

from notebook_remote.config.addresses import check_proxy, checked_url


def test_a_url_is_normalized() -> None:
    assert checked_url(" https://Host:443/a/../b ", "url") == "https://host/b"
    assert checked_url("wss://host", "ws_url") == "wss://host"
    assert checked_url(" ", "url") == ""


@pytest.mark.parametrize(
    ("value", "option", "words"),
    [
        ("host:8888", "url", "write it as http://host:8888"),
        ("ws://host", "url", "write it as http://host:8888"),
        ("http://host", "ws_url", "an address for Gateway.ws_url"),
        ("http://host:0", "url", "write it as"),
        ("http://host:x", "url", "write it as"),
        ("http://ho st", "url", "Check its spelling"),
        ("http://ada:s3cret/x@host", "url", "write / as %2F"),
        ("ada:s3cret@host", "url", "write it as"),
    ],
)
def test_what_is_not_an_address(value: str, option: str, words: str) -> None:
    with pytest.raises(TraitError, match=words) as raised:
        checked_url(value, option)
    assert "s3cret" not in str(raised.value)


def test_a_proxy_speaks_http() -> None:
    check_proxy("")
    check_proxy("http://ada:s3cret@proxy:3128")
    for proxy in ("https://proxy", "proxy:3128", "http://ada:s3cret/x@proxy", "http://"):
        with pytest.raises(TraitError, match=r"Gateway\.proxy") as raised:
            check_proxy(proxy)
        assert "s3cret" not in str(raised.value)
