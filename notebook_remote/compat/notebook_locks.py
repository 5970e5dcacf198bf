"""Locks that keep a notebook's file from being read while it is written.

jupyter_server's contents manager takes a half-written notebook for a damaged one, and renames the
file while it is still being written, so that the notebook is lost (jupyter_server 2.21.1,
``AsyncFileManagerMixin._read_notebook``). ``patches/`` fixes it for stock servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from jupyter_server.services.contents.fileio import AsyncFileManagerMixin


class NotebookLock:
    """A reentrant lock for tasks: jupyter_server's read calls itself."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock; nested calls of the same task do not wait."""
        task = asyncio.current_task()
        if self._holder is task:
            yield
            return
        async with self._lock:
            self._holder = task
            try:
                yield
            finally:
                self._holder = None


class NotebookLockMixin(AsyncFileManagerMixin):
    """A mixin for contents managers: reads of a notebook wait for saves, and vice versa."""

    def _lock_of(self, os_path: str) -> NotebookLock:
        locks = self.__dict__.setdefault("_locks_by_path", WeakValueDictionary())
        lock: NotebookLock = locks.setdefault(os_path, NotebookLock())
        return lock

    async def _read_notebook(self, os_path: str, *args: Any, **kwargs: Any) -> Any:
        async with self._lock_of(os_path).held():
            return await super()._read_notebook(os_path, *args, **kwargs)

    async def _save_notebook(self, os_path: str, *args: Any, **kwargs: Any) -> None:
        async with self._lock_of(os_path).held():
            await super()._save_notebook(os_path, *args, **kwargs)


def with_notebook_locks(manager: type) -> type:
    """The class of contents managers with locks, if it needs them: asynchronous, and for files."""
    if not issubclass(manager, AsyncFileManagerMixin) or issubclass(manager, NotebookLockMixin):
        return manager
    if hasattr(manager, "_notebook_lock"):  # the patched jupyter_server, which has them itself
        return manager
    return type(manager.__name__, (NotebookLockMixin, manager), {"__module__": __name__})
