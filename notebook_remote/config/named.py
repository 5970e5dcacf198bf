"""The configuration of all gateways: those with names, beside the one of ``--gateway-url``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import TraitError
from traitlets.config import LoggingConfigurable

from ..redaction import redacted_address
from .environment import from_environment, variables_of
from .gateway import CREDENTIALS, NAME, PAGE_OPTIONS, RESERVED_NAMES, Gateway
from .traits import Flag, GatewaysByName


class Gateways(LoggingConfigurable):
    """The gateways with names, beside the one of --gateway-url or the kernels of this computer."""

    named = GatewaysByName(
        help="More gateways, by name: {'gpu': 'https://gpu:8888'}, or with options of Gateway,"
        " {'gpu': {'url': 'https://gpu:8888', 'auth_token_file': 'gpu.token', 'mode': 'direct'}}."
        " On the command line --gateway=gpu=https://gpu:8888, as often as you like. Options can"
        " come from variables such as NOTEBOOK_REMOTE_GPU_AUTH_TOKEN too; credentials of another"
        " gateway are never used.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_GATEWAYS")
    own_kernels = Flag(
        True,
        help="With named gateways and without --gateway-url: whether there are kernels of this"
        " computer as well, on the embedded gateway or, with --mode=local, without one.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_OWN_KERNELS")

    changes_by_pages = Flag(
        True,
        help="Whether users may add, change and remove gateways in the page while the server runs."
        " They need the right to execute, as for kernels.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_CHANGES_BY_PAGES")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for option, _, value in from_environment(self):
            setattr(self, option, _parse_named(value) if option == "named" else value)

    def all(self) -> list[Gateway]:
        """All gateways in the order for people. Raises TraitError."""
        for number, name in enumerate(self.named):
            self._check_variables(str(name), ["", *list(self.named)[:number]])
        unnamed = Gateway(parent=self.parent, config=self.config)
        named = [self.make(name, options) for name, options in self.named.items()]
        without_own_kernels = not self.own_kernels and not unnamed.url and named
        return named if without_own_kernels else [unnamed, *named]

    def make(self, name: str, options: str | Mapping[str, Any]) -> Gateway:
        """One gateway of the configuration. Raises TraitError."""
        return self._make(name, options, from_page=False)

    def make_for_page(self, name: str, options: Mapping[str, Any]) -> Gateway:
        """A gateway that a page adds. Raises TraitError.

        A gateway of the configuration that is added again, with the same address, keeps its options
        from the configuration, and the page may override PAGE_OPTIONS.
        """
        configured_options = self.named.get(name)
        added = self._make(name, options, from_page=True)
        if configured_options is None:
            self._check_variables(name, [str(other) for other in self.named])
            return added
        configured = self.make(name, configured_options)
        if configured.url != added.url:
            return added
        overrides = {key: value for key, value in options.items() if key in PAGE_OPTIONS}
        # Also credentials that were pasted with the URL.
        pasted = {key: getattr(added, key) for key in CREDENTIALS}
        overrides = {key: value for key, value in pasted.items() if value} | overrides
        return self.make(name, {**_as_dict(configured_options), **overrides})

    def _make(self, name: str, options: str | Mapping[str, Any], from_page: bool) -> Gateway:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in RESERVED_NAMES:
            shown = redacted_address(str(name)).partition(":")[0]  # it may be a URL
            raise TraitError(
                f"{shown!r} cannot be the name of a gateway: it has 1 to 32 letters, digits, dots,"
                " dashes and underscores, and is not one of " + ", ".join(RESERVED_NAMES) + "."
            )
        if not isinstance(options, (str, Mapping)):
            raise TraitError(f"The gateway {name!r} is neither a URL nor a dict of options.")
        return Gateway(
            given_name=name,
            options=_as_dict(options),
            from_page=from_page,
            parent=self.parent,
            config=self.config,
        )

    def _check_variables(self, name: str, others: list[str]) -> None:
        """Raise TraitError if the name shares environment variables with another gateway, or all.

        ``my-gpu``, ``my.gpu`` and ``My_GPU`` do: the token of one would be sent to another.
        """
        for other in others:
            shared = variables_of(Gateway, name) & variables_of(Gateway, other)
            if shared and name != other:
                whose = f"the gateway {other!r}" if other else "all gateways"
                raise TraitError(
                    f"{name!r} cannot be the name of a gateway here: the environment variable"
                    f" {min(shared)} would be for it and for {whose}. Choose another name."
                )


def _as_dict(options: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a gateway that is configured by its URL, or by a dict."""
    return {"url": options} if isinstance(options, str) else options


def _parse_named(value: str) -> dict[str, str]:
    """The URLs by name in ``NAME=URL,NAME=URL``, the variable's value."""
    pairs = [pair.strip().partition("=") for pair in value.split(",") if pair.strip()]
    return {name: url for name, _, url in pairs}
