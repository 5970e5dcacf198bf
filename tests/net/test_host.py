"""The identity of this computer."""

from __future__ import annotations

import socket

from notebook_remote.net.host import this_computer


def test_it_is_the_host_name_and_an_id_that_stays_the_same() -> None:
    name, boot = this_computer()
    assert name == socket.gethostname()
    assert boot
    assert this_computer() == (name, boot)
