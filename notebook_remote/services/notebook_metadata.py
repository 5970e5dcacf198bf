"""Translates the kernelspec in a notebook's metadata between its file and its page.

With several backends a page may know a kernelspec as ``python3@gpu``. The file says ``python3``, so
that it opens anywhere; on which backend it ran is noted in the store.
"""

from __future__ import annotations

from ..backends.registry import BackendRegistry
from ..kernelspec_names import display_name, qualify, split
from ..types import JsonObject


def for_page(kernelspec: JsonObject, backends: BackendRegistry, last: str | None) -> JsonObject:
    """The kernelspec for a page; ``last`` is the key of the backend on which the document ran last.

    If there is none, a name that several backends have stays as it is: then the page does not find
    it, and asks its user.
    """
    own = str(kernelspec.get("name") or "")
    backend = backends.of_document(last)
    if len(backends) == 1 or not own or backend is None:
        return kernelspec
    spec = backend.specs.last_specs.get(own)
    if spec is None:  # not listed at the moment; the kernelspec of another backend is no substitute
        return {**kernelspec, "name": qualify(own, backend.name)}
    display = display_name(str(spec["spec"].get("display_name") or own), backend.label)
    return {**kernelspec, "name": backends.public_name(backend, own), "display_name": display}


def for_file(kernelspec: JsonObject, backends: BackendRegistry) -> JsonObject:
    """The kernelspec for the file, with the backend's own names for it."""
    name = str(kernelspec.get("name") or "")
    shown = str(kernelspec.get("display_name") or "")
    own, where = split(name)
    for backend in backends:
        spec = backend.specs.last_specs.get(own)
        if spec is not None and where in ("", backend.name):
            known = str(spec["spec"].get("display_name") or "")
            if shown == display_name(known or name, backend.label):
                shown = known or own
    if where:
        named = backends.get(where)
        shown = shown.removesuffix(display_name("", named.label if named else where))
    return {**kernelspec, "name": own, "display_name": shown} if kernelspec else kernelspec


def metadata_and_kernelspec(model: JsonObject) -> tuple[JsonObject, JsonObject] | None:
    """The metadata of a notebook's model and the kernelspec in it; None if either is missing."""
    content = model.get("content")
    metadata = content.get("metadata") if isinstance(content, dict) else None
    kernelspec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if not isinstance(kernelspec, dict) or not isinstance(metadata, dict):
        return None
    return metadata, kernelspec
