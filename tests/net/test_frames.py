"""Frame boundaries: every way to cut the same bytes gives the same frames."""

from __future__ import annotations

import random

import pytest
import websocket

from notebook_remote.net.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    ClientFrameParser,
    ControlFrame,
    FrameError,
    FrameHeader,
    MessageAssembler,
    PayloadChunk,
    ServerFrameScanner,
    apply_mask,
    encode_close_frame,
    encode_frame,
)

from ..support.frames import BAD, chunks, fragments

SIZES = (0, 1, 124, 125, 126, 127, 65_535, 65_536, 200_000)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_gateway_sends_passes_unchanged(seed: int) -> None:
    sizes = random.Random(seed)
    data = b"".join(encode_frame(sizes.choice((TEXT, BINARY)), sizes.randbytes(n)) for n in SIZES)
    data += fragments(BINARY, b"a" * 300, b"", b"b")
    frames = ServerFrameScanner()
    passed = [piece for chunk in chunks(data, sizes) for piece in frames.feed(chunk)]
    assert b"".join(p for p in passed if isinstance(p, bytes)) == data
    assert frames.count == len(SIZES) + 3
    assert frames.between_messages


@pytest.mark.parametrize("seed", range(20))
def test_frames_alike_in_a_row_are_told_from_the_one_that_differs(seed: int) -> None:
    """They are passed over many at a time, so a control frame must stop that, and so must a cut."""
    sizes = random.Random(seed)
    alike = encode_frame(BINARY, b"x" * sizes.choice((0, 3, 4, 200))) * sizes.randrange(100)
    other = sizes.choice(
        (encode_frame(PING, b"pppp"), encode_frame(TEXT, b"y" * 201), fragments(TEXT, b"", b""))
    )
    data = alike + other + alike
    frames, passed = ServerFrameScanner(), b""
    for chunk in chunks(data, sizes):
        for piece in frames.feed(chunk):
            passed += piece.raw if isinstance(piece, ControlFrame) else piece
    assert passed == data
    one_by_one = ServerFrameScanner()
    for i in range(len(data)):
        one_by_one.feed(data[i : i + 1])
    assert (frames.count, frames.between_messages) == (one_by_one.count, True)


def test_a_control_frame_behind_frames_alike_comes_apart() -> None:
    for size in (0, 2, 200):
        for count in range(100):
            pong = encode_frame(
                PONG, b"\x82" * min(size, 125)
            )  # as long as those before it, if short
            passed = ServerFrameScanner().feed(encode_frame(BINARY, b"x" * size) * count + pong)
            assert isinstance(passed[-1], ControlFrame)
            assert passed[-1].raw == pong


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 65_536])
def test_a_frame_may_be_cut_anywhere(size: int) -> None:
    data = encode_frame(BINARY, b"x" * size)
    for cut in range(min(len(data), 20) + 1):
        frames = ServerFrameScanner()
        passed = frames.feed(data[:cut]) + frames.feed(data[cut:])
        assert b"".join(p for p in passed if isinstance(p, bytes)) == data
        assert (frames.count, frames.between_messages) == (1, True)


@pytest.mark.parametrize("seed", range(20))
def test_control_frames_come_apart_and_in_order(seed: int) -> None:
    sizes = random.Random(seed)
    first, last = encode_frame(BINARY, b"x" * 70_000), encode_frame(TEXT, b"y")
    between = [
        encode_frame(PING, b"p"),
        encode_frame(PONG, b""),
        encode_frame(CLOSE, b"\x03\xe9bye"),
    ]
    frames = ServerFrameScanner()
    data = first + b"".join(between) + last
    passed = [piece for chunk in chunks(data, sizes) for piece in frames.feed(chunk)]
    controls = [p for p in passed if isinstance(p, ControlFrame)]
    assert [c.raw for c in controls] == between
    assert controls[2].close_code == 1001
    at = passed.index(controls[0])
    assert b"".join(p for p in passed[:at] if isinstance(p, bytes)) == first
    assert b"".join(p for p in passed[at:] if isinstance(p, bytes)) == last


def test_a_whole_frame_is_never_held_back() -> None:
    """However small it is: what is held back would wait for the next message."""
    for data in (
        encode_frame(TEXT, b""),
        encode_frame(TEXT, b"a"),
        encode_frame(BINARY, b"x" * 126),
    ):
        assert ServerFrameScanner().feed(data) == [data]


def test_between_messages_is_known_at_every_cut() -> None:
    message = fragments(BINARY, b"a" * 10, b"b" * 10)
    frames = ServerFrameScanner()
    for i in range(len(message)):
        frames.feed(message[i : i + 1])
        assert frames.between_messages == (i == len(message) - 1 or i < 1)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_browser_sends_is_taken_apart(seed: int) -> None:
    sizes = random.Random(seed)
    payloads = [sizes.randbytes(n) for n in SIZES]
    data = b"".join(encode_frame(BINARY, p, to_gateway=True) for p in payloads)
    data += encode_frame(PING, b"p", to_gateway=True)
    frames = ClientFrameParser()
    found: list[bytes] = []
    mask, raw = b"", b""
    for chunk in chunks(data, sizes):
        for item in frames.feed(chunk):
            raw += item.raw
            if isinstance(item, FrameHeader):
                mask = item.mask
                found.append(b"")
            elif isinstance(item, PayloadChunk):
                found[-1] += apply_mask(item.raw, mask, item.offset)
            else:
                assert item.payload == b"p"
    assert found == payloads
    assert raw == data
    assert frames.count == len(SIZES) + 1


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_no_browser_sends_is_an_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        list(ClientFrameParser().feed(data))


def test_a_gateways_masked_frame_is_an_error() -> None:
    with pytest.raises(FrameError):
        ServerFrameScanner().feed(bytes((0x89, 0x80)) + b"mask")
    with pytest.raises(FrameError):
        ServerFrameScanner().feed(bytes((0xF2, 0x01)) + b"x")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to_gateway", [True, False])
def test_frames_are_what_another_implementation_reads(size: int, to_gateway: bool) -> None:
    payload = bytes(i % 251 for i in range(size))
    buffer = websocket._abnf.frame_buffer(_reader(encode_frame(BINARY, payload, to_gateway)), False)
    read = buffer.recv_frame()
    assert (read.opcode, read.fin, bytes(read.data)) == (BINARY, 1, payload)


def _reader(data: bytes) -> object:
    rest = bytearray(data)

    def read(size: int) -> bytes:
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    return read


def test_a_long_reason_is_cut_between_letters() -> None:
    made = encode_close_frame(1014, "ü" * 100)
    assert made[1] <= 125
    made[4:].decode()


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_put_together(seed: int) -> None:
    sizes = random.Random(seed)
    sent = [(sizes.choice((TEXT, BINARY)), sizes.randbytes(n)) for n in SIZES]
    data = b"".join(encode_frame(*message) for message in sent)
    first, *rest = (b"a" * 300, b"", b"b")
    data += fragments(TEXT, first, *rest[:1])[:-2]  # its last frame comes after a ping
    data += encode_frame(PING, b"?") + encode_frame(0, b"b")
    messages = MessageAssembler()
    found = [message for chunk in chunks(data, sizes) for message in messages.feed(chunk)]
    assert found == [*sent, (PING, b"?"), (TEXT, b"a" * 300 + b"b")]


def test_a_gateway_does_not_mask() -> None:
    with pytest.raises(FrameError, match="masked"):
        list(MessageAssembler().feed(encode_frame(TEXT, b"x", to_gateway=True)))
