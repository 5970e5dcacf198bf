"""The configuration: a class for each section, a trait for each option.

``gateway`` configures one gateway, ``named`` all of them. ``environment`` takes options from
environment variables, ``addresses`` checks URLs, ``traits`` has our types of options, and ``tls``
makes an SSL context. ``base_app`` loads the configuration for our other commands.
"""

from .gateway import Gateway
from .named import Gateways

__all__ = ["Gateway", "Gateways"]
