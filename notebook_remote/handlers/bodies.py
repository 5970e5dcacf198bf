"""Checks the bodies of requests against ``openapi.yaml``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from tornado import web

from ..types import JsonObject

OPENAPI_FILE = Path(__file__).parent / "openapi.yaml"
TYPE_NAMES = {
    "string": "a string",
    "object": "an object",
    "boolean": "true or false",
    "array": "a list",
}


@cache
def openapi() -> JsonObject:
    """The description of our REST API."""
    document: JsonObject = yaml.safe_load(OPENAPI_FILE.read_text(encoding="utf-8"))
    return document


@cache
def _validator(schema: str) -> Draft202012Validator:
    components = {"components": openapi()["components"]}
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **components})


def check_body(body: Any, schema: str | None) -> JsonObject:
    """The checked body of a request, without nulls, which stand for missing values.

    ``schema`` is one of ``components/schemas``; without one any object is accepted. Raises a 400
    that names the wrong value.
    """
    if not isinstance(body, dict):
        raise web.HTTPError(400, "The body of this request must be a JSON object.")
    checked = _without_nulls(body)
    error = best_match(_validator(schema).iter_errors(checked)) if schema is not None else None
    if error is not None:
        raise web.HTTPError(400, _sentence(error))
    _check_text(checked)
    return checked


def _without_nulls(value: JsonObject) -> JsonObject:
    return {
        key: _without_nulls(inner) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if inner is not None
    }


def _sentence(error: ValidationError) -> str:
    instance: Any = error.instance
    schema: Any = error.schema
    expected: Any = error.validator_value
    if error.validator == "additionalProperties":
        unknown = sorted(set(instance) - set(schema["properties"]))
        return f"Not an option of a gateway here: {', '.join(unknown)}."
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "type":
        return f"{where!r} in the body must be {TYPE_NAMES[expected]}."
    return f"{where!r} in the body must be {schema['description']}."


def _check_text(value: Any) -> None:
    """Refuse lone surrogates, which JSON can carry and UTF-8 cannot."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            _check_text(inner)
        elif isinstance(inner, str):
            try:
                inner.encode()
            except UnicodeEncodeError:
                raise web.HTTPError(400, f"{key!r} in the body is not valid Unicode.") from None
