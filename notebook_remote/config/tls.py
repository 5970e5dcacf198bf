"""Makes the SSL context for a gateway from its options."""

from __future__ import annotations

import ssl

from traitlets import TraitError

from .gateway import Gateway


def ssl_context(config: Gateway) -> ssl.SSLContext:
    """The SSL context for one gateway, for REST and WebSockets. Called once, at start.

    Raises TraitError if a certificate or key file is unusable.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_certs or None)
        if config.client_cert:
            context.load_cert_chain(config.client_cert, config.client_key or None)
    except (OSError, ssl.SSLError) as error:
        raise TraitError(
            "The TLS files of the gateway cannot be used (Gateway.ca_certs, client_cert,"
            f" client_key): {error}."
        ) from error
    if not config.validate_cert:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
