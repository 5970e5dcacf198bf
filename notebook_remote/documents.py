"""The kernelspec in a notebook's file, which is free of our names, and in a page, where it is not.

With several backends a page may know a kernelspec as ``python3@gpu``. The file says ``python3``, so
that it opens anywhere; which backend it was is remembered in the store.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.contents.handlers import ContentsHandler

from .backends import Backends, told_apart
from .routing import RoutedKernelManager, display_name
from .store import Store

Model = dict[str, Any]


def for_page(kernelspec: Model, backends: Backends, last: str | None) -> Model:
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
        return {**kernelspec, "name": told_apart(own, backend.name)}
    told = display_name(str(spec["spec"].get("display_name") or own), backend.label)
    return {**kernelspec, "name": backends.public_name(backend, own), "display_name": told}


def for_file(kernelspec: Model, backends: Backends) -> Model:
    """What is saved: the kernelspec's own names."""
    name = str(kernelspec.get("name") or "")
    shown = str(kernelspec.get("display_name") or "")
    own, at, where = name.rpartition("@")
    if not at:  # no kernelspec of Jupyter's has one in its name
        own = name
    for backend in backends:
        spec = backend.specs.last_specs.get(own)
        if spec is not None and (not at or where == backend.name):
            known = str(spec["spec"].get("display_name") or "")
            if shown == display_name(known or name, backend.label):
                shown = known or own
    if at:
        at_home = backends.get(where)
        shown = shown.removesuffix(display_name("", at_home.label if at_home else where))
    return {**kernelspec, "name": own, "display_name": shown} if kernelspec else kernelspec


def _kernelspec(model: Model) -> tuple[Model, Model] | None:
    """The metadata of a notebook's model and the kernelspec in it, if all is as it should be."""
    content = model.get("content")
    metadata = content.get("metadata") if isinstance(content, dict) else None
    kernelspec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    if not isinstance(kernelspec, dict) or not isinstance(metadata, dict):
        return None
    return metadata, kernelspec


class DocumentsHandler(ContentsHandler):
    """``/api/contents``: jupyter_server's, with the kernelspecs of notebooks as above."""

    async def prepare(self) -> None:
        """Have the kernelspecs asked for; files depend on no gateway. Called by tornado."""
        await super().prepare()
        if self.current_user is not None and len(self._backends) > 1:
            await self._backends.look_at_kernelspecs()

    def get_json_body(self) -> Model | None:
        """The body of a request; of one that saves a notebook, as it is saved."""
        body: Model | None = super().get_json_body()
        found = _kernelspec(body) if isinstance(body, dict) else None
        if found is not None:
            metadata, kernelspec = found
            metadata["kernelspec"] = for_file(kernelspec, self._backends)
        return body

    def _finish_model(self, model: Model, location: bool = True) -> None:
        found = _kernelspec(model)
        store = self._store
        if found is not None and store is not None:
            metadata, kernelspec = found
            last = store.last_used(str(model["path"]).strip("/"))
            metadata["kernelspec"] = for_page(kernelspec, self._backends, last)
        super()._finish_model(model, location)

    async def patch(self, path: str = "") -> None:
        """Rename a file or folder, with what is remembered of its documents."""
        await super().patch(path)
        body = self.get_json_body() or {}
        store = self._store
        if store is not None and isinstance(body.get("path"), str):
            store.moved(path.strip("/"), body["path"].strip("/"))

    @property
    def _backends(self) -> Backends:
        manager = self.kernel_manager
        assert isinstance(manager, RoutedKernelManager)  # noqa: S101 - for the type checker
        return manager.backends

    @property
    def _store(self) -> Store | None:
        store: Store | None = getattr(self.session_manager, "store", None)  # a user's has none
        return store
