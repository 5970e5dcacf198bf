"""A kernel that is being started on a gateway."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from ...types import JsonObject


@dataclass
class Start:
    """A kernel that is being started."""

    kernel_id: str
    name: str  # of its kernelspec
    document: str | None  # its API path
    since: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    sent: bool = False  # whether the gateway may know of it; before, it waits for its turn
    cancelled: bool = False  # by a user

    def model(self) -> JsonObject:
        """What pages are told; ``seconds`` since it was asked for."""
        return {
            "id": self.kernel_id,
            "name": self.name,
            "document": self.document,
            "state": "starting" if self.sent else "waiting",
            "seconds": round(time.monotonic() - self.since, 1),
        }
