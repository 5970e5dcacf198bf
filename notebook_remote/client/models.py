"""What gateways say of kernels and kernelspecs, brought into the form that the rest relies on.

Whatever answers at a gateway's address may send ``null``, text for an object, or leave fields out:
servers of other versions, proxies, and programs that only look like a gateway. Here is the door.
What can be repaired without a guess is; what cannot be used is left out by the caller.
"""

from __future__ import annotations

import re

from ..types import JsonObject

KERNEL_ID = re.compile(r"\w+-\w+-\w+-\w+-\w+", re.ASCII)
LONGEST_NAME = 200  # letters of a kernelspec's name
LONGEST_TEXT = 1000  # letters of what is shown of it


def kernelspec_model(name: object, model: object) -> JsonObject | None:
    """A kernelspec as jupyter_server's REST API has it, or None if it is none.

    ``name`` is the key under which it was listed, which is the one that a start is to give.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
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
    """A kernel as the REST API has it, or None if it has no id that can be one."""
    if not isinstance(model, dict):
        return None
    kernel_id, connections = model.get("id"), model.get("connections")
    if not isinstance(kernel_id, str) or not KERNEL_ID.fullmatch(kernel_id):
        return None
    counted = isinstance(connections, int) and not isinstance(connections, bool)
    return {
        "id": kernel_id,
        "name": _text(model.get("name")),
        "last_activity": _text(model.get("last_activity")),
        "execution_state": _text(model.get("execution_state")) or "unknown",
        "connections": connections if counted else 0,
        "reason": _text(model.get("reason")),
    }


def names_missing_kernel(answer: object, kernel_id: str) -> bool:
    """Whether a 404 with this body is a Jupyter server's word about this very kernel.

    jupyter_server says "Kernel does not exist: <id>". Something in between (an ingress during a
    redeploy, say) names a route at most, and knows nothing of kernels.
    """
    if not isinstance(answer, dict):
        return False
    texts = (answer.get("message"), answer.get("reason"))
    return any(isinstance(text, str) and _names(text, kernel_id) for text in texts)


def _names(text: str, kernel_id: str) -> bool:
    return re.search(rf"(?<![/\w-]){re.escape(kernel_id)}(?![/\w-])", text) is not None


def _text(value: object) -> str:
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}
