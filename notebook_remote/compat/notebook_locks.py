"""A notebook's file is not read while it is written, since jupyter_server loses it otherwise.

Its contents manager takes half of a notebook for the rest of a crash and moves the file aside, with
what is still being written to it (jupyter_server 2.21.1, ``AsyncFileManagerMixin._read_notebook``).
``patches/`` has the same for servers that are not ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from jupyter_server.services.contents.fileio import AsyncFileManagerMixin


class NotebookLock:
    """One task at a time; it may come in again while it has it, as upstream's reading does."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have it."""
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
    """In front of a contents manager's class: whoever asks it for a notebook, waits for a save."""

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
    """A class of contents managers, with locks if it needs them: for files, and asynchronous."""
    if not issubclass(manager, AsyncFileManagerMixin) or issubclass(manager, NotebookLockMixin):
        return manager
    if hasattr(manager, "_notebook_lock"):  # the patched jupyter_server, which has them itself
        return manager
    return type(manager.__name__, (NotebookLockMixin, manager), {"__module__": __name__})
