"""A private certificate authority, and certificates in files as servers want them."""

from __future__ import annotations

import itertools
import ssl
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme

Files = tuple[str, str, str]  # of an authority, a certificate and its key


class Authority:
    """One that nobody knows, but who is told to trust it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = str(folder / "ca.pem")
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(self.path)
        self._numbers = itertools.count()

    def certificate(self, *names: str, expired: bool = False) -> Files:
        """A certificate for these hosts; one that expired was good until yesterday."""
        now = datetime.now(timezone.utc)
        ends = now - timedelta(days=1) if expired else None
        issued = self._ca.issue_cert(*names, not_before=now - timedelta(days=90), not_after=ends)
        number = next(self._numbers)
        certificate, key = (self.folder / f"{what}-{number}.pem" for what in ("cert", "key"))
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return self.path, str(certificate), str(key)

    def trusted_by_chromium(self, home: Path) -> None:
        """Have a Chromium with this home trust us, as an organization has its computers do it.

        Its switches that make it take a certificate do not look at the date.
        """
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        certutil = ["certutil", "-d", f"sql:{database}"]
        subprocess.run([*certutil, "-N", "--empty-password"], check=True)
        trust = ["-A", "-t", "C,,", "-n", "tests", "-i", self.path]
        subprocess.run([*certutil, *trust], check=True)


def served(files: Files) -> ssl.SSLContext:
    """For a server with this certificate; another can be loaded into it later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files[1:])
    return context
