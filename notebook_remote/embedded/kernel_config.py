"""Selects the options about kernels from a server's configuration, for its embedded gateway."""

from __future__ import annotations

import json

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from jupyter_client.session import Session
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)
from traitlets import TraitType
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue
from traitlets.utils.importstring import import_item

from ..types import JsonObject

KERNEL_CLASSES = (
    AsyncMappingKernelManager,
    ServerKernelManager,
    KernelSpecManager,
    KernelProvisionerFactory,
    LocalProvisioner,
    Session,
    ZMQChannelsWebsocketConnection,
)
COMMON_SECTIONS = {"Configurable", "LoggingConfigurable", "SingletonConfigurable"}
# Deprecated options of ServerApp, which jupyter_server passes to its WebSocket connections.
DEPRECATED_OPTIONS = (
    "iopub_data_rate_limit",
    "iopub_msg_rate_limit",
    "kernel_ws_protocol",
    "limit_rate",
    "rate_limit_window",
)


def kernel_config(config: Config, server: type[ServerApp] = ServerApp) -> JsonObject:
    """The options about kernels in a notebook server's configuration, as JSON.

    ``server`` is the class of the notebook server.
    """
    classes = list(KERNEL_CLASSES)
    specs_class = config["ServerApp"].get("kernel_spec_manager_class")
    if specs_class:
        classes.append(
            specs_class if isinstance(specs_class, type) else import_item(str(specs_class))
        )
    traits = {name: trait for cls in classes for name, trait in cls.class_traits().items()}
    sections = {name for cls in classes for name in cls.section_names()} - COMMON_SECTIONS

    def about_kernels(part: Config) -> JsonObject:
        return {
            section: {
                name: _resolved(value, traits.get(name)) for name, value in part[section].items()
            }
            for section in sections
            if section in part
        }

    selected = about_kernels(config)
    # Sections may be nested in the server's: c.ServerApp.MappingKernelManager.root_dir.
    app: JsonObject = {}
    for section in server.section_names():  # the weakest first
        if section in config:
            for inner, options in about_kernels(config[section]).items():
                app[inner] = {**app.get(inner, {}), **options}
    if specs_class:
        app["kernel_spec_manager_class"] = specs_class
    if app:
        selected["ServerApp"] = app
    limits = {k: v for k, v in config["ServerApp"].items() if k in DEPRECATED_OPTIONS}
    if limits:
        name = ZMQChannelsWebsocketConnection.__name__
        selected[name] = {**limits, **selected.get(name, {})}
    plain: JsonObject = json.loads(json.dumps(selected, default=_plain))
    return plain


def _resolved(value: object, trait: TraitType[object, object] | None) -> object:
    """The value of an option that a configuration file changes, as with ``….update({…})``."""
    if isinstance(value, LazyConfigValue):
        return value.get_value(trait.default() if trait is not None else None)
    return value


def _plain(value: object) -> object:
    """A value that JSON cannot represent: a class as its name, others as list or text."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return list(value) if isinstance(value, (set, tuple)) else str(value)
