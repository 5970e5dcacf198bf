"""The gateways with names, beside the one of ``--gateway-url``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from traitlets import TraitError
from traitlets.config import LoggingConfigurable

from ..redaction import redacted_address
from .gateway import CHANGED_BY_PAGES, NAME, TAKEN_NAMES, Gateway
from .traits import Flag, Named


class Gateways(LoggingConfigurable):
    """The gateways with names, beside the one of --gateway-url or the kernels of this computer."""

    named = Named(
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
        for name, trait in self.traits(env=lambda v: v is not None).items():
            variable = trait.metadata["env"]
            if variable in os.environ and name not in self.config[type(self).__name__]:
                setattr(self, name, self._from_variable(name, os.environ[variable]))

    def _from_variable(self, name: str, value: str) -> Any:
        if name != "named":
            return value  # a Flag reads it
        pairs = [pair.strip().partition("=") for pair in value.split(",") if pair.strip()]
        return {name: url for name, _, url in pairs}

    def all(self) -> list[Gateway]:
        """The gateways in the order in which people see them. Raises TraitError."""
        for number, name in enumerate(self.named):
            self._check_variables(str(name), ["", *list(self.named)[:number]])
        first = Gateway(parent=self.parent, config=self.config)
        others = [self.make(name, options) for name, options in self.named.items()]
        alone = not self.own_kernels and not first.url and others
        return others if alone else [first, *others]

    def make(self, name: str, options: str | Mapping[str, Any]) -> Gateway:
        """One gateway of the configuration. Raises TraitError."""
        return self._make(name, options, from_page=False)

    def make_for_page(self, name: str, options: Mapping[str, Any]) -> Gateway:
        """A gateway that a page has added, or is about to. Raises TraitError.

        One of the configuration that is added again, at its own address, is that one: with its
        credentials from the configuration, and with those that the page gives over them.
        """
        own = self.named.get(name)
        added = self._make(name, options, from_page=True)
        if own is None:
            self._check_variables(name, [str(other) for other in self.named])
            return added
        configured = self.make(name, own)
        if configured.url != added.url:
            return added
        given = {"url": own} if isinstance(own, str) else own
        changed = {key: value for key, value in options.items() if key in CHANGED_BY_PAGES}
        return self.make(name, {**given, **changed})

    def _make(self, name: str, options: str | Mapping[str, Any], from_page: bool) -> Gateway:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in TAKEN_NAMES:
            shown = redacted_address(str(name)).partition(":")[0]  # it may be an address
            raise TraitError(
                f"{shown!r} cannot be the name of a gateway: it has 1 to 32 letters, digits, dots,"
                " dashes and underscores, and is not one of " + ", ".join(TAKEN_NAMES) + "."
            )
        if not isinstance(options, (str, Mapping)):
            raise TraitError(f"The gateway {name!r} is neither a URL nor a dict of options.")
        given = {"url": options} if isinstance(options, str) else options
        return Gateway(
            given_name=name,
            options=given,
            from_page=from_page,
            parent=self.parent,
            config=self.config,
        )

    def _check_variables(self, name: str, others: list[str]) -> None:
        """Refuse a name whose environment variables are those of another gateway, or of all.

        ``my-gpu``, ``my.gpu`` and ``My_GPU`` have the same: one's token would go to the other.
        """
        for other in others:
            shared = Gateway.variables(name) & Gateway.variables(other)
            if shared and name != other:
                whose = f"the gateway {other!r}" if other else "all gateways"
                raise TraitError(
                    f"{name!r} cannot be the name of a gateway here: the environment variable"
                    f" {min(shared)} would be for it and for {whose}. Choose another name."
                )
