"""The ledger of requests and replies: each request is answered once, or said to be lost once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from notebook_remote.headless.pending_replies import Delivery, PendingReplies


def message(kind: str, parent: str, **content: Any) -> dict[str, Any]:
    return {"msg_type": kind, "parent_header": {"msg_id": parent}, "content": content}


def idle(parent: str) -> dict[str, Any]:
    return message("status", parent, execution_state="idle")


def test_the_reply_of_a_cell_waits_for_the_end_of_its_output() -> None:
    pending = PendingReplies()
    pending.sent("a", "shell")
    reply, output, end = message("execute_reply", "a"), message("stream", "a"), idle("a")
    assert pending.received("shell", reply) == []
    assert pending.received("iopub", output) == [Delivery("iopub", output)]
    assert pending.received("iopub", end) == [Delivery("iopub", end), Delivery("shell", reply)]


def test_other_replies_do_not_wait() -> None:
    pending = PendingReplies()
    pending.sent("a", "shell")
    reply = message("complete_reply", "a")
    assert pending.received("shell", reply) == [Delivery("shell", reply)]
    assert pending.abandon() == []


def test_a_reply_that_is_behind_its_output_is_handed_on_at_once() -> None:
    pending = PendingReplies()
    pending.sent("a", "shell")
    pending.received("iopub", idle("a"))
    reply = message("execute_reply", "a")
    assert pending.received("shell", reply) == [Delivery("shell", reply)]


def test_what_was_asked_on_an_earlier_connection_is_lost_once_a_later_probe_is_answered() -> None:
    pending = PendingReplies()
    pending.begin_epoch()
    pending.sent("a", "shell")
    pending.begin_epoch()
    pending.sent("b", "control")
    pending.probe_sent("p")
    assert pending.is_probe("p")
    assert pending.probe_answered("p") == [Delivery("shell", None)]
    assert pending.abandon() == ["control"]


def test_a_probe_of_the_same_epoch_says_nothing_of_a_reply() -> None:
    pending = PendingReplies()
    pending.sent("a", "shell")
    pending.probe_sent("p")
    assert pending.probe_answered("p") == []
    assert pending.abandon() == ["shell"]


def test_a_reply_whose_output_was_lost_is_handed_on_with_the_probe() -> None:
    pending = PendingReplies()
    pending.sent("a", "shell")
    reply = message("execute_reply", "a")
    pending.received("shell", reply)
    pending.begin_epoch()
    pending.probe_sent("p")
    assert pending.probe_answered("p") == [Delivery("shell", reply)]


def test_only_an_unreadable_message_of_an_epoch_with_requests_may_have_been_a_reply() -> None:
    pending = PendingReplies()
    assert not pending.any_sent_in_this_epoch
    pending.sent("a", "shell")
    assert pending.any_sent_in_this_epoch
    pending.begin_epoch()
    assert not pending.any_sent_in_this_epoch


EVENTS = st.lists(st.sampled_from(["send", "reply", "idle", "cut", "probe"]), max_size=40)


@given(EVENTS, st.randoms(use_true_random=False))
def test_whatever_happens_each_request_ends_once(events: list[str], chance: Any) -> None:
    """The kernel answers in order; a cut loses what is on its way; a last probe tells the rest."""
    pending, ended = PendingReplies(), Counter[str]()
    unanswered: list[str] = []  # what the kernel has not answered

    def hand_on(deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.message is None:
                ended["lost"] += 1
            elif delivery.message["msg_type"] == "execute_reply":
                ended["answered"] += 1

    def probe() -> None:
        pending.probe_sent("probe")
        while unanswered:
            hand_on(pending.received("shell", message("execute_reply", unanswered.pop(0))))
        hand_on(pending.probe_answered("probe"))

    sent = 0
    for event in events:
        if event == "send":
            sent += 1
            pending.sent(str(sent), "shell")
            unanswered.append(str(sent))
        elif event == "reply" and unanswered:
            hand_on(pending.received("shell", message("execute_reply", unanswered.pop(0))))
        elif event == "idle" and sent:
            hand_on(pending.received("iopub", idle(str(chance.randint(1, sent)))))
        elif event == "cut":
            del unanswered[: chance.randint(0, len(unanswered))]
            pending.begin_epoch()
        elif event == "probe":
            probe()
    pending.begin_epoch()
    probe()
    assert ended.total() == sent
    assert pending.abandon() == []
