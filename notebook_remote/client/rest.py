"""The REST API of one gateway: a method for each call."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote

import httpx

from ..exceptions import (
    GatewayAnswerError,
    GatewayAuthError,
    GatewayLimitReached,
    KernelNotFound,
)
from ..types import JsonObject
from .errors import json_body
from .http_client import GatewayHttpClient
from .models import KERNEL_ID, kernel_model, kernelspec_model, names_missing_kernel

# To find out whether a kernel is really gone: number of requests, and the seconds between them.
GONE_CHECKS, GONE_CHECK_INTERVAL = 3, 1.0


class RestClient(GatewayHttpClient):
    """The REST API of one gateway. Owned by its connection; every method raises GatewayError."""

    async def kind(self) -> str:
        """The kind of gateway: ``enterprise-gateway``, or ``jupyter`` for all others.

        Also ``jupyter`` behind a proxy that allows requests for kernels and kernelspecs only.
        """
        try:
            model = self._object(await self._send("GET", "/api"))
        except (GatewayAnswerError, GatewayAuthError):
            return "jupyter"
        return "enterprise-gateway" if "gateway_version" in model else "jupyter"

    async def kernelspecs(self, user: str | None = None) -> JsonObject:
        """The response of ``GET /api/kernelspecs``; Enterprise Gateway filters it by user."""
        params = {"user": user} if user else None
        response = await self._send("GET", self.config.kernelspecs_endpoint, params=params)
        model = self._object(response)
        listed = model.get("kernelspecs")
        if not isinstance(listed, dict):
            raise self.errors.unexpected(response)
        specs = {name: kernelspec_model(name, spec) for name, spec in listed.items()}
        for name in (name for name, spec in specs.items() if spec is None):
            self.errors.warn_once(
                f"The kernelspec {name[:100]!r} of the gateway at {self.errors.where} is left out:"
                " what it says of it is no kernelspec."
            )
        default = model.get("default")
        return {
            "default": default if isinstance(default, str) else "",
            "kernelspecs": {name: spec for name, spec in specs.items() if spec is not None},
        }

    async def kernelspec(self, name: str) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound."""
        if name in (".", ".."):
            raise self.errors.kernelspec_not_found(name)
        path = f"{self.config.kernelspecs_endpoint}/{quote(name, safe='')}"
        response = await self._send("GET", path, accept=(404,))
        if response.status_code == 404:
            raise self.errors.kernelspec_not_found(name)
        model = kernelspec_model(name, self._object(response))
        if model is None:
            raise self.errors.unexpected(response)
        return model

    async def kernelspec_resource(self, name: str, path: str) -> bytes | None:
        """The content of a kernelspec's file, such as its logo; None if there is no such file."""
        parts = [name, *path.split("/")]
        if any(part in ("", ".", "..") for part in parts):
            return None
        quoted = "/".join(quote(part, safe="") for part in parts)
        url = f"{self.config.kernelspecs_resource_endpoint}/{quoted}"
        response = await self._send("GET", url, accept=(404,))
        return None if response.status_code == 404 else response.content

    async def start_kernel(self, name: str, body: JsonObject) -> JsonObject:
        """Start a kernel and return its model. Takes up to ``Gateway.start_timeout`` seconds.

        Raises KernelSpecNotFound, KernelStartFailed, GatewayLimitReached, GatewayRefused.
        """
        response = await self._send(
            "POST",
            self.config.kernels_endpoint,
            body={"name": name, **body},
            timeout=self.config.start_timeout,
            accept=(400, 403, 404, 409, 500),
        )
        if response.status_code == 403:
            raise self.errors.start_refused(response)
        if response.status_code >= 400:
            # Gateways answer an unknown name with different errors, none of them 404.
            listed = (await self.kernelspecs())["kernelspecs"]
            if name not in listed:
                raise self.errors.kernelspec_not_found(name, listed)
            raise self.errors.start_failed(f"The kernel {name!r} could not be started", response)
        return self._kernel(response)

    async def kernels(self) -> list[JsonObject] | None:
        """The gateway's kernels; None if it forbids listing them, the default of Kernel Gateway."""
        response = await self._send("GET", self.config.kernels_endpoint, accept=(403,))
        if response.status_code == 403:
            return None
        models = json_body(response)
        if not isinstance(models, list):
            raise self.errors.unexpected(response)
        return [model for model in map(kernel_model, models) if model is not None]

    async def kernel(self, kernel_id: str) -> JsonObject:
        """A kernel's model. Raises KernelNotFound if the gateway says that it does not exist.

        One such answer does not prove it: see ``is_gone``.
        """
        return self._kernel(await self._on_kernel("GET", kernel_id), kernel_id)

    async def is_gone(self, kernel_id: str) -> bool:
        """Whether a kernel is really gone, after the gateway said so once; takes some seconds.

        One of several replicas behind an address may not know it, and a gateway that is just being
        restarted may not have loaded all its kernels. Raises GatewayError.
        """
        if self.config.embedded:  # there is nothing in between
            return True
        for _ in range(GONE_CHECKS):
            await asyncio.sleep(GONE_CHECK_INTERVAL)
            with contextlib.suppress(KernelNotFound):
                await self.kernel(kernel_id)
                return False
        return True

    async def resolve_path(self, kernel_id: str, path: str) -> str | None:
        """The path of a kernel's file on the kernel's computer; None if the gateway does not know.

        For Jupyter Server 2.17 and later.
        """
        params = {"kernel": kernel_id, "path": path}
        response = await self._send("GET", "/api/resolvePath", params=params, accept=(400, 404))
        model = json_body(response)
        resolved = model.get("resolved") if isinstance(model, dict) else None
        for entry in resolved if isinstance(resolved, list) else ():
            if isinstance(entry, dict) and entry.get("scope") == "kernel":
                resolved_path = entry.get("path")
                return resolved_path if isinstance(resolved_path, str) else None
        return None

    async def interrupt(self, kernel_id: str) -> None:
        """Interrupt a kernel."""
        await self._on_kernel("POST", kernel_id, "/interrupt")

    async def restart(self, kernel_id: str) -> None:
        """Restart a kernel. Raises KernelStartFailed, KernelNotFound."""
        timeout = self.config.start_timeout
        response = await self._on_kernel(
            "POST", kernel_id, "/restart", timeout=timeout, accept=(500,)
        )
        if response.status_code == 500:
            await self.kernel(kernel_id)  # 500 is also the answer for an unknown kernel
            raise self.errors.start_failed("The kernel could not be restarted", response)

    async def update_env(self, kernel_id: str, env: dict[str, str]) -> None:
        """Set environment variables for a kernel's next restart; only for the embedded gateway."""
        await self._on_kernel("PATCH", kernel_id, body={"env": env})

    async def shutdown(self, kernel_id: str) -> None:
        """Shut a kernel down. Raises KernelNotFound if it is gone already."""
        await self._on_kernel("DELETE", kernel_id)

    async def addon(self) -> JsonObject | None:
        """The description of the add-on notebook-remote-gateway; None if it is not installed."""
        try:
            response = await self._send("GET", "/api/notebook-remote", accept=(404,))
            return None if response.status_code == 404 else self._object(response)
        except (GatewayAnswerError, GatewayAuthError):
            return None  # a proxy that allows requests for kernels only

    async def ticket(self, kernel_id: str, origin: str, session_id: str) -> JsonObject:
        """A single-use ticket: a page of this origin can open a kernel's channels with it.

        For gateways with the add-on. Raises KernelNotFound, GatewayLimitReached.
        """
        body = {"origin": origin, "session_id": session_id}
        response = await self._on_kernel(
            "POST", kernel_id, "/channels/ticket", body=body, accept=(429,)
        )
        if response.status_code == 429:
            raise GatewayLimitReached(
                f"The gateway at {self.errors.where} gives no more tickets for now: too many were"
                " asked for in a short time."
            )
        model = self._object(response)
        if not {"ticket", "param", "expires_in"} <= model.keys():
            raise self.errors.unexpected(response)
        return model

    async def _on_kernel(
        self,
        method: str,
        kernel_id: str,
        action: str = "",
        *,
        body: JsonObject | None = None,
        timeout: float | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        if not KERNEL_ID.fullmatch(kernel_id):
            raise KernelNotFound(f"{kernel_id!r} is not the id of a kernel.")
        path = f"{self.config.kernels_endpoint}/{kernel_id}{action}"
        response = await self._send(method, path, body=body, timeout=timeout, accept=(404, *accept))
        if response.status_code == 404:
            # A 404 of a proxy in between says nothing about the kernel.
            if not names_missing_kernel(json_body(response), kernel_id):
                raise self.errors.unexpected(response)
            raise KernelNotFound(
                f"The gateway has no kernel {kernel_id} (any more): it was shut down, culled or"
                " has died there. Start a new one."
            )
        return response

    def _object(self, response: httpx.Response) -> JsonObject:
        """The JSON object in a response."""
        model = json_body(response)
        if not isinstance(model, dict):
            raise self.errors.unexpected(response)
        return model

    def _kernel(self, response: httpx.Response, kernel_id: str | None = None) -> JsonObject:
        """The kernel's model in a response; with an id, only that kernel's."""
        model = kernel_model(json_body(response))
        if model is None or kernel_id not in (None, model["id"]):
            raise self.errors.unexpected(response)
        return model
