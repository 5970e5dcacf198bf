"""The headers and the TLS settings that prove us to a gateway."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.gateway.gateway_client import GatewayTokenRenewerBase
from traitlets.config import Config

from notebook_remote.client.auth import GatewayAuth
from notebook_remote.config.gateway import Gateway
from notebook_remote.exceptions import GatewayAuthError


def headers(**options: Any) -> dict[str, str]:
    config = Gateway(config=Config({"Gateway": {"url": "http://host", **options}}))
    return asyncio.run(GatewayAuth(config).headers())


class Renewer(GatewayTokenRenewerBase):
    def get_token(
        self, auth_header_key: str, auth_scheme: str | None, auth_token: str, **kwargs: Any
    ) -> str:
        return f"{auth_header_key}/{auth_scheme}/{auth_token}+"


class BrokenRenewer(GatewayTokenRenewerBase):
    def get_token(self, *args: Any, **kwargs: Any) -> str:
        raise RuntimeError("s3cret")


def test_a_token() -> None:
    assert headers() == {}
    assert headers(auth_token="abc") == {"Authorization": "token abc"}
    assert headers(auth_token="abc", auth_scheme="Bearer") == {"Authorization": "Bearer abc"}
    for none in ("", None, "None"):
        assert headers(auth_token="abc", auth_scheme=none) == {"Authorization": "abc"}
    found = headers(auth_token="abc", auth_header_key="X-Key", auth_scheme="")
    assert found == {"X-Key": "abc"}


def test_more_headers_and_who_wins() -> None:
    more = '{"X-Team": "a", "authorization": "mine"}'
    assert headers(headers=more) == {"X-Team": "a", "authorization": "mine"}
    found = headers(headers=more, auth_token="abc")
    assert found == {"X-Team": "a", "Authorization": "token abc"}


def test_basic_authentication() -> None:
    found = headers(http_user="ada", http_pwd="pw")
    assert found == {"Authorization": "Basic YWRhOnB3"}
    found = headers(http_user="ada", http_pwd="pw", auth_token="abc", auth_header_key="X-Key")
    assert found == {"Authorization": "Basic YWRhOnB3", "X-Key": "token abc"}


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    config = Gateway(
        config=Config({"Gateway": {"url": "http://host", "auth_token_file": str(path)}})
    )
    auth = GatewayAuth(config)
    assert asyncio.run(auth.headers()) == {"Authorization": "token one"}
    path.write_text("two\n")
    assert asyncio.run(auth.headers()) == {"Authorization": "token two"}
    path.unlink()
    with pytest.raises(GatewayAuthError, match="cannot be read"):
        asyncio.run(auth.headers())


@pytest.mark.parametrize("token", ["a\nb", "gehe\u00edm", "\ufeffabc", "a\0b"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(GatewayAuthError, match="correct the token") as caught:
        headers(auth_token=token)
    assert token not in str(caught.value)
    assert headers(auth_token=" abc\n") == {"Authorization": "token abc"}


def test_a_renewer_is_asked_each_time() -> None:
    config = Gateway(
        config=Config(
            {
                "Gateway": {"url": "http://host", "auth_token": "a"},
                "GatewayClient": {"gateway_token_renewer_class": f"{__name__}.Renewer"},
            }
        )
    )
    auth = GatewayAuth(config)
    assert asyncio.run(auth.headers()) == {"Authorization": "token Authorization/token/a+"}
    found = asyncio.run(auth.headers())["Authorization"]
    assert found == "token Authorization/token/Authorization/token/a++"


def test_a_broken_renewer_leaves_the_token(caplog: pytest.LogCaptureFixture) -> None:
    found = headers(auth_token="a", gateway_token_renewer_class=BrokenRenewer)
    assert found == {"Authorization": "token a"}
    assert "could not be renewed by BrokenRenewer" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_token_of_a_page_counts_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    options = {"url": "http://host", "auth_token_file": str(path)}
    auth = GatewayAuth(Gateway(config=Config({"Gateway": options})))

    async def scenario() -> list[str]:
        await auth.set_credentials({"auth_token": "entered"})
        found = [await auth.headers()]
        path.write_text("renewed")
        found.append(await auth.headers())
        await auth.set_credentials({"auth_token": "again"})
        path.unlink()
        found.append(await auth.headers())
        return [headers["Authorization"] for headers in found]

    assert asyncio.run(scenario()) == ["token entered", "token renewed", "token again"]


def test_a_keyring_that_waits_for_its_user_holds_up_no_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("notebook_remote.client.auth.KEYRING_TIMEOUT", 0.01)
    unlocked = threading.Event()

    def load() -> dict[str, str]:
        unlocked.wait()
        return {"auth_token": "kept"}

    config = Gateway(config=Config({"Gateway": {"url": "http://host"}}))
    config.stored_credentials = load
    auth = GatewayAuth(config)

    async def scenario() -> list[dict[str, str]]:
        found = [await auth.headers(), await auth.headers()]
        unlocked.set()
        while found[-1] == {}:
            found.append(await auth.headers())
        return [found[0], found[1], found[-1]]

    assert asyncio.run(scenario()) == [{}, {}, {"Authorization": "token kept"}]
    assert caplog.text.count("unlock it") == 1
