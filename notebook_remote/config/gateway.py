"""One class per thing that is configured: here, a gateway.

An option is one trait line. Its value comes from the configuration (command line or file), else
from the environment variable in its ``env`` tag, else it is the default. The section
``GatewayClient`` of jupyter_server's own gateway client is read too, so that a user of
``jupyter notebook --gateway-url`` changes nothing in his configuration.

Further gateways have names. What is said of *the* gateway holds for them too, as far as it is about
time and size; addresses and credentials of one gateway are never used for another.

A gateway that comes from a page has the options that the page gives and nothing else: the
environment's credentials belong to the gateways of the configuration, at their addresses. Else
whoever can use a page could have them sent to any address, by adding it under the right name.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_server.gateway.gateway_client import GatewayTokenRenewerBase, NoOpTokenRenewer
from traitlets import Enum, Float, Int, TraitError, Type, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..net.urls import (
    normalized_url,
    server_address,
    split_credentials,
    splits_password,
    websocket_url,
)
from ..redaction import redacted_address, without_secrets
from .traits import File, Flag, Text

# What is for one gateway only.
REMOTE_ONLY = (
    "accept_cookies",
    "auth_header_key",
    "auth_scheme",
    "auth_token",
    "auth_token_file",
    "ca_certs",
    "client_cert",
    "client_key",
    "gateway_token_renewer_class",
    "headers",
    "http_pwd",
    "http_user",
    "kernels_endpoint",
    "kernelspecs_endpoint",
    "kernelspecs_resource_endpoint",
    "insecure_token_in_page",
    "page_ws_url",
    "validate_cert",
    "ws_url",
    "proxy",
)
# Which variables of the environment go to the gateway: what a page adds gets none.
ENVIRONMENT = ("allowed_envs", "env_whitelist")
# What a page may change of a gateway of the configuration that it adds again.
CHANGED_BY_PAGES = ("mode", "auth_token", "auth_scheme", "http_user", "http_pwd")
STOCK_MESSAGE_SIZE = 10 * 1024 * 1024  # bytes; tornado's default, which stock gateways have
OWN_MESSAGE_SIZE = 256 * 1024 * 1024  # bytes, where both ends are ours
LAUNCH_TIMEOUT_ENV = "KERNEL_LAUNCH_TIMEOUT"
# Names are part of kernelspecs' names (python3@gpu) and of environment variables.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,30}[A-Za-z0-9])?")
TAKEN_NAMES = ("embedded", "gateway", "local")  # of the gateway without a name


class Gateway(LoggingConfigurable):
    """A gateway: where kernels run. Without a URL an embedded gateway is started."""

    embedded: bool  # whether there is no address, so that one has to be started
    given_name: str  # empty for the gateway of --gateway-url, or of this computer
    from_page: bool  # whether a page added it, now or before an earlier start
    # Reads its credentials from where an earlier server kept them; may wait for a person.
    stored_credentials: Callable[[], Mapping[str, str]] | None = None

    url = Text(
        "",
        help="URL of the gateway: a Jupyter Kernel Gateway, Enterprise Gateway or Jupyter Server,"
        " with its path prefix, if it has one; the address of one of its pages will do (with"
        " the prefix /lab, http://host/lab/lab). Empty: an embedded gateway is started.",
    ).tag(config=True, env="JUPYTER_GATEWAY_URL")
    mode = Enum(
        ("proxy", "direct", "browser", "local"),
        "proxy",
        help="'proxy': kernels run on the gateway, and this server relays everything."
        " 'direct': pages open the kernels' WebSockets at the gateway itself, with single-use"
        " tickets; where that is not possible, through this server."
        " 'browser': pages do all of it themselves, with a token that they ask their user for; this"
        " server never contacts the gateway."
        " 'local': kernels run here, as with `jupyter notebook`; no gateway is used.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_MODE")
    ws_url = Text(
        "",
        help="URL for WebSockets, if it is not the gateway's URL with ws in place of http.",
    ).tag(config=True, env="JUPYTER_GATEWAY_WS_URL")
    page_ws_url = Text(
        "",
        help="URL at which pages reach the gateway's WebSockets in direct and browser mode, if it"
        " is not that of this server.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_PAGE_WS_URL")
    insecure_token_in_page = Flag(
        False,
        help="Let pages use the gateway's token itself where the gateway has no add-on: in direct"
        " mode this server gives it to every page, in browser mode the page keeps the one that its"
        " user enters. It then stands in the addresses of WebSockets, which logs show. Whoever"
        " reads a page's traffic or memory can use the gateway as you can, for as long as the"
        " token is good.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_INSECURE_TOKEN_IN_PAGE")
    auth_token = Text(
        "",
        help="The gateway's token. Prefer the environment variable or auth_token_file: other users"
        " of this computer can see a command line.",
    ).tag(config=True, env="JUPYTER_GATEWAY_AUTH_TOKEN", secret=True)
    auth_token_file = File(
        "",
        help="A file that holds the gateway's token. It is read again when it changes, so a token"
        " renewed by others takes effect at once.",
    ).tag(config=True, env="JUPYTER_GATEWAY_AUTH_TOKEN_FILE")
    auth_scheme = Unicode(
        "token",
        allow_none=True,
        help="What stands before the token in its header. Empty: the token alone.",
    ).tag(config=True, env="JUPYTER_GATEWAY_AUTH_SCHEME")
    auth_header_key = Unicode("Authorization", help="The header that carries the token.").tag(
        config=True, env="JUPYTER_GATEWAY_AUTH_HEADER_KEY"
    )
    headers = Unicode(
        "{}", allow_none=True, help="More headers for every request, as a JSON object."
    ).tag(config=True, env="JUPYTER_GATEWAY_HEADERS", secret=True)
    http_user = Unicode("", allow_none=True, help="User name for HTTP basic authentication.").tag(
        config=True, env="JUPYTER_GATEWAY_HTTP_USER"
    )
    http_pwd = Unicode("", allow_none=True, help="Password for HTTP basic authentication.").tag(
        config=True, env="JUPYTER_GATEWAY_HTTP_PWD", secret=True
    )
    gateway_token_renewer_class = Type(
        NoOpTokenRenewer,
        klass=GatewayTokenRenewerBase,
        help="A jupyter_server GatewayTokenRenewerBase that is asked for the token before each"
        " request.",
    ).tag(config=True, env="JUPYTER_GATEWAY_TOKEN_RENEWER_CLASS")
    accept_cookies = Flag(
        False,
        help="Keep the cookies that the gateway's side sets, for load balancers that use them.",
    ).tag(config=True, env="JUPYTER_GATEWAY_ACCEPT_COOKIES")
    validate_cert = Flag(True, help="Verify the gateway's TLS certificate.").tag(
        config=True, env="JUPYTER_GATEWAY_VALIDATE_CERT"
    )
    ca_certs = File(
        "", allow_none=True, help="File of the certificate authorities to trust (PEM)."
    ).tag(config=True, env="JUPYTER_GATEWAY_CA_CERTS")
    client_cert = File(
        "", allow_none=True, help="File of our own certificate, where the gateway asks for one."
    ).tag(config=True, env="JUPYTER_GATEWAY_CLIENT_CERT")
    client_key = File("", allow_none=True, help="File of the key of client_cert.").tag(
        config=True, env="JUPYTER_GATEWAY_CLIENT_KEY"
    )
    proxy = Text(
        "",
        help="URL of an HTTP proxy on the way to the gateway, such as http://proxy:3128, with"
        " user:password@ if it asks for one. HTTPS_PROXY and the like are not used, as by"
        " jupyter_server's own client.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_PROXY")
    connect_timeout = Float(
        10.0, min=0.01, help="Seconds to wait for a connection to the gateway."
    ).tag(config=True, env="JUPYTER_GATEWAY_CONNECT_TIMEOUT")
    request_timeout = Float(
        42.0,
        min=0.01,
        help="Seconds a request may take, starting a kernel above all. At least"
        " KERNEL_LAUNCH_TIMEOUT + launch_timeout_pad when that variable is set.",
    ).tag(config=True, env="JUPYTER_GATEWAY_REQUEST_TIMEOUT")
    kernel_start_timeout = Float(
        0.0,
        min=0,
        help="Seconds that a kernel's start may take, at the gateway, in its answer and in the"
        " first connection together: this one option is enough. 0: request_timeout, or what"
        " KERNEL_LAUNCH_TIMEOUT needs.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_KERNEL_START_TIMEOUT")
    max_concurrent_starts = Int(
        8,
        min=1,
        help="How many kernels are started on the gateway at once; others wait for their turn.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_MAX_CONCURRENT_STARTS")
    launch_timeout_pad = Float(
        2.0,
        min=0,
        help="Seconds by which the gateway should give up on a kernel's start before we do.",
    ).tag(config=True, env="JUPYTER_GATEWAY_LAUNCH_TIMEOUT_PAD")
    max_request_retries = Int(
        2, help="How often a GET or DELETE that got no answer is sent again."
    ).tag(config=True, env="JUPYTER_GATEWAY_MAX_REQUEST_RETRIES")
    gateway_retry_interval = Float(
        1.0,
        min=0,
        help="Seconds before the first new attempt to open a kernel's channels; doubled for each"
        " further one.",
    ).tag(config=True, env="JUPYTER_GATEWAY_RETRY_INTERVAL")
    gateway_retry_interval_max = Float(
        30.0, min=0, help="The most seconds between two such attempts."
    ).tag(config=True, env="JUPYTER_GATEWAY_RETRY_INTERVAL_MAX")
    gateway_retry_max = Int(
        5,
        min=0,
        help="How many such attempts within connect_timeout; after that the page is told, and it"
        " tries again by itself.",
    ).tag(config=True, env="JUPYTER_GATEWAY_RETRY_MAX")
    poll_interval = Float(
        5.0,
        min=0.1,
        help="Seconds between two looks at the kernels on the gateway, by which a culled or dead"
        " kernel is noticed. Lists of kernels and sessions are no older than that.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_POLL_INTERVAL")
    link_timeout = Float(
        15.0,
        min=1,
        help="Seconds until a gateway or a page that has silently gone is noticed. Pings go out on"
        " both sides of the relay five times as often.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_LINK_TIMEOUT")
    reconnect_timeout = Float(
        120.0,
        min=0,
        help="Seconds for which a run without a page (`run`, nbconvert, papermill, …) tries to get"
        " a lost connection to its kernel back. Pages have a limit of their own.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_RECONNECT_TIMEOUT")
    max_message_size = Int(
        STOCK_MESSAGE_SIZE,
        min=1024,
        help="Bytes of one message from the page to a kernel, an upload above all. A larger one is"
        " answered with an error in its cell. Stock gateways take 10 MiB; the default for the"
        " embedded gateway and for local kernels is 256 MiB.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_MAX_MESSAGE_SIZE")
    relay_buffer_size = Int(
        64 * 1024,
        min=4096,
        help="Bytes that the relay holds at most for each direction of a kernel's channels.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_RELAY_BUFFER_SIZE")
    allowed_envs = Unicode(
        "",
        help="Comma-separated names of environment variables to send with a kernel's start, beside"
        " KERNEL_*. The gateway must allow them too.",
    ).tag(config=True, env="JUPYTER_GATEWAY_ALLOWED_ENVS")
    env_whitelist = Unicode("", help="Deprecated: use allowed_envs.").tag(
        config=True, env="JUPYTER_GATEWAY_ENV_WHITELIST"
    )
    on_exit = Enum(
        ("shutdown", "keep"),
        "shutdown",
        help="What becomes of the kernels when this server stops: 'shutdown', as with `jupyter"
        " notebook`, or 'keep', so that the next server on the same directory has them again, with"
        " their notebooks. An embedded gateway keeps them for embedded_linger seconds.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_ON_EXIT")
    kernels_endpoint = Unicode("/api/kernels", help="Path of the kernels at the gateway.").tag(
        config=True, env="JUPYTER_GATEWAY_KERNELS_ENDPOINT"
    )
    kernelspecs_endpoint = Unicode(
        "/api/kernelspecs", help="Path of the kernelspecs at the gateway."
    ).tag(config=True, env="JUPYTER_GATEWAY_KERNELSPECS_ENDPOINT")
    kernelspecs_resource_endpoint = Unicode(
        "/kernelspecs", help="Path of the kernelspecs' resources (logos) at the gateway."
    ).tag(config=True, env="JUPYTER_GATEWAY_KERNELSPECS_RESOURCE_ENDPOINT")
    embedded_linger = Float(
        600.0,
        min=0,
        help="Seconds an embedded gateway waits, with its kernels, for a notebook server to come"
        " back that was killed; then it stops by itself.",
    ).tag(config=True, env="NOTEBOOK_REMOTE_EMBEDDED_LINGER")

    def __init__(
        self,
        given_name: str = "",
        options: Mapping[str, Any] | None = None,
        from_page: bool = False,
        **kwargs: Any,
    ) -> None:
        """Raises TraitError with a sentence for what cannot be used.

        ``options`` are those of a gateway with a name; ``from_page`` says that a page gave them.
        """
        super().__init__(**kwargs)
        self.given_name = given_name
        self.from_page = from_page
        self._take_environment()
        if given_name:
            self._take_own(options or {})
        self._take_credentials_from_urls()
        self.embedded = not given_name and not self.url and self.mode not in ("local", "browser")
        own = self.embedded or self.mode == "local"
        if own and not self._given("max_message_size"):
            self.max_message_size = OWN_MESSAGE_SIZE
        if self.embedded:
            self._forget_options(REMOTE_ONLY)
        self._check()

    @classmethod
    def section_names(cls) -> list[str]:
        """Configuration sections, weakest first; called by traitlets while it loads them."""
        names: list[str] = super().section_names()
        return [*names[:-1], "GatewayClient", names[-1]]

    @property
    def name(self) -> str:
        """What people are shown as the gateway's name."""
        if self.given_name:
            return self.given_name
        if self.mode == "local":
            return "local"
        return "embedded" if self.embedded else "gateway"

    @property
    def label(self) -> str:
        """What a sentence calls the gateway."""
        if self.given_name:
            return f"the gateway {self.given_name!r}"
        if self.mode == "local":
            return "this computer"
        return "the embedded gateway" if self.embedded else f"the gateway at {self.url}"

    @property
    def address_option(self) -> str:
        """What the user has given the address with, for the end of a sentence."""
        if self.given_name:
            return f"the address of the gateway {self.given_name!r}"
        variable = self.traits()["url"].metadata["env"]
        by_variable = variable in os.environ and not self._configured("url")
        return variable if by_variable else "--gateway-url"

    @property
    def how_to_give_a_token(self) -> str:
        """The end of a sentence for somebody whose token was refused."""
        if self.auth_token_file:
            return f"put the gateway's token into {self.auth_token_file}"
        if not self.given_name:
            return (
                "give the gateway's token with the environment variable JUPYTER_GATEWAY_AUTH_TOKEN"
                " or with --gateway-token-file=FILE"
            )
        return (
            "give the gateway's token with the environment variable"
            f" {self._variable('auth_token')}, or with auth_token_file in its options"
        )

    @property
    def websocket_url(self) -> str:
        """The base URL for WebSockets."""
        return str(self.ws_url or websocket_url(self.url))

    @property
    def page_url(self) -> str:
        """The base URL for the WebSockets of pages in direct and browser mode."""
        return str(self.page_ws_url or self.websocket_url)

    @property
    def extra_headers(self) -> dict[str, str]:
        """The ``headers`` option as a dict."""
        return {str(k): str(v) for k, v in json.loads(self.headers or "{}").items()}

    @property
    def allowed_env_names(self) -> set[str]:
        """The ``allowed_envs`` option as a set."""
        listed = f"{self.allowed_envs},{self.env_whitelist}".split(",")
        return {name.strip() for name in listed} - {""}

    @property
    def start_timeout(self) -> float:
        """Seconds that a kernel's start may take: request_timeout, or what the launch needs."""
        if self.kernel_start_timeout:
            return float(self.kernel_start_timeout)
        launch = os.environ.get(LAUNCH_TIMEOUT_ENV, "")
        wanted = float(launch) + self.launch_timeout_pad if launch.isdigit() else 0.0
        return max(float(self.request_timeout), wanted)

    def with_credentials(self, credentials: Mapping[str, Any]) -> Gateway:
        """A copy that has other credentials; for the doctor, which gets them as options."""
        other = copy.copy(self)
        for option, value in credentials.items():
            setattr(other, option, value)
        return other

    def _configured(self, name: str) -> bool:
        return any(name in self.config[section] for section in self.section_names())

    def _given(self, name: str) -> bool:
        """Whether the user has set an option, in the configuration or the environment."""
        return self._configured(name) or self.traits()[name].metadata["env"] in os.environ

    def _take_environment(self) -> None:
        for name, trait in self.traits(env=lambda v: v is not None).items():
            variable = trait.metadata["env"]
            if variable not in os.environ or self._configured(name):
                continue
            value = os.environ[variable]
            self._take_variable(name, variable, value)

    def _take_variable(self, name: str, variable: str, value: str) -> None:
        trait = self.traits()[name]
        try:
            setattr(self, name, trait.from_string(value))
        except (TraitError, ValueError, ImportError) as error:
            reason = without_secrets(str(error))
            if name not in ("url", "ws_url", "page_ws_url"):  # whose sentence says all
                shown = "its value" if trait.metadata.get("secret") else repr(value)
                reason = f"{shown} is not what Gateway.{name} takes. {reason}"
            raise TraitError(
                f"The environment variable {variable} cannot be used: {reason}"
            ) from error

    def _variable(self, option: str) -> str:
        """The environment variable for an option of a gateway with a name."""
        return variable_of(self.given_name, option)

    @classmethod
    def variables(cls, given_name: str) -> set[str]:
        """The environment variables of all options of a gateway; without a name, those of all."""
        if not given_name:
            tags = (trait.metadata.get("env") for trait in cls.class_traits(config=True).values())
            return {tag for tag in tags if tag}
        return {variable_of(given_name, option) for option in cls.class_trait_names(config=True)}

    def _take_own(self, options: Mapping[str, Any]) -> None:
        """Take what is said of this gateway by its name, and nothing that is another's."""
        self._forget_options(("url", "mode", *REMOTE_ONLY))
        if self.from_page:
            self._forget_options(ENVIRONMENT)
        for name in () if self.from_page else self.trait_names(config=True):
            variable = self._variable(name)
            if variable in os.environ:
                self._take_variable(name, variable, os.environ[variable])
        for name, value in options.items():
            if name not in self.trait_names(config=True):
                raise TraitError(
                    f"The gateway {self.given_name!r} has an option {name!r}, which does not"
                    " exist: its options are those of Gateway, such as url, mode and"
                    " auth_token_file."
                )
            try:
                setattr(self, name, value)
            except TraitError as error:
                reason = without_secrets(str(error))
                raise TraitError(f"The gateway {self.given_name!r}: {reason}") from None
        if not self.url and self.mode != "local":
            raise TraitError(
                f"The gateway {self.given_name!r} has no address: give it as"
                f" --gateway={self.given_name}=https://host:8888/prefix."
            )

    def _take_credentials_from_urls(self) -> None:
        """Move ``user:password@`` and ``?token=`` out of the URLs, which logs and errors show."""
        self.url = server_address(self.url)
        for name in ("url", "ws_url", "page_ws_url"):
            plain, found = split_credentials(getattr(self, name))
            setattr(self, name, plain)
            for option, value in found.items():
                setattr(self, option, getattr(self, option) or value)

    def _forget_options(self, names: tuple[str, ...]) -> None:
        """Take back what was set for another gateway."""
        for name in names:
            setattr(self, name, self.traits()[name].default())

    @validate("url", "ws_url", "page_ws_url")
    def _validate_url(self, proposal: dict[str, Any]) -> str:
        value, name = str(proposal["value"] or "").strip(), proposal["trait"].name
        if not value:
            return ""
        schemes = ("http", "https") if name == "url" else ("ws", "wss")
        try:
            parts = urlsplit(value)
            usable = parts.scheme in schemes and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        what = "the address of a gateway" if name == "url" else f"an address for Gateway.{name}"
        if splits_password(value):
            raise _split_password(value, what)
        if not usable:
            raise TraitError(
                f"{redacted_address(value)!r} is not {what}: write it as"
                f" {schemes[0]}://host:8888 or {schemes[1]}://host/prefix."
            )
        try:
            return normalized_url(value)
        except ValueError as error:
            raise TraitError(
                f"{redacted_address(value)!r} is not {what}: {error}. Check its spelling."
            ) from None

    @validate("kernels_endpoint", "kernelspecs_endpoint", "kernelspecs_resource_endpoint")
    def _validate_endpoint(self, proposal: dict[str, Any]) -> str:
        return "/" + str(proposal["value"]).strip("/")

    def _check(self) -> None:
        """Refuse, before anything starts, what could only fail later."""
        try:
            if not isinstance(json.loads(self.headers or "{}"), dict):
                raise TypeError
        except (ValueError, TypeError, RecursionError):
            raise TraitError(
                'Gateway.headers is not a JSON object such as {"X-Team": "a"}.'
            ) from None
        if self.mode == "browser" and not self.url:
            raise TraitError(
                "--mode=browser needs --gateway-url=URL: the address at which your browser reaches"
                " the gateway. There is no embedded gateway in this mode, since this server"
                " contacts none. Of a gateway with a name it is an option, such as the variable"
                " NOTEBOOK_REMOTE_GPU_MODE=browser for --gateway=gpu=URL."
            )
        if self.mode == "browser" and (self.auth_token or self.auth_token_file):
            self.log.warning(
                "--mode=browser: the gateway's token is not used here; the page asks for it."
            )
        if self.url and self.mode == "local":
            self.log.warning(
                "--mode=local: kernels run on this computer; the gateway at %s is not used.",
                self.url,
            )
        self._check_proxy()
        for name in ("auth_token_file", "ca_certs", "client_cert", "client_key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise TraitError(f"Gateway.{name}: there is no file {path!r}.")

    def _check_proxy(self) -> None:
        if splits_password(self.proxy):
            raise _split_password(self.proxy, "an address for Gateway.proxy")
        try:
            parts = urlsplit(self.proxy)
            usable = parts.scheme == "http" and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if self.proxy and not usable:
            raise TraitError(
                "Gateway.proxy is not the URL of an HTTP proxy such as http://proxy:3128:"
                f" {redacted_address(self.proxy)!r}."
            )


def _split_password(address: str, what: str) -> TraitError:
    end = redacted_address(address).rpartition("//")[2]
    return TraitError(
        f"What ends in {end!r} is not {what}: in its user name and password write / as %2F, ? as"
        " %3F and # as %23, and in a path @ as %40."
    )


def variable_of(given_name: str, option: str) -> str:
    """The environment variable for an option of a gateway with a name."""
    return re.sub(r"\W", "_", f"NOTEBOOK_REMOTE_{given_name}_{option}").upper()
