"""The configuration of one gateway.

An option is a trait. Its value comes from the configuration (command line or file), else from the
environment variable in its ``env`` tag, else it is the default. The section ``GatewayClient`` of
jupyter_server's own gateway client is read too, so that users of ``jupyter notebook --gateway-url``
need not change their configuration.

Further gateways have names. The options of the gateway without a name apply to them as well if they
are about times and sizes; addresses and credentials of one gateway are never used for another.

A gateway that a page adds has the options from the page only. The credentials in the environment
belong to the gateways of the configuration; otherwise any user of a page could send them to any
address, by adding it under the right name.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_server.gateway.gateway_client import GatewayTokenRenewerBase, NoOpTokenRenewer
from traitlets import Enum, Float, Int, TraitError, Type, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..net.urls import server_address, split_credentials, websocket_url
from ..redaction import without_secrets
from .addresses import check_proxy, checked_url
from .environment import (
    from_environment,
    is_configured,
    is_set,
    set_from_variable,
    variable_of,
)
from .traits import File, Flag, Text

# Options that apply to one gateway only: addresses and credentials.
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
# Options that name environment variables to send to the gateway; not for one that a page added.
ENVIRONMENT_OPTIONS = ("allowed_envs", "env_whitelist")

CREDENTIALS = ("auth_token", "http_user", "http_pwd")
# Options of a gateway of the configuration that a page may override, by adding it again.
PAGE_OPTIONS = ("mode", "auth_token", "auth_scheme", "http_user", "http_pwd")
STOCK_MESSAGE_SIZE = 10 * 1024 * 1024  # bytes; tornado's default, which stock gateways have
OWN_MESSAGE_SIZE = 256 * 1024 * 1024  # bytes, where both ends are ours
LAUNCH_TIMEOUT_ENV = "KERNEL_LAUNCH_TIMEOUT"
# A gateway's name is part of kernelspec names (python3@gpu) and of environment variables.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,30}[A-Za-z0-9])?")
RESERVED_NAMES = ("embedded", "gateway", "local")  # for the gateway without a name of its own


class Gateway(LoggingConfigurable):
    """A gateway: where kernels run. Without a URL an embedded gateway is started."""

    embedded: bool  # whether to start an embedded gateway, since there is no address
    given_name: str  # empty for the gateway of --gateway-url, and for this computer
    from_page: bool  # whether a user added it in a page, now or on an earlier server
    # Loads credentials that an earlier server stored; may wait for the user to unlock a keyring.
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
        """Raises TraitError with a sentence for an unusable option.

        ``options`` are those of a gateway with a name; ``from_page`` means that they are from a
        page.
        """
        super().__init__(**kwargs)
        self.given_name = given_name
        self.from_page = from_page
        for name, variable, value in from_environment(self):
            set_from_variable(self, name, variable, value)
        if given_name:
            self._set_own_options(options or {})
        self._move_credentials_out_of_urls()
        self.embedded = not given_name and not self.url and self.mode not in ("local", "browser")
        is_ours = self.embedded or self.mode == "local"
        if is_ours and not is_set(self, "max_message_size"):
            self.max_message_size = OWN_MESSAGE_SIZE
        if self.embedded:
            self._reset_options(REMOTE_ONLY)
        self._check()

    @classmethod
    def section_names(cls) -> list[str]:
        """Configuration sections, weakest first; called by traitlets while it loads them."""
        names: list[str] = super().section_names()
        return [*names[:-1], "GatewayClient", names[-1]]

    @property
    def name(self) -> str:
        """The gateway's name for people."""
        if self.given_name:
            return self.given_name
        if self.mode == "local":
            return "local"
        return "embedded" if self.embedded else "gateway"

    @property
    def label(self) -> str:
        """The gateway as the subject of a sentence."""
        if self.given_name:
            return f"the gateway {self.given_name!r}"
        if self.mode == "local":
            return "this computer"
        return "the embedded gateway" if self.embedded else f"the gateway at {self.url}"

    @property
    def address_option(self) -> str:
        """The option or variable that sets the address, for the end of a sentence."""
        if self.given_name:
            return f"the address of the gateway {self.given_name!r}"
        variable = self.traits()["url"].metadata["env"]
        by_variable = variable in os.environ and not is_configured(self, "url")
        return variable if by_variable else "--gateway-url"

    @property
    def how_to_give_a_token(self) -> str:
        """How to set the token, for the end of a sentence about a refused one."""
        if self.from_page:
            return "enter the gateway's token in the page, in Settings > Gateways"
        if self.auth_token_file:
            return f"put the gateway's token into {self.auth_token_file}"
        if not self.given_name:
            return (
                "give the gateway's token with the environment variable JUPYTER_GATEWAY_AUTH_TOKEN"
                " or with --gateway-token-file=FILE"
            )
        return (
            "give the gateway's token with the environment variable"
            f" {variable_of(self.given_name, 'auth_token')}, or with auth_token_file in its options"
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
        """Seconds that a kernel's start may take, from three options and KERNEL_LAUNCH_TIMEOUT."""
        if self.kernel_start_timeout:
            return float(self.kernel_start_timeout)
        launch = os.environ.get(LAUNCH_TIMEOUT_ENV, "")
        needed = float(launch) + self.launch_timeout_pad if launch.isdigit() else 0.0
        return max(float(self.request_timeout), needed)

    def with_credentials(self, credentials: Mapping[str, Any]) -> Gateway:
        """A copy with other credentials; for the doctor."""
        other = copy.copy(self)
        for option, value in credentials.items():
            setattr(other, option, value)
        return other

    def _set_own_options(self, options: Mapping[str, Any]) -> None:
        """Set the options of a gateway with a name: its own, and none of another gateway's."""
        self._reset_options(("url", "mode", *REMOTE_ONLY))
        if self.from_page:
            self._reset_options(ENVIRONMENT_OPTIONS)
        for name in () if self.from_page else self.trait_names(config=True):
            variable = variable_of(self.given_name, name)
            if variable in os.environ:
                set_from_variable(self, name, variable, os.environ[variable])
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
            example = "https://host:8888/prefix"
            where = example if self.from_page else f"--gateway={self.given_name}={example}"
            raise TraitError(f"The gateway {self.given_name!r} has no address: give it as {where}.")

    def _move_credentials_out_of_urls(self) -> None:
        """Move ``user:password@`` and ``?token=`` out of the URLs, since logs show URLs."""
        self.url = server_address(self.url)
        for name in ("url", "ws_url", "page_ws_url"):
            plain_url, credentials = split_credentials(getattr(self, name))
            setattr(self, name, plain_url)
            for option, value in credentials.items():
                setattr(self, option, getattr(self, option) or value)

    def _reset_options(self, names: tuple[str, ...]) -> None:
        """Set options to their defaults, whatever the configuration of all gateways says."""
        for name in names:
            setattr(self, name, self.traits()[name].default())

    @validate("url", "ws_url", "page_ws_url")
    def _validate_url(self, proposal: dict[str, Any]) -> str:
        return checked_url(str(proposal["value"] or ""), proposal["trait"].name)

    @validate("kernels_endpoint", "kernelspecs_endpoint", "kernelspecs_resource_endpoint")
    def _validate_endpoint(self, proposal: dict[str, Any]) -> str:
        return "/" + str(proposal["value"]).strip("/")

    def _check(self) -> None:
        """Raise TraitError for options that would only fail later."""
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
        check_proxy(self.proxy)
        for name in ("auth_token_file", "ca_certs", "client_cert", "client_key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise TraitError(f"Gateway.{name}: there is no file {path!r}.")
