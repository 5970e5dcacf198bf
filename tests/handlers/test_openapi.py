"""Our REST API is what openapi.yaml says: every route, every method, and what they answer."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from notebook_remote.handlers import routes
from notebook_remote.handlers.base import CheckedHandler
from notebook_remote.handlers.bodies import check_body, openapi

from ..support.servers import Server

API = "/notebook-remote/api"
METHODS = ("get", "post", "patch", "put", "delete")
OURS = [
    *routes.routes(None),  # type: ignore[arg-type] - no request is made of these
    *((*route, {}) for route in routes.ROUTED if route[0].startswith(API)),
]


def template(pattern: str) -> str:
    """A route's pattern as OpenAPI writes it: ``/kernels/{kernel_id}``."""
    return re.sub(r"\(\?P<(\w+)>.*?\)(?=/|$)", r"{\1}", pattern.removeprefix(API))


def own_methods(handler: type) -> set[str]:
    """The HTTP methods that a handler of ours has."""
    return {name for name in METHODS if any(name in vars(cls) for cls in ours(handler))}


def ours(handler: type) -> list[type]:
    return [cls for cls in handler.__mro__ if cls.__module__.startswith("notebook_remote")]


def test_the_description_is_valid() -> None:
    validate(openapi())


def test_it_describes_every_route_and_no_other() -> None:
    described = {
        path: {name for name in operations if name in METHODS}
        for path, operations in openapi()["paths"].items()
    }
    assert described == {template(pattern): own_methods(handler) for pattern, handler, _ in OURS}


@pytest.mark.parametrize("route", OURS, ids=lambda route: template(route[0]))
def test_bodies_are_checked_against_it(route: tuple[str, type[CheckedHandler], Any]) -> None:
    pattern, handler, _ = route
    for operation in openapi()["paths"][template(pattern)].values():
        body = operation.get("requestBody") if isinstance(operation, dict) else None
        if body is not None:
            schema = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert handler.body_schema == schema


@pytest.mark.parametrize(
    ("body", "schema", "sentence"),
    [
        ([], None, "must be a JSON object"),
        ({"url": 1}, "GatewayOptions", "'url' in the body must be a string"),
        ({"validate_cert": "no"}, "GatewayOptions", "'validate_cert' in the body must be true or"),
        ({"ca_certs": "/etc/x"}, "GatewayOptions", "Not an option of a gateway here: ca_certs"),
        ({"kernel_id": "../x"}, "KernelToAdopt", "must be the id of a kernel, which looks like"),
        ({"kernel_id": f"{uuid.uuid4()}\n"}, "JupyterKernelRequest", "the id of a kernel"),
        ({"env": []}, "JupyterKernelRequest", "'env' in the body must be an object"),
        ({"kernel": {"id": 3}}, "JupyterSessionRequest", "'kernel.id' in the body must be a str"),
        ({"name": "a" * 201}, "GatewayOptions", "'name' in the body must have 200 characters at"),
        (
            {"auth_token": "x\r\nX: y"},
            "GatewayOptions",
            "'auth_token' in the body must be printable",
        ),
        ({"path": "\ud800"}, "JupyterSessionRequest", "'path' in the body is not valid Unicode"),
    ],
)
def test_the_sentence_names_the_value_that_is_wrong(
    body: Any, schema: str | None, sentence: str
) -> None:
    with pytest.raises(Exception, match=re.escape(sentence)):
        check_body(body, schema)


def test_deep_objects_are_nobodys() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": deep}
    body = {"kernel": {"name": "x", "id": None}, "other": deep}
    assert check_body(body, "JupyterSessionRequest")["kernel"] == {"name": "x"}
    assert check_body({"auth_token": "pasted\n"}, "GatewayOptions")


def checked(server: Server, method: str, path: str, pattern: str = "", **options: Any) -> Any:
    """The answer of a request, held against what is described for its status."""
    response = server.request(method.upper(), API + path, **options)
    operation = openapi()["paths"][pattern or path][method]
    answer = operation["responses"][str(response.status_code)]
    components = {"components": openapi()["components"]}
    if "$ref" in answer:
        answer = openapi()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    if "content" not in answer:
        assert response.content == b""
        return None
    schema = answer["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, **components}).validate(response.json())
    return response.json()


def test_answers_are_as_described(any_notebook: Server) -> None:
    backends = checked(any_notebook, "get", "/backends")
    name = backends[0]["name"]
    with any_notebook.kernel() as kernel_id, any_notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"
        kernel = f"/kernels/{kernel_id}"
        listed = checked(any_notebook, "get", "/kernels")
        assert kernel_id in [model["id"] for model in listed["kernels"]]
        assert checked(any_notebook, "get", "/links")
        places = {"pattern": "/kernels/{kernel_id}/channels", "json": {"session_id": "s"}}
        assert checked(any_notebook, "post", f"{kernel}/channels", **places)["places"]
        for on_exit in ("keep", "shutdown", "never"):
            body = {"pattern": "/kernels/{kernel_id}", "json": {"on_exit": on_exit}}
            checked(any_notebook, "patch", kernel, **body)
    missing = str(uuid.uuid4())
    checked(any_notebook, "delete", f"/starts/{missing}", "/starts/{kernel_id}")
    adopted = {"backend": name, "kernel_id": missing}
    assert "message" in checked(any_notebook, "post", "/kernels", json=adopted)
    checked(any_notebook, "delete", f"/backends/{name}", "/backends/{name}")
    checked(any_notebook, "post", "/blocked-websockets")


def test_a_gateway_comes_and_goes_as_described(any_notebook: Server, gateway: Server) -> None:
    body = {"name": "described", "url": gateway.url, "auth_token": gateway.token}
    assert checked(any_notebook, "post", "/examinations", json=body)
    assert checked(any_notebook, "post", "/backends", json=body)["name"] == "described"
    of_name = "/backends/{name}"
    token = {"auth_token": gateway.token}
    checked(any_notebook, "patch", "/backends/described", of_name, json=token)
    checked(any_notebook, "delete", "/backends/described", of_name)
