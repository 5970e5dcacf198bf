"""The configuration: one class per thing that is configured, one trait per option."""

from .gateway import Gateway
from .named import Gateways

__all__ = ["Gateway", "Gateways"]
