"""Which of the server's options an embedded gateway gets: those for kernels."""

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

KERNEL_SIDE = (
    AsyncMappingKernelManager,
    ServerKernelManager,
    KernelSpecManager,
    KernelProvisionerFactory,
    LocalProvisioner,
    Session,
    ZMQChannelsWebsocketConnection,
)
NOT_KERNELS = {"Configurable", "LoggingConfigurable", "SingletonConfigurable"}
# Options of ServerApp that jupyter_server passes on to the kernels' side, still in much use.
OLD_LIMITS = (
    "iopub_data_rate_limit",
    "iopub_msg_rate_limit",
    "kernel_ws_protocol",
    "limit_rate",
    "rate_limit_window",
)


def kernel_config(config: Config, server: type[ServerApp] = ServerApp) -> JsonObject:
    """The part of a notebook server's configuration that is about kernels, for their gateway.

    ``server`` is the class of the notebook server.
    """
    classes = list(KERNEL_SIDE)
    own_specs = config["ServerApp"].get("kernel_spec_manager_class")
    if own_specs:
        classes.append(own_specs if isinstance(own_specs, type) else import_item(str(own_specs)))
    traits = {name: trait for cls in classes for name, trait in cls.class_traits().items()}
    sections = {name for cls in classes for name in cls.section_names()} - NOT_KERNELS

    def about_kernels(part: Config) -> JsonObject:
        return {
            section: {
                name: _resolved(value, traits.get(name)) for name, value in part[section].items()
            }
            for section in sections
            if section in part
        }

    chosen = about_kernels(config)
    # Options may be said of one server's kernels: c.ServerApp.MappingKernelManager.root_dir.
    app: JsonObject = {}
    for section in server.section_names():  # the weakest first
        if section in config:
            for inner, options in about_kernels(config[section]).items():
                app[inner] = {**app.get(inner, {}), **options}
    if own_specs:
        app["kernel_spec_manager_class"] = own_specs
    if app:
        chosen["ServerApp"] = app
    limits = {k: v for k, v in config["ServerApp"].items() if k in OLD_LIMITS}
    if limits:
        name = ZMQChannelsWebsocketConnection.__name__
        chosen[name] = {**limits, **chosen.get(name, {})}
    plain: JsonObject = json.loads(json.dumps(chosen, default=_plain))
    return plain


def _resolved(value: object, trait: TraitType[object, object] | None) -> object:
    """A value that a configuration file builds on the default, such as ``….update({…})``."""
    if isinstance(value, LazyConfigValue):
        return value.get_value(trait.default() if trait is not None else None)
    return value


def _plain(value: object) -> object:
    """A configuration value as JSON has it: a class by its name, a command line's text as text."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return list(value) if isinstance(value, (set, tuple)) else str(value)
