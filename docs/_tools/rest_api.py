"""Generates the page about our REST API from its OpenAPI description; used by ``hooks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "notebook_remote" / "handlers" / "openapi.yaml"
METHODS = ("get", "post", "patch", "delete")


def page() -> str:
    """The page, as Markdown."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    base = document["servers"][0]["url"]
    lines = [
        "# REST API",
        "",
        document["info"]["description"],
        "",
        "The same as an OpenAPI description, for programs: [openapi.yaml](openapi.yaml).",
        "",
    ]
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        lines += ["| Request | What it does | Body | Answers |", "|---|---|---|---|"]
        for path, operations in document["paths"].items():
            for method in METHODS:
                operation = operations.get(method, {})
                if tag["name"] in operation.get("tags", ()):
                    lines.append(_row(method, base + path, operation))
        lines.append("")
    lines += ["## Bodies and answers", ""]
    for name, schema in document["components"]["schemas"].items():
        if schema.get("properties"):
            lines += _schema(name, schema)
    return "\n".join(lines)


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody")
    named = _name(body["content"]["application/json"]["schema"]) if body else ""
    statuses = ", ".join(operation["responses"])
    return f"| `{method.upper()} {path}` | {operation['summary']} | {named} | {statuses} |"


def _schema(name: str, schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", ())
    lines = [f"### {name}", "", schema.get("description", ""), ""]
    lines += ["| Field | Type | Meaning |", "|---|---|---|"]
    for field, kind in schema["properties"].items():
        always = "" if field in required or not required else " (optional)"
        lines.append(f"| `{field}`{always} | {_type(kind)} | {kind.get('description', '')} |")
    return [*lines, ""]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _name(schema)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _name(schema: dict[str, Any]) -> str:
    name = schema["$ref"].rpartition("/")[2]
    return f"[{name}](#{name.lower()})" if name != "KernelId" else "string"
