"""The seams into the upstreams that we rely on: a release that moves one turns one test red."""

from __future__ import annotations

import inspect

import httpx
import nbclient.cli
import pytest
from jupyter_client.client import KernelClient
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_client.multikernelmanager import MultiKernelManager
from jupyter_events import EventLogger
from jupyter_server import serverapp
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.gateway import gateway_client
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents import fileio
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.services.kernels import handlers as kernel_handlers
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from jupyter_server.services.kernelspecs import handlers as kernelspec_handlers
from jupyter_server.services.sessions import handlers as session_handlers
from jupyter_server.services.sessions.sessionmanager import SessionManager
from nbclient import NotebookClient
from notebook.app import JupyterNotebookApp
from papermill.engines import NBClientEngine
from tornado import web
from tornado.websocket import WebSocketHandler

from notebook_remote.handlers import routes as handlers


def parameters(function: object) -> set[str]:
    return set(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_extension_app_makes_the_server_app_with_jpserver_extensions() -> None:
    source = inspect.getsource(ExtensionApp.initialize_server)
    assert "cls.make_serverapp(jpserver_extensions=jpserver_extensions" in source
    assert "cls.serverapp_class" in inspect.getsource(ExtensionApp.make_serverapp)


def test_extension_handlers_come_before_the_stock_ones() -> None:
    assert "add_handlers" in inspect.getsource(ExtensionApp._prepare_handlers)
    rules = web.Application([("/x", web.RequestHandler)])
    rules.add_handlers(".*$", [("/x", web.ErrorHandler, {"status_code": 404})])
    assert rules.default_router.rules[0].matcher is not rules.wildcard_router


def test_kernel_managers_do_what_ours_build_on() -> None:
    start = inspect.getsource(MultiKernelManager._async_start_kernel)
    assert "self.pre_start_kernel(kernel_name, kwargs)" in start
    assert "self._pending_kernels[kernel_id] = task" in start
    assert parameters(KernelManager.update_env) >= {"env"}
    # The stock session manager gives the whole environment, and replaces that of the process.
    assert "**os.environ" in inspect.getsource(SessionManager.get_kernel_env)
    assert "self._cursor" in inspect.getsource(SessionManager.close)


def test_server_app_calls_what_we_override() -> None:
    app = serverapp.ServerApp
    assert "self.init_configurables()" in inspect.getsource(app.initialize)
    assert "await self.cleanup_kernels()" in inspect.getsource(app._cleanup)
    assert "await ensure_async(self.kernel_manager.shutdown_all())" in inspect.getsource(
        app.cleanup_kernels
    )
    for step in ("cleanup_extensions", "remove_server_info_file", "remove_browser_open_files"):
        assert f"self.{step}()" in inspect.getsource(app._cleanup)
    assert "self._stopping = True" in inspect.getsource(app.stop)
    assert "self._cleanup()" in inspect.getsource(app._stop)  # ours does no less
    assert "self.start_ioloop()" in inspect.getsource(app.start)
    assert parameters(app.running_server_info) >= {"kernel_count"}
    assert "\\nKernels will be managed by the Gateway server" in inspect.getsource(
        app.running_server_info
    )


@pytest.mark.parametrize(
    "trait",
    [
        "kernel_manager_class",
        "session_manager_class",
        "kernel_spec_manager_class",
        "kernel_websocket_connection_class",
    ],
)
def test_the_classes_we_give_defaults_for(trait: str) -> None:
    assert trait in serverapp.ServerApp.class_trait_names(config=True)


def test_the_notebook_app() -> None:
    assert JupyterNotebookApp.name == "notebook"
    assert "self.handlers.append" in inspect.getsource(JupyterNotebookApp.initialize_handlers)


def test_the_handlers_that_ours_extend() -> None:
    stock = {pattern for pattern, _ in kernel_handlers.default_handlers}
    stock |= {pattern for pattern, _ in session_handlers.default_handlers}
    stock |= {pattern for pattern, _ in kernelspec_handlers.default_handlers}
    ours = {pattern for pattern, _ in [*handlers.CHECKED, *handlers.ROUTED, *handlers.KERNELSPECS]}
    ours.add(handlers.CHANNELS)
    ours = {pattern.replace("%@]", "%]") for pattern in ours}  # of kernelspecs, a little wider
    assert stock <= ours, f"routes of upstream without ours: {stock - ours}"


def test_the_seams_of_the_contents_handler() -> None:
    source = inspect.getsource(ContentsHandler)
    assert "self._finish_model(model, location=False)" in inspect.getsource(ContentsHandler.get)
    assert source.count("model = self.get_json_body()") == 3
    patterns = {pattern for pattern, _ in handlers.ROUTED}
    assert any(pattern.startswith("/api/contents") for pattern in patterns)


def test_the_stock_handlers_hide_errors_behind_a_500() -> None:
    """If this no longer holds, ``http_error_behind`` has become unnecessary."""
    assert "raise web.HTTPError(500, str(e)) from e" in inspect.getsource(
        session_handlers.SessionRootHandler.post
    )


def test_the_stock_list_of_kernelspecs_reads_the_default_first() -> None:
    """If this no longer holds, our own ``get`` for it has become unnecessary."""
    source = inspect.getsource(kernelspec_handlers.MainKernelSpecHandler.get)
    assert source.index("default_kernel_name") < source.index("get_all_specs")


def test_what_the_session_manager_calls() -> None:
    source = inspect.getsource(SessionManager)
    assert "kernel_id not in self.kernel_manager" in source
    assert "await ensure_async(self.kernel_manager.kernel_model(" in source
    assert "await ensure_async(self.kernel_manager.shutdown_kernel(" in source
    assert parameters(SessionManager.get_kernel_env) == {"self", "path", "name"}
    assert ":memory:" in SessionManager.database_filepath.default_value


def test_what_the_kernel_manager_has() -> None:
    names = ("_check_kernel_id", "cull_kernels", "cull_kernel_if_idle", "initialize_culler")
    assert all(hasattr(MappingKernelManager, name) for name in names)
    assert parameters(MappingKernelManager._async_start_kernel) >= {"kernel_id", "path"}


def test_the_checks_of_a_websocket() -> None:
    assert parameters(WebSocketMixin.check_origin) == {"self", "origin"}
    assert "_redirect_to_login=False" in inspect.getsource(WebSocketMixin.prepare)
    assert hasattr(JupyterHandler, "skip_check_origin")
    source = inspect.getsource(kernel_handlers.KernelWebsocketHandler.pre_get)
    assert '"execute", "kernels"' in source  # the permission that ours asks for too
    assert hasattr(web.RequestHandler, "detach")


def test_the_channels_of_local_kernels() -> None:
    """What ``LocalChannels`` stands on."""
    assert parameters(ZMQChannelsWebsocketConnection.connect) == {"self"}
    assert hasattr(KernelWebsocketHandler, "set_nodelay")
    assert "await self.connection.connect()" in inspect.getsource(KernelWebsocketHandler.open)
    assert "kernel_websocket_connection_class" in ServerApp.class_traits()


def test_the_wire_format_of_messages() -> None:
    """What ``messages.py`` reads and writes is what jupyter_server reads."""
    packed = serialize_msg_to_ws_v1([b"{}"] * 4, "shell")
    assert deserialize_msg_from_ws_v1(packed) == ("shell", [b"{}"] * 4)
    assert WebSocketHandler.max_message_size.fget is not None
    assert '"websocket_max_message_size"' in inspect.getsource(
        WebSocketHandler.max_message_size.fget
    )


def test_the_event_loggers_door() -> None:
    assert parameters(EventLogger.emit) == {"self", "schema_id", "data", "timestamp_override"}
    assert parameters(EventLogger.register_event_schema) == {"self", "schema"}


def test_an_api_handlers_answers() -> None:
    assert parameters(APIHandler.write_error) == {"self", "status_code", "kwargs"}
    assert "set_content_type" in inspect.getsource(APIHandler.finish)


def test_a_token_renewer() -> None:
    renewer = gateway_client.GatewayTokenRenewerBase.get_token
    assert parameters(renewer) >= {"auth_header_key", "auth_scheme", "auth_token"}


def test_httpx_has_no_new_errors() -> None:
    """client.py catches three roots; an error outside them would reach the user raw."""
    roots = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
    errors = [
        value
        for name in httpx.__all__
        if inspect.isclass(value := getattr(httpx, name)) and issubclass(value, Exception)
    ]
    outside = {e.__name__ for e in errors if not issubclass(e, roots)}
    assert outside == {"CookieConflict"}  # raised by lookups in a cookie jar that we do not make


def test_runs_without_a_page_call_what_we_override() -> None:
    """For each of jupyter_client's methods there is an ``_async_`` one, and we have our own."""
    for name in ("start_kernel", "shutdown_kernel", "restart_kernel", "interrupt_kernel"):
        assert getattr(AsyncKernelManager, name) is getattr(KernelManager, f"_async_{name}")
    for name in ("wait_for_ready", "recv_reply", "is_alive", "execute_interactive"):
        assert hasattr(KernelClient, f"_async_{name}")
    assert {"timeout", "output_hook", "stdin_hook"} <= parameters(
        KernelClient._async_execute_interactive
    )
    assert "self.create_kernel_manager()" in inspect.getsource(NotebookClient.setup_kernel)
    assert "= NotebookClient(" in inspect.getsource(nbclient.cli.NbClientApp.run_notebook)
    assert "PapermillNotebookClient(nb_man, **final_kwargs)" in inspect.getsource(
        NBClientEngine.execute_managed_notebook
    )


def test_contents_managers_read_and_write_notebooks_as_ours_expect() -> None:
    mixin = fileio.AsyncFileManagerMixin
    assert issubclass(serverapp.ServerApp.contents_manager_class.default_value, mixin)
    for method in (mixin._read_notebook, mixin._save_notebook):
        assert next(iter(list(inspect.signature(method).parameters)[1:])) == "os_path"
    assert "self._read_notebook(" in inspect.getsource(AsyncFileContentsManager)
    assert "self._save_notebook(" in inspect.getsource(AsyncFileContentsManager)
