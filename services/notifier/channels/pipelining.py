"""Command pipelining (RFC 2920): MAIL, RCPT and DATA in one write: a mail costs two round trips instead of four.

Every reply is read, in the order of the commands, and belongs to the command it answers. DATA stands last in its group
(§3.1). When RCPT was refused the relay may still have said yes to DATA: then it gets the single dot of an empty message
that has no recipient, and the refusal stays what it was.

Only for relays that offer PIPELINING, and only from the greeting on: connecting, TLS and log-in are aiosmtplib's.
"""

import asyncio
import re
from collections import deque
from typing import Final, cast

from aiosmtplib import SMTPResponse

from services.notifier.channels.smtp_replies import Phase
from services.notifier.channels.smtp_talk import BLOCK, BLOCK_TIMEOUT, COMMAND_TIMEOUT, UNREADABLE

_LINE: Final = re.compile(rb"([0-9]{3})(?:([ -])(.*))?", re.DOTALL)
_MOST: Final = 32_768
"""Bytes of one reply; RFC 5321 §4.5.3.1.5 allows 512 a line."""
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_GO_ON: Final = 354
_GOODBYES: Final = (421, UNREADABLE.code)
"""After these no reply can be counted on (RFC 5321 §3.8)."""


class Replies:
    """Replies out of bytes, however they are cut. After one that is none nothing more is read."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = False

    def read(self, data: bytes) -> list[SMTPResponse]:
        """The replies that these bytes complete."""
        found: list[SMTPResponse] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._lost and (reply := self._line(line)) is not None:
                found.append(reply)
        if len(self._rest) + self._size > _MOST and not self._lost:
            found.append(self._give_up())
        return found

    def _line(self, line: bytes) -> SMTPResponse | None:
        match = _LINE.fullmatch(line.rstrip(b"\r"))
        self._size += len(line)
        if match is None or self._size > _MOST:
            return self._give_up()
        code, follows, text = match.groups()
        self._lines.append((text or b"").strip(b" \t\r\n"))
        if follows == b"-":
            return None
        whole, self._lines, self._size = b"\n".join(self._lines), [], 0
        return SMTPResponse(int(code), whole.decode("utf-8", "surrogateescape"))

    def _give_up(self) -> SMTPResponse:
        self._lost = True
        return UNREADABLE


class Pipelining(asyncio.Protocol):
    """The way to talk to a relay that offers PIPELINING. It takes a greeted connection over from its protocol."""

    def __init__(self, transport: asyncio.Transport, answer_timeout: float) -> None:
        self.phase: Phase = "mail"
        self._transport = transport
        self._answer_timeout = answer_timeout
        self._replies = Replies()
        self._ready: deque[SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._expected = 0
        self._paused = False
        self._lost = False
        transport.set_write_buffer_limits(high=1, low=0)  # not high=0: asyncio's TLS transport then pauses for ever
        transport.set_protocol(self)

    @property
    def alive(self) -> bool:
        return not self._lost and not self._transport.is_closing() and len(self._ready) <= self._expected

    async def envelope(self, mail: bytes, rcpt: bytes) -> SMTPResponse:
        self.phase = "mail"
        self._say(mail, rcpt, b"DATA")
        within = min(COMMAND_TIMEOUT, self._answer_timeout)
        phases: tuple[Phase, ...] = ("mail", "rcpt")
        for self.phase in phases:
            reply = await self._reply(within)
            if reply.code // 100 != 2:
                await self._unwind(reply, within)
                return reply
        self.phase = "data"
        return await self._reply(within)

    async def _unwind(self, refusal: SMTPResponse, within: float) -> None:
        """Reads what belongs to the rest of a refused group, so that no reply is left for the next message. A relay
        that goes away meanwhile changes nothing of its refusal.
        """
        if refusal.code in _GOODBYES:
            return self._transport.abort()
        try:
            while self._expected > 1:
                await self._reply(within)
            if (await self._reply(within)).code == _GO_ON:
                await self.ask(b".", within)
        except OSError:
            self._transport.abort()

    async def hand_over(self, data: bytes) -> SMTPResponse:
        for start in range(0, len(data), BLOCK):
            self._transport.write(data[start : start + BLOCK])
            while self._paused and not self._lost:
                await self._wait(BLOCK_TIMEOUT)
        if not self.alive:  # nothing else runs between this question and the write of the dot
            raise ConnectionResetError("lost during the data")
        self.phase = "done"
        return await self.ask(b".", self._answer_timeout)

    async def ask(self, command: bytes, within: float) -> SMTPResponse:
        self._say(command)
        return await self._reply(within)

    def _say(self, *commands: bytes) -> None:
        if not self.alive:
            raise ConnectionResetError("the relay has left")
        if any(_CONTROL.search(command) for command in commands):
            raise ValueError("a command holds a control character")
        self._expected += len(commands)
        self._transport.write(b"".join(command + b"\r\n" for command in commands))

    async def _reply(self, within: float) -> SMTPResponse:
        while not self._ready:
            if self._lost:
                raise ConnectionResetError("the relay has left")
            await self._wait(within)
        self._expected -= 1
        return self._ready.popleft()

    async def _wait(self, within: float) -> None:
        """Until something happens."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._ready.extend(self._replies.read(data))
        self._wake()

    def eof_received(self) -> bool:
        self._lost = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()


def take_over(transport: asyncio.BaseTransport | None, answer_timeout: float) -> Pipelining:
    """Talks on over a connection on which no reply is due."""
    if transport is None or transport.is_closing():
        raise ConnectionResetError("lost after the greeting")
    return Pipelining(cast(asyncio.Transport, transport), answer_timeout)
