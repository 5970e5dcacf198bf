"""URLs are brought into one spelling, and what is no address is refused."""

from __future__ import annotations

import pytest

from notebook_remote.net.urls import normalized_url, split_credentials


@pytest.mark.parametrize(
    ("url", "normalized"),
    [
        ("https://Host:443/Team-A/http-gw", "https://host/Team-A/http-gw"),
        ("http://h/user/zoë", "http://h/user/zo%C3%AB"),
        ("http://h/user/zo%C3%AB", "http://h/user/zo%C3%AB"),
        ("http://h/a%2fb c", "http://h/a%2fb%20c"),
        ("http://héllo.de/x", "http://xn--hllo-bpa.de/x"),
        ("http://[::1]:80/a/../b", "http://[::1]/b"),
        ("wss://h:443/x", "wss://h/x"),
        ("http://my_host:8888", "http://my_host:8888"),
    ],
)
def test_one_spelling(url: str, normalized: str) -> None:
    assert normalized_url(url).rstrip("/") == normalized
    assert normalized_url(normalized).rstrip("/") == normalized


@pytest.mark.parametrize(
    "host", ["xn--a", "a b", "a..b", "a" * 64, "<x>", "ex%61mple", "a\nb", "-\u200d"]
)
def test_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        normalized_url(f"http://{host}:1/x")


def test_credentials_are_apart() -> None:
    url, found = split_credentials("http://ada:p%40ss@h:1/x/?token=t&y=z")
    assert url == "http://h:1/x"
    assert found == {"http_user": "ada", "http_pwd": "p@ss", "auth_token": "t"}
    assert split_credentials("http://h:1") == ("http://h:1", {})
