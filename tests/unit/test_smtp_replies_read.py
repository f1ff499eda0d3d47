"""Replies out of bytes: however they are cut, the same replies, and the same as aiosmtplib reads."""

import asyncio
from itertools import pairwise

from aiosmtplib import SMTPResponse
from aiosmtplib.protocol import SMTPProtocol
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.pipelining import Replies
from services.notifier.channels.smtp_talk import UNREADABLE

TEXTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), max_size=30
).map("x{}".format)
REPLIES = st.tuples(st.integers(200, 599), st.lists(TEXTS, min_size=1, max_size=4))


def as_bytes(code: int, lines: list[str]) -> bytes:
    *others, last = lines
    return "".join([*(f"{code}-{line}\r\n" for line in others), f"{code} {last}\r\n"]).encode()


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def read_by_aiosmtplib(reply: bytes) -> SMTPResponse | None:
    loop = asyncio.new_event_loop()
    try:
        protocol = SMTPProtocol(loop)
        protocol._buffer.extend(reply)
        return protocol._read_response_from_buffer()
    finally:
        loop.close()


@given(st.lists(REPLIES, max_size=4), st.lists(st.integers(0, 10_000), max_size=10))
def test_replies_are_the_same_however_their_bytes_are_cut_and_as_aiosmtplib_reads_them(
    replies: list[tuple[int, list[str]]], places: list[int]
) -> None:
    data = [as_bytes(*reply) for reply in replies]
    reader = Replies()
    read = [reply for piece in pieces(b"".join(data), places) for reply in reader.read(piece)]
    assert read == [read_by_aiosmtplib(reply) for reply in data]


def test_after_something_that_is_no_reply_nothing_is_taken_for_one() -> None:
    reader = Replies()
    assert reader.read(b"250 Ok\r\nhello\r\n250 Ok\r\n") == [SMTPResponse(250, "Ok"), UNREADABLE]
    assert reader.read(b"250 Ok\r\n") == []


def test_a_reply_without_end_is_given_up() -> None:
    reader = Replies()
    assert reader.read(b"250-" + b"x" * 40_000) == [UNREADABLE]
    endless = Replies()
    assert [reply for _ in range(1000) for reply in endless.read(b"250-" + b"x" * 100 + b"\r\n")] == [UNREADABLE]
