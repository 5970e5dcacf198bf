"""Rate limit: a burst, then a steady rate."""

from __future__ import annotations

from notebook_remote_gateway.rate_limit import TokenBucket


def test_a_burst_and_then_a_steady_rate() -> None:
    now = 5.0
    bucket = TokenBucket(2.0, 3.0, lambda: now)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == 0.5
    now += 0.5
    assert bucket.take() == 0
    assert bucket.take() > 0
    now += 1000
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]
