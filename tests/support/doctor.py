"""The doctor in tests, and a plain HTTP proxy for it."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import requests
from traitlets.config import Config

from notebook_remote.config.gateway import Gateway
from notebook_remote.doctor.examination import CHECKS, examine
from notebook_remote.doctor.findings import Finding

from .servers import PATIENCE, Server


class Report(dict[str, Finding]):
    """Findings by their name."""

    def of(self, verdict: str) -> set[str]:
        return {name for name, finding in self.items() if finding.verdict == verdict}

    def only_fails(self, name: str) -> Finding:
        """The one failure; what needs it is skipped, and nothing else fails."""
        assert self.of("fail") == {name}, self
        finding = self[name]
        assert finding.text
        assert finding.next_step
        after = [check for check in CHECKS if check.needs == name]
        assert all(self[check.name].verdict == "skip" for check in after)
        return finding


def configured(url: str, **options: Any) -> Gateway:
    # The shorter the link's timeout, the shorter the silence that is tried.
    return Gateway(config=Config({"Gateway": {"url": url, "link_timeout": 1, **options}}))


def examined(gateway: Gateway, *secrets: str, **options: Any) -> Report:
    """All findings: each check has one, and no secret is in it."""
    report = Report({finding.name: finding for finding in examine(gateway, **options)})
    assert list(report) == [check.name for check in CHECKS]
    for secret in (gateway.auth_token, gateway.http_pwd, *secrets):
        assert not secret or secret not in str(report)
    return report


def good_for(server: Server, **options: Any) -> Gateway:
    return configured(server.url, auth_token=server.token, **options)


# -- in between ---------------------------------------------------------------------------------


class PlainProxy(BaseHTTPRequestHandler):
    """Passes requests on and no WebSockets: what stands for one hop stays here, as HTTP says."""

    target = ""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hop = ("connection", "upgrade", "host", "content-length")
        kept = {k: v for k, v in self.headers.items() if k.lower() not in hop}
        response = requests.request(
            self.command, self.target + self.path, data=body, headers=kept, timeout=PATIENCE
        )
        self.send_response(response.status_code)
        self.send_header("Content-Type", response.headers.get("Content-Type", ""))
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *args: object) -> None:
        """Say nothing."""
