"""Logs a request that failed because of a gateway in one line.

jupyter_server adds some of the request's headers to each error of 500 and more. While a gateway is
down every page sends a request every few seconds, and the reason was logged once already.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.log import log_request as log_stock_request
from jupyter_server.prometheus.log_functions import prometheus_log_method

GATEWAY_STATUSES = (501, 503, 504)  # of our managers' errors; jupyter_server uses none of them


def log_request(handler: Any, record_prometheus_metrics: bool = True) -> None:
    """Log a request; tornado's ``log_function``. The query is omitted: it may have a token."""
    status, request = handler.get_status(), handler.request
    if status not in GATEWAY_STATUSES:
        log_stock_request(handler, record_prometheus_metrics=record_prometheus_metrics)
        return
    milliseconds = 1000 * request.request_time()
    handler.log.warning("%d %s %s %.0f ms", status, request.method, request.path, milliseconds)
    if record_prometheus_metrics:
        prometheus_log_method(handler)
