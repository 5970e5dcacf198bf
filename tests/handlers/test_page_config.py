"""The part of the configuration that pages get."""

from __future__ import annotations

import pytest

from notebook_remote.config.gateway import Gateway
from notebook_remote.handlers.page_config import page_config


def test_pages_get_no_secrets() -> None:
    gateway = Gateway(url="http://gpu:8888", auth_token="s3cret", mode="direct")
    config = page_config([gateway], lambda url: "scope")
    assert [backend["mode"] for backend in config["backends"]] == ["direct"]
    assert "s3cret" not in str(config)
    assert "gpu:8888" not in str(config)


def test_pages_in_browser_mode_get_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNEL_USERNAME", "ada")
    gateway = Gateway(url="https://gpu:8888", auth_token="s3cret", mode="browser")
    [backend] = page_config([gateway], lambda url: f"scope of {url}")["backends"]
    assert backend["url"] == "https://gpu:8888"
    assert backend["scope"] == "scope of https://gpu:8888"
    assert backend["env"] == {"KERNEL_USERNAME": "ada"}
    assert "s3cret" not in str(backend)
