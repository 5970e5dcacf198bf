"""The doctor against real gateways, good ones and broken ones."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import ThreadingHTTPServer
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import trustme

from notebook_remote.app import OUR_ALIASES
from notebook_remote.cli.doctor import DoctorApp
from notebook_remote.doctor.examination import CHECKS, examine
from notebook_remote.doctor.findings import Finding, about_server_here, is_vulnerable
from notebook_remote.doctor.transport import Transport

from ..support.doctor import PlainProxy, configured, examined, good_for
from ..support.intermediary import Intermediary
from ..support.servers import PATIENCE, Farm, Server, free_port, wait_for
from ..support.shared_servers import ON_GATEWAYS, SharedServers

LISTS = {
    "jupyter-server": (),
    "kernel-gateway": ("--JupyterWebsocketPersonality.list_kernels=True",),
    "enterprise-gateway": ("--EnterpriseGatewayApp.list_kernels=True",),
}
BROKEN = {"argv": ["/does/not/exist", "{connection_file}"], "display_name": "B", "language": "b"}
TALKER = """
from ipykernel.kernelbase import Kernel
from ipykernel.kernelapp import IPKernelApp

class Talker(Kernel):
    implementation, implementation_version, banner = "talker", "1", "talker"
    language_info = {"name": "talk", "mimetype": "text/plain", "file_extension": ".talk"}

IPKernelApp.launch_instance(kernel_class=Talker)
"""


def kernels(server: Server) -> list[str]:
    return [kernel["id"] for kernel in server.get("/api/kernels").json()]


@pytest.fixture(scope="module")
def listing(shared_farm: Farm) -> Callable[[str], Server]:
    """Gateways of each kind that say which kernels they have."""
    servers: dict[str, Server] = {}

    def get(kind: str) -> Server:
        if kind not in servers:
            servers[kind] = shared_farm.gateway(kind, *LISTS[kind]).start()
        return servers[kind]

    return get


@pytest.fixture
def jupyter_server(listing: Callable[[str], Server]) -> Server:
    return listing("jupyter-server")


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith(("KERNEL_", "JUPYTER_GATEWAY"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KERNEL_USERNAME", "ada")  # Enterprise Gateway takes no unnamed one, as root


# -- gateways that are well ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_a_stock_gateway(kind: str, listing: Callable[[str], Server]) -> None:
    server = listing(kind)
    before = set(kernels(server))
    report = examined(good_for(server, link_timeout=15))
    assert not report.of("fail"), report
    limits = {"gateway"} if kind == "enterprise-gateway" else {"output limits"}
    here = {"jupyter_server", "gateway"} if is_vulnerable(version("jupyter_server")) else set()
    assert report.of("warn") == {"11 MiB up"} | limits | here, report
    assert report.of("skip") == {"TLS", "add-on", "ticket"}, report
    name = {"jupyter-server": "Jupyter Server 2", "kernel-gateway": "Kernel Gateway"}
    assert name.get(kind, "Enterprise Gateway 3.") in report["gateway"].text
    step = report["11 MiB up"].next_step
    assert ("websocket_max_message_size" in step) == (kind == "jupyter-server"), step
    assert set(kernels(server)) == before


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_one_with_the_add_on(kind: str, shared: SharedServers) -> None:
    server = shared.gateway(kind, addon=True)
    origin = "https://notebook.example"
    report = examined(good_for(server, mode="direct"), origin=origin)
    assert not report.of("fail"), report
    assert report["add-on"].verdict == "pass"
    assert "tickets" in report["add-on"].text
    assert report["ticket"].verdict == "pass", report["ticket"]
    assert origin in report["ticket"].text


@pytest.mark.parametrize("kind", ["jupyter-server", "kernel-gateway"])
def test_the_advice_about_limits_is_right(kind: str, farm: Farm) -> None:
    limits = "--ZMQChannelsWebsocketConnection.iopub_"
    options = [f"{limits}data_rate_limit=0", f"{limits}msg_rate_limit=0"]
    if kind == "jupyter-server":
        settings = '{"websocket_max_message_size": 268435456}'
        options.append(f"--ServerApp.tornado_settings={settings}")
    report = examined(good_for(farm.gateway(kind, *options).start()))
    assert report["output limits"].verdict == "pass", report
    if kind == "jupyter-server":
        assert report["11 MiB up"].verdict == "pass", report
        assert "Gateway.max_message_size" in report["11 MiB up"].next_step


def test_kernels_of_others_stay(jupyter_server: Server) -> None:
    with jupyter_server.kernel() as other:
        assert not examined(good_for(jupyter_server)).of("fail")
        assert kernels(jupyter_server) == [other]


def test_who_stops_listening_leaves_nothing(jupyter_server: Server) -> None:
    findings = examine(good_for(jupyter_server))
    next(finding for finding in findings if finding.name == "channels")
    assert kernels(jupyter_server)
    findings.close()  # type: ignore[attr-defined]
    assert kernels(jupyter_server) == []


def test_a_kernel_that_may_be_left_is_named(jupyter_server: Server) -> None:
    broken_off: list[Finding] = []
    with Intermediary(int(jupyter_server.url.rpartition(":")[2])) as link:
        gateway = configured(link.url, auth_token=jupyter_server.token, connect_timeout=2)
        findings = examine(gateway, on_interrupted=broken_off.append)
        next(finding for finding in findings if finding.name == "kernel start")
        link.refuse()
        findings.close()  # type: ignore[attr-defined]
    (kernel_id,) = kernels(jupyter_server)
    jupyter_server.request("DELETE", f"/api/kernels/{kernel_id}")
    assert broken_off[0].verdict == "fail"
    assert kernel_id in broken_off[0].text


@pytest.mark.parametrize("kind", ["jupyter-server", "kernel-gateway"])
def test_a_gateway_for_everybody(kind: str, farm: Farm) -> None:
    """A Jupyter Server without a token wants an _xsrf cookie instead."""
    report = examined(configured(farm.gateway(kind, token="").start().url))
    assert not report.of("fail"), report
    assert report["token"].verdict == "warn"


def test_versions_with_known_vulnerabilities(jupyter_server: Server) -> None:
    was = f'"version": "{version("jupyter_server")}"'.encode()
    old = b'"version": "2.9"'.ljust(len(was))
    with Intermediary(int(jupyter_server.url.rpartition(":")[2]), (was, old)) as link:
        report = examined(configured(link.url, auth_token=jupyter_server.token))
    assert report["gateway"].verdict == "warn"
    assert "pip install -U" in report["gateway"].next_step
    assert [about_server_here(v)[0] for v in ("2.19.1", "2.20.0", "3.0.0a1", "?")] == [
        "warn",
        "pass",
        "pass",
        "pass",
    ]


# -- the way there ------------------------------------------------------------------------------


def test_a_name_that_nobody_has() -> None:
    finding = examined(configured("http://gateway.invalid:8888")).only_fails("name")
    assert "gateway.invalid" in finding.text


def test_nothing_listens() -> None:
    finding = examined(configured(f"http://localhost:{free_port()}")).only_fails("connect")
    assert "refused" in finding.text


def test_it_takes_connections_and_says_nothing(jupyter_server: Server) -> None:
    with Intermediary(int(jupyter_server.url.rpartition(":")[2])) as link:
        link.blackhole()
        report = examined(configured(link.url, connect_timeout=0.5))
        assert "says nothing" in report.only_fails("HTTP").text


def certificate(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority, str(tmp_path / "ca.pem")


def behind_tls(server: Server, context: ssl.SSLContext) -> Intermediary:
    return Intermediary(int(server.url.rpartition(":")[2]), tls=context)


def test_a_good_certificate(jupyter_server: Server, authority: tuple[trustme.CA, str]) -> None:
    ca, file = authority
    with behind_tls(jupyter_server, certificate(ca, "localhost")) as link:
        gateway = configured(link.url, auth_token=jupyter_server.token, ca_certs=file)
        report = examined(gateway)
    assert not report.of("fail"), report
    assert report["TLS"].verdict == "pass", report["TLS"]


def test_a_certificate_that_ends_soon(
    jupyter_server: Server, authority: tuple[trustme.CA, str]
) -> None:
    ca, file = authority
    soon = datetime.now(timezone.utc) + timedelta(days=3)
    with behind_tls(jupyter_server, certificate(ca, "localhost", not_after=soon)) as link:
        report = examined(configured(link.url, ca_certs=file))
    assert report["TLS"].verdict == "warn"
    assert "2 more days" in report["TLS"].text


@pytest.mark.parametrize(
    ("case", "said", "advice"),
    [
        ("unknown", "not known here", "--Gateway.ca_certs"),
        ("expired", "expired", "Renew"),
        ("name", "other.example", "--gateway-url"),
    ],
)
def test_bad_certificates(
    case: str, said: str, advice: str, jupyter_server: Server, authority: tuple[trustme.CA, str]
) -> None:
    ca, file = authority
    name = "other.example" if case == "name" else "localhost"
    past = datetime.now(timezone.utc) - timedelta(days=1)
    options = {"not_before": past - timedelta(days=1), "not_after": past}
    context = certificate(ca, name, **(options if case == "expired" else {}))
    with behind_tls(jupyter_server, context) as link:
        trust = {} if case == "unknown" else {"ca_certs": file}
        finding = examined(configured(link.url, **trust)).only_fails("TLS")
    assert said in finding.text
    assert advice in finding.next_step


def test_a_certificate_signed_by_itself(jupyter_server: Server, tmp_path: Path) -> None:
    cert, key = str(tmp_path / "own.pem"), str(tmp_path / "own.key")
    wanted = f"-days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost -out {cert}"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} {wanted}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with behind_tls(jupyter_server, context) as link:
        finding = examined(configured(link.url)).only_fails("TLS")
        assert "signed by itself" in finding.text
        as_told = examined(configured(link.url, auth_token=jupyter_server.token, ca_certs=cert))
        assert not as_told.of("fail"), as_told


def test_certificates_that_nobody_looks_at(
    jupyter_server: Server, authority: tuple[trustme.CA, str]
) -> None:
    with behind_tls(jupyter_server, certificate(authority[0], "localhost")) as link:
        options = {"auth_token": jupyter_server.token, "validate_cert": False}
        report = examined(configured(link.url, **options))
        assert not report.of("fail"), report
        assert report["TLS"].verdict == "warn"


def test_http_and_https_mixed_up(jupyter_server: Server, authority: tuple[trustme.CA, str]) -> None:
    with behind_tls(jupyter_server, certificate(authority[0], "localhost")) as link:
        plain = link.url.replace("https", "http")
        finding = examined(configured(plain)).only_fails("HTTP")
        assert f"--gateway-url={link.url}" in finding.next_step
    secure = jupyter_server.url.replace("http", "https")
    started = time.monotonic()
    finding = examined(configured(secure)).only_fails("TLS")
    assert time.monotonic() - started < 6  # 3 are promised, on a quiet machine
    assert f"--gateway-url={jupyter_server.url}" in finding.next_step


# -- what answers -------------------------------------------------------------------------------


def test_a_prefix_too_much(jupyter_server: Server) -> None:
    gateway = configured(f"{jupyter_server.url}/team-b/x", auth_token=jupyter_server.token)
    finding = examined(gateway).only_fails("HTTP")
    assert f"--gateway-url={jupyter_server.url}." in finding.next_step


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_a_prefix(kind: str, farm: Farm) -> None:
    server = farm.gateway(kind, base_url="/team-a/").start()
    root = server.url.removesuffix("/team-a")
    finding = examined(configured(root, auth_token=server.token)).only_fails("HTTP")
    assert "prefix" in finding.next_step
    assert not examined(good_for(server)).of("fail")


@pytest.mark.parametrize("kind", ON_GATEWAYS)
@pytest.mark.parametrize("token", ["", "wr0ng-t0ken"])
def test_a_wrong_token(kind: str, token: str, listing: Callable[[str], Server]) -> None:
    server = listing(kind)
    finding = examined(configured(server.url, auth_token=token)).only_fails("token")
    assert ("wants a token" in finding.text) == (not token)
    assert "JUPYTER_GATEWAY_AUTH_TOKEN" in finding.next_step


def test_all_ways_to_give_a_token(jupyter_server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(jupyter_server.token + "\n")
    header = json.dumps({"Authorization": f"token {jupyter_server.token}"})
    for options in ({"auth_token_file": str(file)}, {"headers": header}):
        report = examined(configured(jupyter_server.url, **options), jupyter_server.token)
        assert not report.of("fail"), report


def test_a_token_that_is_no_header(jupyter_server: Server) -> None:
    gateway = configured(jupyter_server.url, auth_token="two\nlines-of-it")
    assert "line break" in examined(gateway, "lines-of-it").only_fails("configuration").text


def test_a_clock_that_is_wrong(jupyter_server: Server) -> None:
    was = (b"\r\nDate: ", b"\r\nDate: Wed, 25 Nov 2020 10:00:00 GMT\r\nX-Date: ")
    with Intermediary(int(jupyter_server.url.rpartition(":")[2]), was) as link:
        report = examined(configured(link.url, auth_token=jupyter_server.token))
    assert report["clock"].verdict == "warn"
    assert "behind" in report["clock"].text


def test_what_each_mode_needs_of_the_add_on(jupyter_server: Server) -> None:
    verdicts = {
        mode: examined(good_for(jupyter_server, mode=mode))["add-on"].verdict
        for mode in ("direct", "browser")
    }
    assert verdicts == {"direct": "warn", "browser": "fail"}


@pytest.fixture
def plain_proxy(jupyter_server: Server) -> Iterator[str]:
    handler = type("Handler", (PlainProxy,), {"target": jupyter_server.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield f"http://localhost:{proxy.server_port}"
        proxy.shutdown()
        thread.join()


def test_a_proxy_without_websockets(plain_proxy: str, jupyter_server: Server) -> None:
    report = examined(configured(plain_proxy, auth_token=jupyter_server.token))
    finding = report.only_fails("channels")
    assert "Upgrade" in finding.next_step
    assert kernels(jupyter_server) == []
    websockets = "ws" + jupyter_server.url.removeprefix("http")
    gateway = configured(plain_proxy, auth_token=jupyter_server.token, ws_url=websockets)
    assert not examined(gateway).of("fail")


class RoundRobin(Intermediary):
    """Sends each connection to another gateway."""

    def __init__(self, *servers: Server) -> None:
        self.ports = cycle(int(server.url.rpartition(":")[2]) for server in servers)
        super().__init__(0)

    async def _accept(self, *ends: Any) -> None:
        self.target = next(self.ports)
        await super()._accept(*ends)


def test_replicas_that_do_not_know_each_others_kernels(jupyter_server: Server, farm: Farm) -> None:
    other = farm.gateway("jupyter-server", token=jupyter_server.token).start()
    with RoundRobin(jupyter_server, other) as balancer:
        report = examined(configured(balancer.url, auth_token=jupyter_server.token))
        finding = report.only_fails("replicas")
    assert "3 of 6" in finding.text
    assert "affinity" in finding.next_step
    assert kernels(jupyter_server) == kernels(other) == []


@pytest.mark.parametrize(("trouble", "said"), [("cut", "gone"), ("blackhole", "pings")])
def test_an_idle_connection_that_ends(trouble: str, said: str, jupyter_server: Server) -> None:
    with Intermediary(int(jupyter_server.url.rpartition(":")[2])) as link:

        def spoil(name: str) -> None:
            if name == "idle":
                getattr(link, trouble)()
            elif name == "ticket":
                link.restore()

        gateway = configured(link.url, auth_token=jupyter_server.token, connect_timeout=2)
        finding = examined(gateway, on_check=spoil).only_fails("idle")
    assert said in finding.text
    assert kernels(jupyter_server) == []


# -- kernels ------------------------------------------------------------------------------------


def with_kernel(farm: Farm, kind: str, name: str, spec: dict[str, Any]) -> Server:
    """A gateway, not started yet, that has one more kernelspec."""
    server = farm.gateway(kind, *LISTS[kind])
    folder = Path(server.env["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    return server


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_a_kernel_that_cannot_start(kind: str, farm: Farm) -> None:
    server = with_kernel(farm, kind, "broken", BROKEN).start()
    report = examined(good_for(server, request_timeout=6), kernel_name="broken")
    assert report.of("fail") in ({"kernel start"}, {"replicas"}, {"channels"}), report
    assert "log" in report[report.of("fail").pop()].next_step
    assert kernels(server) == []


def test_a_kernelspec_that_is_not_there(jupyter_server: Server) -> None:
    report = examined(good_for(jupyter_server), kernel_name="cobol")
    assert "python3" in report.only_fails("kernel start").next_step


def test_another_language(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "talker.py").write_text(TALKER)
    argv = [sys.executable, str(tmp_path / "talker.py"), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Talker", "language": "talk"}
    server = with_kernel(farm, "jupyter-server", "talker", spec).start()
    report = examined(good_for(server), kernel_name="talker")
    assert not report.of("fail"), report
    assert report["round trip"].verdict == "pass"
    for name in ("binary", "11 MiB up", "11 MiB down", "output limits"):
        assert report[name].verdict == "skip"
        assert "talk" in report[name].text


QUIET = """
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

class Quiet(IPythonKernel):
    asked = 0

    def _publish_status(self, *args, **kwargs):
        {when}

IPKernelApp.launch_instance(kernel_class=Quiet)
"""
NEVER = "pass"
AT_FIRST = "self.asked += 1; self.asked < 12 and super()._publish_status(*args, **kwargs)"


@pytest.mark.parametrize(("when", "check"), [(NEVER, "round trip"), (AT_FIRST, "status")])
def test_a_kernel_without_status(when: str, check: str, farm: Farm, tmp_path: Path) -> None:
    """Its gateway passes nothing on before the first one."""
    (tmp_path / "quiet.py").write_text(QUIET.format(when=when))
    argv = [sys.executable, str(tmp_path / "quiet.py"), "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Quiet", "language": "python"}
    server = with_kernel(farm, "jupyter-server", "quiet", spec).start()
    report = examined(good_for(server, connect_timeout=3), kernel_name="quiet")
    finding = report.only_fails(check)
    assert "status" in finding.text
    assert "authors of this kernel" in finding.next_step


def test_the_older_protocol(farm: Farm) -> None:
    option = "--ZMQChannelsWebsocketConnection.kernel_ws_protocol="
    report = examined(good_for(farm.gateway("jupyter-server", option).start()))
    assert not report.of("fail"), report
    assert report["subprotocol"].verdict == "warn"
    assert report["round trip"].verdict == "pass"
    assert report["binary"].verdict == "skip"


# -- the command --------------------------------------------------------------------------------


class Command:
    """`jupyter notebook-remote doctor` as somebody runs it."""

    def __init__(self, farm: Farm, *options: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "notebook_remote", "doctor", *options],
            env=farm.env("doctor", KERNEL_USERNAME="ada", PYTHONUNBUFFERED="1", **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def settings(server: Server) -> dict[str, str]:
    return {"JUPYTER_GATEWAY_URL": server.url, "JUPYTER_GATEWAY_AUTH_TOKEN": server.token}


def test_lines_for_people(farm: Farm, jupyter_server: Server) -> None:
    code, out, err = Command(farm, "--debug", **settings(jupyter_server)).end()
    assert code == 0, out + err
    assert "pass  channels" in out
    assert "-> Uploads" in out
    assert "It works: " in out
    assert "0 failed" in out
    assert "\x1b" not in out
    assert jupyter_server.token not in out + err


def test_one_json_document(farm: Farm, jupyter_server: Server) -> None:
    code, out, err = Command(farm, "--json", "--debug", **settings(jupyter_server)).end()
    document = json.loads(out)
    assert code == 0
    assert document["passed"] is True
    (gateway,) = document["gateways"]
    assert [row["name"] for row in gateway["findings"]] == [check.name for check in CHECKS]
    assert set(gateway["findings"][0]) == {"name", "verdict", "text", "next_step"}
    assert jupyter_server.token not in out + err


def test_a_failure_is_in_the_exit_code(farm: Farm, jupyter_server: Server) -> None:
    options = (f"--gateway-url={jupyter_server.url}/nope?token=s3cr3t-t0ken", "--json")
    code, out, err = Command(farm, *options).end()
    assert code == 1
    assert json.loads(out)["passed"] is False
    assert "s3cr3t" not in out + err
    code, out, _ = Command(farm, "--gateway-url=htp://localhost").end()
    assert code == 1
    assert "fail  configuration" in out
    code, out, _ = Command(farm, "--gateway=foo").end()
    assert (code, "--gateway=gpu=https://host:8888" in out) == (1, True)
    assert "Traceback" not in out


@pytest.mark.parametrize("section", ["Gateway", "GatewayClient"])
def test_the_configuration_file(section: str, farm: Farm, jupyter_server: Server) -> None:
    folder = Path(farm.env("doctor")["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_notebook_remote_config.py").write_text(
        f"c.{section}.url = {jupyter_server.url!r}\nc.{section}.auth_token = 'wr0ng-t0ken'\n"
    )
    code, out, err = Command(farm, "--port=8889", "--no-browser", "--allow-root").end()
    assert code == 1
    assert "pass  HTTP" in out, out + err
    assert "fail  token" in out
    assert "wr0ng" not in out + err


@pytest.mark.parametrize("mode", ["proxy", "local"])
def test_without_a_gateway(mode: str, farm: Farm) -> None:
    code, out, err = Command(farm, f"--mode={mode}").end()
    assert code == 0, out + err
    assert ("No gateway is given" in out) == (mode == "proxy")
    assert "pass  kernel start" in out


def test_an_address_that_is_no_option_is_not_passed_over(farm: Farm) -> None:
    code, out, err = Command(farm, "http://ada:s3cret@127.0.0.1:1").end()
    assert (code, out) == (2, "")
    assert "write --gateway-url=http://127.0.0.1:1." in err
    assert "s3cret" not in err


def test_the_options_are_those_of_the_main_command() -> None:
    assert OUR_ALIASES.items() <= DoctorApp.aliases.items()


@pytest.mark.parametrize("kind", ON_GATEWAYS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_a_kernel_starts(
    kind: str, number: int, farm: Farm, listing: Callable[[str], Server]
) -> None:
    server = listing(kind)
    with Intermediary(int(server.url.rpartition(":")[2])) as link:
        link.delay(0.3, "down")  # so that the answer is on its way when we break off
        env = {**settings(server), "JUPYTER_GATEWAY_URL": link.url}
        command = Command(farm, "--json", **env)
        wait_for("a start", lambda: b"POST /api/kernels " in link.to_gateway)
        os.kill(command.process.pid, number)
        code, out, err = command.end()
        assert b"DELETE /api/kernels/" in link.to_gateway
    assert code == 130, out + err
    document = json.loads(out)
    assert document["interrupted"] is True
    assert document["gateways"][0]["findings"][-1]["name"] == "clean-up"
    assert "Traceback" not in err
    assert kernels(server) == []


def test_a_start_that_takes_its_time_is_waited_for(farm: Farm, jupyter_server: Server) -> None:
    starting, never, answered = (threading.Event() for _ in range(3))

    class Slow(PlainProxy):
        target = jupyter_server.url

        def do_POST(self) -> None:  # noqa: N802
            starting.set()
            never.wait(1.5)  # a gateway that takes so long until it knows of the kernel
            try:
                self.answer()
            finally:
                answered.set()

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as proxy:
        threading.Thread(target=proxy.serve_forever).start()
        url = f"http://localhost:{proxy.server_port}"
        command = Command(farm, **{**settings(jupyter_server), "JUPYTER_GATEWAY_URL": url})
        assert starting.wait(PATIENCE)
        os.kill(command.process.pid, signal.SIGINT)
        code, out, err = command.end()
        assert answered.wait(PATIENCE)
        proxy.shutdown()
    assert code == 130, out + err
    assert "pass  clean-up" in out
    assert kernels(jupyter_server) == []


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_ctrl_c_later(kind: str, farm: Farm, listing: Callable[[str], Server]) -> None:
    server = listing(kind)
    command = Command(farm, **settings(server))
    assert command.process.stdout is not None
    next(line for line in command.process.stdout if "round trip" in line)
    os.kill(command.process.pid, signal.SIGINT)
    code, out, err = command.end()
    assert code == 130, out + err
    assert "pass  clean-up" in out
    assert "Interrupted." in out
    assert "Traceback" not in out + err
    assert kernels(server) == []


# -- what is shown ------------------------------------------------------------------------------


def test_no_secret_and_no_control_character_is_shown() -> None:
    transport = Transport(
        configured("http://localhost:1", auth_token="s3cr3t/token", http_pwd="ab")
    )
    transport.load_credentials()
    said = "said s3cr3t/token, s3cr3t%2Ftoken and ab\x1b[31m, about http://u:p@host/?token=xyz"
    shown = transport.redact(said)
    for secret in ("s3cr3t", "ab\x1b", "ab[31", "\x1b", "u:p", "xyz"):
        assert secret not in shown
    assert "about" in shown
