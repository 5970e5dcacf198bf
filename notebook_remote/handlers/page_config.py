"""What of the configuration pages get to see."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..backends.base import label
from ..config.gateway import Gateway
from ..types import JsonObject


def page_config(gateways: list[Gateway], scope: Callable[[str], str]) -> JsonObject:
    """What every page is told about the gateways, in its configuration: nothing of their secrets.

    ``scope`` makes what this server's pages share at the gateway of a URL, in browser mode.
    """
    return {"backends": [_shown(config, scope) for config in gateways]}


def _shown(config: Gateway, scope: Callable[[str], str]) -> JsonObject:
    told: JsonObject = {"name": config.name, "label": label(config), "mode": config.mode}
    if config.mode == "browser":
        told["url"], told["ws_url"] = config.url, config.page_url
        told["scope"] = scope(config.url)
        told["insecure_token"] = config.insecure_token_in_page
        user = os.environ.get("KERNEL_USERNAME")  # which Enterprise Gateway may ask for
        told["env"] = {"KERNEL_USERNAME": user} if user else {}
    return told
