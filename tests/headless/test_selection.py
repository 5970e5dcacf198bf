"""Which gateway a kernelspec's name means, as far as no gateway has to be asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from notebook_remote.client.connection import GatewayConnection
from notebook_remote.config.gateway import Gateway
from notebook_remote.exceptions import KernelSpecNotFound
from notebook_remote.headless.selection import choose, kernelspec_metadata


def chosen(name: str, *gateways: str) -> tuple[str, str]:
    """The names of the gateway and of the kernelspec there."""

    async def run() -> tuple[str, str]:
        connections = [
            GatewayConnection(Gateway(given_name=gateway, options={"url": "http://localhost:1"}))
            for gateway in gateways
        ]
        try:
            gateway, own = await choose(connections, name)
            return gateway.config.name, own
        finally:
            await asyncio.gather(*(connection.close() for connection in connections))

    return asyncio.run(run())


def test_a_qualified_name_names_its_gateway() -> None:
    assert chosen("python3@gpu", "cpu", "gpu") == ("gpu", "python3")
    assert chosen("@gpu", "cpu", "gpu") == ("gpu", "")


def test_the_only_gateway_is_meant_by_every_name() -> None:
    assert chosen("python3", "gpu") == ("gpu", "python3")
    assert chosen("", "gpu") == ("gpu", "")


def test_an_unknown_gateway_is_an_error() -> None:
    with pytest.raises(KernelSpecNotFound) as caught:
        chosen("python3@tpu", "cpu", "gpu")
    assert caught.value.message == "There is no gateway 'tpu'. There are: cpu, gpu."


@pytest.mark.parametrize(
    ("model", "metadata"),
    [
        (None, {"name": "k", "display_name": "k"}),
        ({"spec": []}, {"name": "k", "display_name": "k"}),
        ({"spec": {"display_name": "K"}}, {"name": "k", "display_name": "K"}),
        (
            {"spec": {"display_name": "K", "language": "r"}},
            {"name": "k", "display_name": "K", "language": "r"},
        ),
    ],
)
def test_the_metadata_of_a_kernelspec(model: Any, metadata: dict[str, str]) -> None:
    assert kernelspec_metadata("k", model) == metadata
