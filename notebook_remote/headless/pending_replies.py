"""Which requests to a kernel wait for their reply, and which replies are lost: pure logic.

A request is never sent twice, so a reply may be lost with a connection. Whether it is, a *probe*
tells: a request of our own behind the others. A kernel answers in the order it was asked; so once
the probe is answered, a reply to an earlier request that is not here will never come.

An *epoch* ends with whatever may have cost a reply: a connection, or a message that cannot be read.
Only the answer to a probe of a later epoch says that a reply is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..types import JsonObject


@dataclass
class Delivery:
    """Something for whoever reads a channel: a message, or None for a reply that is lost."""

    channel: str
    message: JsonObject | None


@dataclass
class _Request:
    channel: str
    epoch: int  # in which it was sent
    output_ended: bool = False  # whether the kernel went idle after it
    reply: JsonObject | None = None  # which came before the end of the output


@dataclass
class PendingReplies:
    """The requests of one client to one kernel, from their sending to their reply."""

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
        """Whether a message with this parent is about a probe, and for nobody else."""
        return msg_id in self._probes

    @property
    def any_sent_in_this_epoch(self) -> bool:
        """Whether a request of this epoch waits, so that an unreadable message may be its reply."""
        return any(request.epoch == self.epoch for request in self._requests.values())

    def received(self, channel: str, message: JsonObject) -> list[Delivery]:
        """What to hand on now that a message came, which is not about a probe.

        The reply to an ``execute_request`` waits for the end of the output: programs read output
        for a few seconds after a reply and no longer, and a gateway has a way of its own for each.
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
        """What to hand on now that the kernel has answered a probe: also what is lost."""
        epoch = self._probes[msg_id]
        deliveries = self.release()
        for key, request in list(self._requests.items()):
            if request.epoch < epoch:
                del self._requests[key]
                deliveries.append(Delivery(request.channel, None))
        self._probes = {key: sent for key, sent in self._probes.items() if sent >= epoch}
        return deliveries

    def release(self) -> list[Delivery]:
        """The replies that are here, whatever has become of their output."""
        here = [key for key, request in self._requests.items() if request.reply is not None]
        return [delivery for key in here for delivery in self._complete(key)]

    def abandon(self) -> list[str]:
        """Forget all requests; returns the channel of each, since none is answered any more."""
        channels = [request.channel for request in self._requests.values()]
        self._requests.clear()
        return channels

    def _complete(self, msg_id: str) -> list[Delivery]:
        request = self._requests.pop(msg_id)
        return [Delivery(request.channel, request.reply)]
