"""Types that many modules share."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]  # the body of a request or an answer, or a part of it
