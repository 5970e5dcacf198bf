"""The processes that are measured: gateways, notebook servers and nginx, on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.servers import Farm, Server, free_port

LARGE_BUFFERS = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k;"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NGINX_CONFIGURATION = """\
worker_processes 1;
worker_rlimit_nofile 8192;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{port}{ssl};
        {certificate}
        tcp_nodelay on;
        location / {{
            proxy_pass {gateway};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_buffering off;
            {buffers}
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
            {verification}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Certificates:
    """Files with a certificate for localhost, its key and its certificate authority."""

    ca: str
    cert: str
    key: str

    @classmethod
    def issue(cls, folder: Path) -> Certificates:
        """Create the files."""
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        files = cls(*(str(folder / f"{name}.pem") for name in ("ca", "cert", "key")))
        authority.cert_pem.write_to_path(files.ca)
        issued.cert_chain_pems[0].write_to_path(files.cert)
        issued.private_key_pem.write_to_path(files.key)
        return files


class BenchmarkServers(Farm):
    """The tests' servers and those to compare with. The methods do not start a server."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.certificates = Certificates.issue(folder / "certificates")

    def stock(self, *options: str, gateway: Server | None = None) -> Server:
        """``jupyter notebook``, with the same options as ``ours``."""
        server = self.notebook(*options, gateway=gateway)
        position = server.command.index("notebook_remote")
        server.command[position] = "notebook"
        return server

    def ours(self, *options: str, gateway: Server | None = None, leg: str = "") -> Server:
        """``jupyter notebook-remote``; ``leg`` (browser, gateway or both) uses TLS."""
        files = self.certificates
        arguments = list(options)
        if leg in ("browser", "both"):
            arguments += [f"--ServerApp.certfile={files.cert}", f"--ServerApp.keyfile={files.key}"]
        if leg in ("gateway", "both"):
            arguments.append(f"--Gateway.ca_certs={files.ca}")
        server = self.notebook(*arguments, gateway=gateway)
        if leg in ("browser", "both"):
            server.url, server.verify = server.url.replace("http:", "https:", 1), files.ca
        return server

    def synthetic(self, *options: str, tls: bool = False) -> Server:
        """The synthetic gateway, which is faster than any kernel."""
        name, port, token = self._name("synthetic"), free_port(), secrets.token_hex(12)
        command = [sys.executable, "-m", "benchmarks.synthetic_gateway"]
        command += [f"--port={port}", f"--token={token}", *options]
        files = self.certificates
        if tls:
            command += [f"--cert={files.cert}", f"--key={files.key}"]
        return self._add(
            Server(
                command,
                self.folder / name / "root",
                self.env(name, PYTHONPATH=str(Path(__file__).parent.parent)),
                f"http{'s' if tls else ''}://localhost:{port}",
                token,
                verify=files.ca if tls else True,
            )
        )

    def nginx(self, gateway: Server, leg: str = "", large_buffers: bool = False) -> Server:
        """nginx in front of a gateway, whose token the client sends; ``leg`` is as in ``ours``."""
        name, port, files = self._name("nginx"), free_port(), self.certificates
        folder = self.folder / name
        browser = leg in ("browser", "both")
        verification = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {files.ca};"
        verification += " proxy_ssl_name localhost;"
        certificate = f"ssl_certificate {files.cert}; ssl_certificate_key {files.key};"
        server = Server(
            [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")],
            folder / "root",
            self.env(name),
            f"http{'s' if browser else ''}://localhost:{port}",
            gateway.token,
            verify=files.ca if browser else True,
        )
        (folder / "nginx.conf").write_text(
            NGINX_CONFIGURATION.format(
                folder=folder,
                port=port,
                ssl=" ssl" if browser else "",
                certificate=certificate if browser else "",
                # By name, nginx would try ::1 first, where nothing listens.
                gateway=gateway.url.replace("localhost", "127.0.0.1"),
                buffers=LARGE_BUFFERS if large_buffers else "",
                verification=verification if leg in ("gateway", "both") else "",
            )
        )
        return self._add(server)


@contextlib.contextmanager
def benchmark_servers() -> Iterator[BenchmarkServers]:
    """Servers in a temporary folder; the end of the block stops them and deletes the folder."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        servers = BenchmarkServers(Path(folder))
        try:
            yield servers
        finally:
            servers.close()
