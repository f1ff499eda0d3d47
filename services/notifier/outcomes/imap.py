"""A mailbox on a mail server, by IMAP (RFC 3501) over TLS: the standard library's client, in a thread of its own.

A mail's key is its UID with the folder's UIDVALIDITY, so that a folder that was made anew never makes us move another
mail. It is moved by MOVE (RFC 6851), or copied and then marked as deleted where the server has none; nothing is ever
expunged that is not ours. Reading does not mark as read.
"""

import asyncio
import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from services.notifier.outcomes.mailbox import Arrived
from services.runtime.errors import Fault, Transient

_UID: Final = re.compile(rb"\bUID (\d+)")
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE (\d+)")
_BROKEN: Final = (imaplib.IMAP4.error, OSError, EOFError, ValueError)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImapOptions:
    """Where the mailbox is, and who we are there."""

    host: str
    port: int
    tls: Literal["implicit", "starttls"]
    username: str
    password: str
    ca_file: Path | None
    folder: str
    timeout: float = 60.0


class ImapMailbox:
    """One connection, made when it is needed, and made anew after any trouble."""

    def __init__(self, options: ImapOptions, *, handled: str, aside: str, most_bytes: int) -> None:
        self._options = options
        self._handled = handled
        self._aside = aside
        self._most_bytes = most_bytes
        self._tls = _tls_context(options)
        self._connection: imaplib.IMAP4 | None = None
        self._validity = b""
        self._one_at_a_time = asyncio.Lock()

    async def arrived(self, most: int, passing_over: Collection[str]) -> Sequence[Arrived]:
        """The oldest by UID."""
        return await self._ask(lambda server: self._arrived(server, most, frozenset(passing_over)))

    async def handled(self, key: str) -> None:
        """Moves a mail to the folder of those that are done."""
        await self._ask(lambda server: self._move(server, key, self._handled))

    async def set_aside(self, key: str) -> None:
        """Moves a mail to the folder of those that somebody has to look at."""
        await self._ask(lambda server: self._move(server, key, self._aside))

    async def close(self) -> None:
        """Says goodbye."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._leave)

    async def _ask(self, question: Callable[[imaplib.IMAP4], T]) -> T:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._asked, question)

    def _asked(self, question: Callable[[imaplib.IMAP4], T]) -> T:
        try:
            return question(self._connection or self._connect())
        except _BROKEN as error:  # its words may quote a mail
            self._leave()
            raise Transient(f"the mailbox at {self._options.host} did not answer ({type(error).__name__})") from None

    def _connect(self) -> imaplib.IMAP4:
        options = self._options
        server: imaplib.IMAP4
        if options.tls == "implicit":
            server = imaplib.IMAP4_SSL(options.host, options.port, ssl_context=self._tls, timeout=options.timeout)
        else:
            server = imaplib.IMAP4(options.host, options.port, timeout=options.timeout)
            self._connection = server
            server.starttls(self._tls)
        self._connection = server
        server.login(options.username, options.password)
        server.capabilities = _words(server.capability()[1])  # what it offers may change with the login
        _ok(server.select(_quoted(options.folder)))
        self._validity = server.response("UIDVALIDITY")[1][0] or b""
        return server

    def _leave(self) -> None:
        server, self._connection = self._connection, None
        if server is not None:
            with contextlib.suppress(*_BROKEN):
                server.logout()
            with contextlib.suppress(OSError):
                server.shutdown()

    def _arrived(self, server: imaplib.IMAP4, most: int, passing_over: Collection[str]) -> list[Arrived]:
        _ok(server.noop())  # lets the server tell of what came since
        found = _ok(server.uid("SEARCH", "UNDELETED"))[0] or b""
        keys = [(uid, self._key(uid)) for uid in sorted(found.split(), key=int)]
        waiting = [uid for uid, key in keys if key not in passing_over][:most]
        sizes = self._sizes(server, waiting)
        return [self._read(server, uid, sizes[uid]) for uid in waiting if uid in sizes]

    def _sizes(self, server: imaplib.IMAP4, uids: Sequence[bytes]) -> dict[bytes, int]:
        if not uids:
            return {}
        answers = _ok(server.uid("FETCH", b",".join(uids).decode(), "(UID RFC822.SIZE)"))
        pairs = [(_UID.search(answer), _SIZE.search(answer)) for answer in answers if isinstance(answer, bytes)]
        return {uid[1]: int(size[1]) for uid, size in pairs if uid and size}

    def _read(self, server: imaplib.IMAP4, uid: bytes, size: int) -> Arrived:
        if size > self._most_bytes:
            return Arrived(self._key(uid), None)
        answers = _ok(server.uid("FETCH", uid.decode(), "(UID BODY.PEEK[])"))
        raw = next((answer[1] for answer in answers if isinstance(answer, tuple)), b"")
        return Arrived(self._key(uid), raw)

    def _move(self, server: imaplib.IMAP4, key: str, folder: str) -> None:
        validity, _, uid = key.partition(":")
        if validity.encode() != self._validity:
            return
        word = "MOVE" if "MOVE" in server.capabilities else "COPY"
        if server.uid(word, uid, _quoted(folder))[0] != "OK":
            server.create(_quoted(folder))  # the first mail that goes there
            _ok(server.uid(word, uid, _quoted(folder)))
        if word == "COPY":
            _ok(server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)"))

    def _key(self, uid: bytes) -> str:
        return f"{self._validity.decode()}:{uid.decode()}"


def _tls_context(options: ImapOptions) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        raise Fault(f"set the returned mail's ca_file to a readable PEM file: {type(error).__name__}") from error


def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error("refused")
    return answer[1]


def _words(answer: Sequence[Any]) -> tuple[str, ...]:
    return tuple(answer[-1].decode("ascii", "replace").upper().split())


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
