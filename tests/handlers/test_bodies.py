"""Bodies of requests are checked against our OpenAPI description."""

from __future__ import annotations

from typing import Any

import pytest
from tornado import web

from notebook_remote.handlers.bodies import check_body


def test_nulls_are_missing_values() -> None:
    body = {"name": "python3", "path": None, "env": {"A": "1", "B": None}}
    assert check_body(body, None) == {"name": "python3", "env": {"A": "1"}}


@pytest.mark.parametrize(
    ("body", "schema", "message"),
    [
        (["a"], None, "must be a JSON object"),
        ({"kernel_id": 1}, "KernelToAdopt", "'kernel_id' in the body must be a string"),
        ({"kernel": {"name": []}}, "JupyterSessionRequest", "'kernel.name' in the body must be"),
        ({"color": "red"}, "GatewayOptions", "Not an option of a gateway here: color."),
        ({"path": "\ud800"}, None, "'path' in the body is not valid Unicode"),
        ({"kernel": {"name": "\udfff"}}, None, "'name' in the body is not valid Unicode"),
    ],
)
def test_the_answer_names_the_wrong_value(body: Any, schema: str | None, message: str) -> None:
    with pytest.raises(web.HTTPError, match=message) as caught:
        check_body(body, schema)
    assert caught.value.status_code == 400
