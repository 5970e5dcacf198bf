"""Secrets in what traitlets logs with --debug."""

from __future__ import annotations

from notebook_remote.redaction import redacted

from .support.servers import Farm
from .support.shared_servers import SharedServers


def test_secrets_are_masked_and_the_rest_is_not() -> None:
    config = {
        "Gateway": {"auth_token": "abc", "url": "http://ada:pw@h:1/x", "mode": "proxy"},
        "GatewayClient": {"headers": '{"X": "abc"}', "http_pwd": "abc", "auth_token_file": "f"},
        "IdentityProvider": {"token": "abc", "hashed_password": "abc"},
    }
    shown = redacted(config)
    assert "abc" not in str(shown)
    assert "pw@" not in str(shown)
    assert shown["Gateway"]["url"] == "http://h:1/x"
    assert shown["Gateway"]["mode"] == "proxy"
    assert shown["GatewayClient"]["auth_token_file"] == "f"


def test_a_debug_log_has_no_secrets(farm: Farm, shared: SharedServers) -> None:
    gateway = shared.gateway("kernel-gateway")
    url = gateway.url.replace("://", "://ada:s3cret@")
    notebook = farm.notebook(
        "--debug",
        f"--gateway-url={url}",
        f"--gateway-token={gateway.token}",
        "--Gateway.auth_header_key=X-Other",
        "--GatewayClient.headers={'X-Key': 'k3y'}".replace("'", '"'),
    ).start()
    notebook.get("/api/kernelspecs")
    notebook.stop()
    assert "Config changed" in notebook.log
    for secret in ("s3cret", gateway.token, "k3y", notebook.token):
        assert secret not in notebook.log, secret
