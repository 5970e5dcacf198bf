"""The SSL context for a gateway."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from traitlets import TraitError

from notebook_remote.config.gateway import Gateway
from notebook_remote.config.tls import ssl_context


def test_certificates_are_verified_unless_that_is_switched_off() -> None:
    assert ssl_context(Gateway(url="https://host")).verify_mode == ssl.CERT_REQUIRED
    unverified = ssl_context(Gateway(url="https://host", validate_cert=False))
    assert (unverified.verify_mode, unverified.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize("option", ["ca_certs", "client_cert"])
def test_a_file_that_is_not_a_certificate(tmp_path: Path, option: str) -> None:
    path = tmp_path / "file.pem"
    path.write_text("not a certificate")
    config = Gateway(url="https://host", **{option: str(path)})
    with pytest.raises(TraitError, match="TLS files of the gateway cannot be used"):
        ssl_context(config)
