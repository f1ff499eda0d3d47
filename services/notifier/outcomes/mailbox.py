"""What the notifier needs of a mailbox that mail comes back to: take what has arrived, and put it away when it is done.

A mail stays where it arrived until what follows from it is committed; only then is it moved. A process that dies in
between reads it again, and what follows from a mail is the same the second time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail, under the mailbox's own key. `raw` is None where it is larger than may be read."""

    key: str
    raw: bytes | None = field(repr=False)


class Mailbox(Protocol):
    """Adapters: `maildir.MaildirMailbox`, `imap.ImapMailbox`. Every call raises `Transient` for what the way there
    does; a mail that is no longer there is no error, since another may have put it away.
    """

    async def arrived(self, most: int, passing_over: Collection[str]) -> Sequence[Arrived]:
        """The oldest mails, at most so many, without those under these keys."""
        ...

    async def handled(self, key: str) -> None:
        """Puts away a mail that nobody has to look at."""
        ...

    async def set_aside(self, key: str) -> None:
        """Puts a mail where somebody looks at it."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...
