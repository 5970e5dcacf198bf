"""Which requests to a kernel wait for their reply, and which replies are lost: pure logic.

A request is never sent twice, so a reply may be lost with a connection. A *probe*, a request of our
own behind the others, detects that: a kernel answers requests in their order, so once the probe is
answered, a missing reply to an earlier request will never come.

An *epoch* ends with an event that may have lost a reply: the end of a connection, or a message that
cannot be read. Only the answer to a probe of a later epoch proves that a reply is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..types import JsonObject


@dataclass
class Delivery:
    """Something to deliver to a channel's reader: a message, or None for a lost reply."""

    channel: str
    message: JsonObject | None


@dataclass
class _Request:
    channel: str
    epoch: int  # in which it was sent
    output_ended: bool = False  # whether the kernel went idle after it
    reply: JsonObject | None = None  # held back until the output has ended


@dataclass
class PendingReplies:
    """The requests of one client to one kernel that are not answered yet."""

    epoch: int = 0
    _requests: dict[str, _Request] = field(default_factory=dict)  # by the message's id
    _probes: dict[str, int] = field(default_factory=dict)  # the epochs in which they were sent

    def begin_epoch(self) -> None:
        """Call when a connection begins, and when a message could not be read."""
        self.epoch += 1

    def sent(self, msg_id: str, channel: str) -> None:
        """Call before a request is sent."""
        self._requests[msg_id] = _Request(channel, self.epoch)

    def probe_sent(self, msg_id: str) -> None:
        """Call before a probe is sent."""
        self._probes[msg_id] = self.epoch

    def is_probe(self, msg_id: str | None) -> bool:
        """Whether a message with this parent belongs to a probe, and not to the client."""
        return msg_id in self._probes

    @property
    def any_sent_in_this_epoch(self) -> bool:
        """Whether a request of this epoch waits, so that an unreadable message may be its reply."""
        return any(request.epoch == self.epoch for request in self._requests.values())

    def received(self, channel: str, message: JsonObject) -> list[Delivery]:
        """What to deliver after a message that does not belong to a probe.

        The reply to an ``execute_request`` is held back until the output has ended: programs read
        output only for a few seconds after a reply, and a gateway sends the two independently.
        """
        msg_id = message["parent_header"].get("msg_id")
        request = self._requests.get(msg_id)
        if request is None:
            return [Delivery(channel, message)]
        kind = message["msg_type"]
        if channel == request.channel and kind.endswith("_reply"):
            request.reply = message
            if kind == "execute_reply" and not request.output_ended:
                return []
            return self._complete(msg_id)
        deliveries = [Delivery(channel, message)]
        if kind == "status" and message["content"].get("execution_state") == "idle":
            request.output_ended = True
            if request.reply is not None:
                deliveries += self._complete(msg_id)
        return deliveries

    def probe_answered(self, msg_id: str) -> list[Delivery]:
        """What to deliver after the answer to a probe, lost replies included."""
        epoch = self._probes[msg_id]
        deliveries = self.release()
        for key, request in list(self._requests.items()):
            if request.epoch < epoch:
                del self._requests[key]
                deliveries.append(Delivery(request.channel, None))
        self._probes = {key: sent for key, sent in self._probes.items() if sent >= epoch}
        return deliveries

    def release(self) -> list[Delivery]:
        """The replies that are held back, whether or not their output has ended."""
        here = [key for key, request in self._requests.items() if request.reply is not None]
        return [delivery for key in here for delivery in self._complete(key)]

    def abandon(self) -> list[str]:
        """Forget all requests, which will not be answered; return the channel of each."""
        channels = [request.channel for request in self._requests.values()]
        self._requests.clear()
        return channels

    def _complete(self, msg_id: str) -> list[Delivery]:
        request = self._requests.pop(msg_id)
        return [Delivery(request.channel, request.reply)]
