"""Who is held up, and who is not; that a rush comes together is tested with the relay."""

from __future__ import annotations

from notebook_remote.net.coalescing import BURST, SMALL_READ, ReadCoalescer


def test_a_little_at_a_time_is_not_held_up_nor_what_a_page_asked_for() -> None:
    pace = ReadCoalescer()
    assert not any(pace.is_rushed(200) for _ in range(BURST))
    assert pace.is_rushed(200)
    assert not pace.is_rushed(SMALL_READ + 1)
    pace.hurry()
    assert not any(pace.is_rushed(200) for _ in range(BURST))
