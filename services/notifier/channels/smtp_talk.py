"""What is said to a relay once it has greeted us, and how it is known how far a message came.

Two ways to talk, one contract: `OneByOne` waits for every reply before it goes on, `Pipelining` does not (RFC 2920).
Guaranteed by both: the relay cannot have a message before it has the line with the single dot that ends the data
(RFC 5321 §4.1.1.4), and that line is written alone, after everything before it has left our buffers; `phase` is `done`
from that moment and not before. What breaks before it has reached nobody.
"""

import asyncio
from typing import Final, Protocol

from aiosmtplib import SMTP, SMTPResponse, SMTPResponseException, SMTPServerDisconnected

from services.notifier.channels.smtp_replies import Phase

COMMAND_TIMEOUT: Final = 300.0
"""Seconds; RFC 5321 §4.5.3.2.2-3. The answer to the end of the data has its own limit."""
BLOCK: Final = 65_536
BLOCK_TIMEOUT: Final = 180.0
"""Seconds for each block of the data to leave us; §4.5.3.2.5."""
UNREADABLE: Final = SMTPResponse(-1, "")
"""Stands for a reply that is none."""


class Talk(Protocol):
    """A connection that has been greeted. Raises `OSError` or aiosmtplib's exceptions when it breaks."""

    phase: Phase
    """The last thing that the present message got as far as."""

    @property
    def alive(self) -> bool:
        """Whether the connection is there, as far as we know."""
        ...

    async def envelope(self, mail: bytes, rcpt: bytes) -> SMTPResponse:
        """MAIL, RCPT and DATA. Returns the reply to the first of them that was refused, or else the one to DATA."""
        ...

    async def hand_over(self, data: bytes) -> SMTPResponse:
        """The data, dot-stuffed, and the line that ends them. Returns what the relay says to that."""
        ...

    async def ask(self, command: bytes, within: float) -> SMTPResponse:
        """One command between messages, answered within so many seconds."""
        ...


class OneByOne:
    """Each command after the reply to the one before it: what every relay takes. aiosmtplib reads the replies."""

    def __init__(self, client: SMTP, answer_timeout: float) -> None:
        self.phase: Phase = "mail"
        self._client = client
        self._answer_timeout = answer_timeout
        self._writer = self._own_writer()

    def _own_writer(self) -> asyncio.StreamWriter:
        """Its `drain` waits until our buffers are empty. Not `high=0`: asyncio's TLS transport then pauses for ever."""
        transport, protocol = self._client.transport, self._client.protocol
        if not isinstance(transport, asyncio.WriteTransport) or protocol is None:
            raise SMTPServerDisconnected("lost after the greeting")
        transport.set_write_buffer_limits(high=1, low=0)
        return asyncio.StreamWriter(transport, protocol, None, asyncio.get_running_loop())

    @property
    def alive(self) -> bool:
        return self._client.is_connected

    async def envelope(self, mail: bytes, rcpt: bytes) -> SMTPResponse:
        commands: tuple[tuple[Phase, bytes], ...] = (("mail", mail), ("rcpt", rcpt))
        for self.phase, command in commands:
            reply = await self.ask(command, min(COMMAND_TIMEOUT, self._answer_timeout))
            if reply.code // 100 != 2:
                return reply
        self.phase = "data"
        return await self.ask(b"DATA", min(COMMAND_TIMEOUT, self._answer_timeout))

    async def hand_over(self, data: bytes) -> SMTPResponse:
        for start in range(0, len(data), BLOCK):
            self._writer.write(data[start : start + BLOCK])
            async with asyncio.timeout(BLOCK_TIMEOUT):
                await self._writer.drain()
        if not self.alive:  # nothing else runs between this question and the write of the dot
            raise SMTPServerDisconnected("lost during the data")
        self.phase = "done"
        return await self.ask(b".", self._answer_timeout)

    async def ask(self, command: bytes, within: float) -> SMTPResponse:
        try:
            return await self._client.execute_command(command, timeout=within)
        except SMTPResponseException:  # it could not parse what came
            return UNREADABLE
