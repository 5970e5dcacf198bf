"""Which reads are delayed; that messages accumulate meanwhile is tested with the relay."""

from __future__ import annotations

from notebook_remote.net.coalescing import BURST, SMALL_READ, ReadCoalescer


def test_few_small_reads_and_large_ones_and_replies_are_not_delayed() -> None:
    coalescer = ReadCoalescer()
    assert not any(coalescer.should_wait(200) for _ in range(BURST))
    assert coalescer.should_wait(200)
    assert not coalescer.should_wait(SMALL_READ + 1)
    coalescer.refill()
    assert not any(coalescer.should_wait(200) for _ in range(BURST))
