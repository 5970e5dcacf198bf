"""The kernelspec in a notebook's file, which is free of our names, and in a page, where it is not.

With several backends a page may know a kernelspec as ``python3@gpu``. The file says ``python3``, so
that it opens anywhere; which backend it was is remembered in the store.
"""

from __future__ import annotations

from ..backends.registry import BackendRegistry
from ..kernelspec_names import display_name, qualify, split
from ..types import JsonObject


def for_page(kernelspec: JsonObject, backends: BackendRegistry, last: str | None) -> JsonObject:
    """What a page gets; ``last`` is the key of the backend that the document ran on last.

    A name that several backends have stays as it is if none is remembered: then the page does not
    find it, and asks its user.
    """
    own = str(kernelspec.get("name") or "")
    backend = backends.of_key(last)
    if len(backends) == 1 or not own or backend is None:
        return kernelspec
    spec = backend.specs.last_specs.get(own)
    if spec is None:  # its kernels are not known at the moment; another's are not what was asked
        return {**kernelspec, "name": qualify(own, backend.name)}
    told = display_name(str(spec["spec"].get("display_name") or own), backend.label)
    return {**kernelspec, "name": backends.public_name(backend, own), "display_name": told}


def for_file(kernelspec: JsonObject, backends: BackendRegistry) -> JsonObject:
    """What is saved: the kernelspec's own names."""
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
        at_home = backends.get(where)
        shown = shown.removesuffix(display_name("", at_home.label if at_home else where))
    return {**kernelspec, "name": own, "display_name": shown} if kernelspec else kernelspec


def _kernelspec(model: JsonObject) -> tuple[JsonObject, JsonObject] | None:
    """The metadata of a notebook's model and the kernelspec in it, if all is as it should be."""
    content = model.get("content")
    metadata = content.get("metadata") if isinstance(content, dict) else None
    kernelspec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if not isinstance(kernelspec, dict) or not isinstance(metadata, dict):
        return None
    return metadata, kernelspec
