"""Options from environment variables: used where the configuration does not set the option.

The tag ``env`` of an option's trait names its variable. Each option of a gateway with a name has
one more, such as NOTEBOOK_REMOTE_GPU_AUTH_TOKEN.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from traitlets import TraitError
from traitlets.config import Configurable

from ..redaction import without_secrets

URL_OPTIONS = ("url", "ws_url", "page_ws_url")  # whose errors need no introduction


def variable_of(gateway: str, option: str) -> str:
    """The environment variable for an option of the gateway with this name."""
    return re.sub(r"\W", "_", f"NOTEBOOK_REMOTE_{gateway}_{option}").upper()


def variables_of(cls: type[Configurable], gateway: str = "") -> set[str]:
    """The environment variables for all options of a class: of one gateway, or of all."""
    if gateway:
        return {variable_of(gateway, option) for option in cls.class_trait_names(config=True)}
    tags = (trait.metadata.get("env") for trait in cls.class_traits(config=True).values())
    return {tag for tag in tags if tag}


def is_configured(options: Configurable, name: str) -> bool:
    """Whether the configuration (command line or file) sets an option."""
    return any(name in options.config[section] for section in options.section_names())


def is_set(options: Configurable, name: str) -> bool:
    """Whether the configuration or the environment sets an option."""
    return is_configured(options, name) or options.traits()[name].metadata["env"] in os.environ


def from_environment(options: Configurable) -> Iterator[tuple[str, str, str]]:
    """Option, variable and value for each option that only the environment sets."""
    for name, trait in options.traits(env=lambda tag: tag is not None).items():
        variable = trait.metadata["env"]
        if variable in os.environ and not is_configured(options, name):
            yield name, variable, os.environ[variable]


def set_from_variable(options: Configurable, name: str, variable: str, value: str) -> None:
    """Set an option to the value of a variable. Raises TraitError with a sentence."""
    trait = options.traits()[name]
    try:
        setattr(options, name, trait.from_string(value))
    except (TraitError, ValueError, ImportError) as error:
        reason = without_secrets(str(error))
        if name not in URL_OPTIONS:
            shown = "its value" if trait.metadata.get("secret") else repr(value)
            reason = f"{shown} is not what Gateway.{name} takes. {reason}"
        raise TraitError(f"The environment variable {variable} cannot be used: {reason}") from error
