"""The part of the configuration that pages get."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..backends.base import label
from ..config.gateway import Gateway
from ..types import JsonObject


def page_config(gateways: list[Gateway], scope: Callable[[str], str]) -> JsonObject:
    """The backends for every page's configuration, without their secrets.

    ``scope`` returns the scope of this server's pages at the gateway of a URL, in browser mode.
    """
    return {"backends": [_backend_model(config, scope) for config in gateways]}


def _backend_model(config: Gateway, scope: Callable[[str], str]) -> JsonObject:
    model: JsonObject = {"name": config.name, "label": label(config), "mode": config.mode}
    if config.mode == "browser":
        model["url"], model["ws_url"] = config.url, config.page_url
        model["scope"] = scope(config.url)
        model["insecure_token"] = config.insecure_token_in_page
        user = os.environ.get("KERNEL_USERNAME")  # Enterprise Gateway may require it
        model["env"] = {"KERNEL_USERNAME": user} if user else {}
    return model
