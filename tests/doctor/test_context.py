"""The kernel of an examination, and under which ids it may run."""

from __future__ import annotations

from notebook_remote.doctor.context import Kernel


def test_a_kernel_may_run_once_it_was_requested() -> None:
    kernel = Kernel()
    assert kernel.possible_ids == set()
    kernel.requested = True
    assert kernel.possible_ids == {kernel.chosen_id} == {kernel.id}


def test_a_gateway_may_choose_another_id() -> None:
    kernel = Kernel()
    kernel.requested = True
    kernel.other_ids.add("other")
    assert kernel.id == "other"
    assert kernel.possible_ids == {kernel.chosen_id, "other"}
