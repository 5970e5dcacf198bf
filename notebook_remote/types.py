"""Type aliases that many modules share."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]  # a JSON object in the body of a request or a response
