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
LONGEST_SHOWN = 200  # characters of what a client sent, in a sentence
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
    checked = {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in _without_nulls(body).items()
    }
    error = best_match(_validator(schema).iter_errors(checked)) if schema is not None else None
    if error is not None:
        raise web.HTTPError(400, _sentence(error))
    _check_text(checked)
    return checked


def _without_nulls(value: JsonObject) -> JsonObject:
    return {key: inner for key, inner in value.items() if inner is not None}


def _sentence(error: ValidationError) -> str:
    instance: Any = error.instance
    schema: Any = error.schema
    expected: Any = error.validator_value
    if error.validator == "additionalProperties":
        unknown = sorted(set(instance) - set(schema["properties"]))
        return f"Not an option of a gateway here: {', '.join(unknown)[:LONGEST_SHOWN]}."
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "type":
        return f"{where!r} in the body must be {TYPE_NAMES[expected]}."
    if error.validator == "maxLength":
        return f"{where!r} in the body must have {expected} characters at most."
    return f"{where!r} in the body must be {schema['description']}."


def _check_text(body: JsonObject) -> None:
    """Refuse halves of surrogate pairs, which JSON can carry and UTF-8 cannot.

    Deeper objects than ``kernel`` and ``env`` are nobody's, so they are not looked at.
    """
    objects = [body, *(value for value in body.values() if isinstance(value, dict))]
    for key, value in (item for members in objects for item in members.items()):
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise web.HTTPError(400, f"{key!r} in the body is not valid Unicode.") from None
