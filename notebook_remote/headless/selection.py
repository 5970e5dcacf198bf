"""Selects the gateway of a kernelspec's name, for runs without a page and its dialog."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir
from traitlets.config import Config

from ..client.connection import GatewayConnection
from ..config.gateway import Gateway
from ..config.named import Gateways
from ..exceptions import GatewayError, KernelSpecNotFound
from ..kernelspec_names import qualify, split, unique_names
from ..storage.saved_gateways import SavedGateways


def configured_gateways(config: Config) -> list[Gateway]:
    """The configured gateways and those that were added in pages, without this computer.

    ``config`` holds the sections of ``Gateway`` and ``Gateways``. Raises TraitError.
    """
    gateways = Gateways(config=config)
    found = {gateway.name: gateway for gateway in gateways.all()}
    saved = SavedGateways(Path(jupyter_data_dir()) / "notebook-remote", gateways.log)
    added = [gateway for gateway, _ in saved.gateways(gateways, found)]
    every = [*found.values(), *added]
    return [gateway for gateway in every if gateway.url and gateway.mode != "local"]


async def choose(gateways: list[GatewayConnection], name: str) -> tuple[GatewayConnection, str]:
    """The gateway of a kernelspec's name, and the gateway's own name for the kernelspec.

    As in a page: ``python3@gpu`` names the gateway gpu, and a name that only one gateway has means
    that one. Empty means the default of the only gateway. Raises GatewayError.
    """
    own, where = split(name)
    for gateway in gateways:
        if where and gateway.config.name == where:
            return gateway, own
    if where:
        names = ", ".join(gateway.config.name for gateway in gateways)
        raise KernelSpecNotFound(name, f"There is no gateway {where!r}. There are: {names}.")
    if len(gateways) == 1:
        return gateways[0], name
    listed, errors = await _kernelspecs(gateways)
    candidates = [gateway for gateway in gateways if name in listed.get(gateway.config.name, ())]
    if len(candidates) == 1:
        return candidates[0], name
    if candidates:
        choices = " or ".join(qualify(name, g.config.name) for g in candidates)
        raise KernelSpecNotFound(
            name, f"More than one gateway has a kernel {name!r}: choose {choices}."
        )
    if not listed:
        raise next(iter(errors.values()))
    known = ", ".join(sorted(unique_names(listed).values()))
    down = "".join(f" (The gateway {gateway!r}: {e.message})" for gateway, e in errors.items())
    what = f"No gateway has a kernel {name!r}." if name else "No kernel was named."
    raise KernelSpecNotFound(name, f"{what} Choose one of {known}.{down}")


async def describe(configs: list[Gateway], name: str) -> dict[str, str]:
    """The metadata of the kernelspec of this name: see ``kernelspec_metadata``.

    Raises GatewayError.
    """
    gateways = [GatewayConnection(config) for config in configs]
    try:
        gateway, own = await choose(gateways, name)
        return kernelspec_metadata(
            own, (await gateway.client.kernelspecs())["kernelspecs"].get(own)
        )
    finally:
        await asyncio.gather(*(gateway.close() for gateway in gateways))


def kernelspec_metadata(name: str, model: object) -> dict[str, str]:
    """The ``kernelspec`` of a notebook's metadata, from a gateway's model of it."""
    spec = model.get("spec") if isinstance(model, dict) else None
    spec = spec if isinstance(spec, dict) else {}
    found = {"name": name, "display_name": str(spec.get("display_name") or name)}
    return {**found, "language": str(spec["language"])} if spec.get("language") else found


async def _kernelspecs(
    gateways: list[GatewayConnection],
) -> tuple[dict[str, list[str]], dict[str, GatewayError]]:
    """The names of kernelspecs by gateway, and the errors of the other gateways."""
    answers = await asyncio.gather(
        *(gateway.client.kernelspecs() for gateway in gateways), return_exceptions=True
    )
    listed: dict[str, list[str]] = {}
    errors: dict[str, GatewayError] = {}
    for gateway, answer in zip(gateways, answers, strict=True):
        if isinstance(answer, GatewayError):
            errors[gateway.config.name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            listed[gateway.config.name] = list(answer["kernelspecs"])
    return listed, errors
