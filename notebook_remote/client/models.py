"""Validates the models of kernels and kernelspecs in gateways' answers.

Servers of other versions, proxies, and programs that only resemble a gateway may send ``null``,
text in place of an object, or omit fields. A model is repaired where that needs no guess; for
others the result is None, and the caller leaves them out.
"""

from __future__ import annotations

import re

from ..types import JsonObject

KERNEL_ID = re.compile(r"\w+-\w+-\w+-\w+-\w+", re.ASCII)
MAX_NAME_LENGTH = 200  # characters of a kernelspec's name
MAX_TEXT_LENGTH = 1000  # characters of other fields


def kernelspec_model(name: object, model: object) -> JsonObject | None:
    """A kernelspec's model as in jupyter_server's REST API; None if it is unusable.

    ``name`` is its key in the list, which is the name for starting a kernel.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        return None
    if not isinstance(model, dict) or not isinstance(model.get("spec"), dict) or "/" in name:
        return None
    spec: JsonObject = model["spec"]
    argv = spec.get("argv")
    known = {
        "argv": [part for part in argv if isinstance(part, str)] if isinstance(argv, list) else [],
        "display_name": _text(spec.get("display_name")) or name,
        "language": _text(spec.get("language")),
        "metadata": _object(spec.get("metadata")),
        "env": _object(spec.get("env")),
        "interrupt_mode": _text(spec.get("interrupt_mode")) or "signal",
    }
    resources = {
        key: url for key, url in _object(model.get("resources")).items() if isinstance(url, str)
    }
    return {**model, "name": name, "spec": {**spec, **known}, "resources": resources}


def kernel_model(model: object) -> JsonObject | None:
    """A kernel's model as in the REST API; None if its id is unusable."""
    if not isinstance(model, dict):
        return None
    kernel_id, connections = model.get("id"), model.get("connections")
    if not isinstance(kernel_id, str) or not KERNEL_ID.fullmatch(kernel_id):
        return None
    is_count = isinstance(connections, int) and not isinstance(connections, bool)
    return {
        "id": kernel_id,
        "name": _text(model.get("name")),
        "last_activity": _text(model.get("last_activity")),
        "execution_state": _text(model.get("execution_state")) or "unknown",
        "connections": connections if is_count else 0,
        "reason": _text(model.get("reason")),
    }


def names_missing_kernel(answer: object, kernel_id: str) -> bool:
    """Whether the body of a 404 comes from a Jupyter server, and is about this kernel.

    jupyter_server answers "Kernel does not exist: <id>". The 404 of a proxy (an ingress during a
    redeployment, say) names a path at most.
    """
    if not isinstance(answer, dict):
        return False
    texts = (answer.get("message"), answer.get("reason"))
    return any(isinstance(text, str) and _names(text, kernel_id) for text in texts)


def _names(text: str, kernel_id: str) -> bool:
    return re.search(rf"(?<![/\w-]){re.escape(kernel_id)}(?![/\w-])", text) is not None


def _text(value: object) -> str:
    return value[:MAX_TEXT_LENGTH] if isinstance(value, str) else ""


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
