"""One request at a time for a file, since jupyter_server's contents manager loses it otherwise.

Its GET of a notebook that is just being written finds half of it, takes that for the rest of a
crash, and renames it (jupyter_server 2.21.1, ``FileManagerMixin._read_notebook``). ``patches/`` has
the same for servers that are not ours.
"""

from __future__ import annotations

import asyncio
import posixpath
from typing import Any
from weakref import WeakValueDictionary

from jupyter_server.base.handlers import JupyterHandler

SETTING = "notebook_remote_path_locks"  # where tornado's application has them


class PathLocks:
    """Locks by API path. One that nobody holds or waits for is forgotten."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, path: str) -> asyncio.Lock:
        """The lock of a file, however its path is written."""
        key = posixpath.normpath(path.strip("/"))
        return self._locks.setdefault(key, asyncio.Lock())


class OneAtATime(JupyterHandler):
    """Mixin for handlers with a ``path`` in their route, in front of jupyter_server's class."""

    _path_lock: asyncio.Lock | None = None

    async def prepare(self) -> None:
        """Wait for earlier requests for the same file; called by tornado."""
        await super().prepare()
        # Those who are not logged in do not get to the file, and hold up nobody.
        if self.current_user is not None and not self._finished:
            locks: PathLocks = self.settings.setdefault(SETTING, PathLocks())
            lock = locks.of(self.path_kwargs.get("path") or "")
            await lock.acquire()
            self._path_lock = lock

    def on_finish(self) -> None:
        """Let the next one in; called by tornado, after errors too."""
        lock, self._path_lock = self._path_lock, None
        if lock is not None:
            lock.release()
        super().on_finish()


def one_at_a_time(stock: type) -> type[Any]:
    """A handler class of jupyter_server's, with the mixin."""
    return type(f"OneAtATime{stock.__name__}", (OneAtATime, stock), {})
