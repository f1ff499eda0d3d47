"""A Maildir on this machine, where the mail server delivers what comes back (Maildir++ folders, as Dovecot reads them).

Moving a file is one rename and therefore whole or not at all. What is in `tmp` is not delivered yet and not looked at.
"""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

from services.notifier.outcomes.mailbox import Arrived
from services.runtime.errors import Transient


class MaildirMailbox:
    """The mails in `new` and `cur`; they are moved to two folders beside."""

    def __init__(self, path: Path, *, handled: str, aside: str, most_bytes: int) -> None:
        self._path = path
        self._handled = path / f".{handled}"
        self._aside = path / f".{aside}"
        self._most_bytes = most_bytes

    async def arrived(self, most: int, passing_over: Collection[str]) -> Sequence[Arrived]:
        """The oldest by name, which begins with the second of delivery."""
        return await asyncio.to_thread(self._arrived, most, frozenset(passing_over))

    async def handled(self, key: str) -> None:
        """Moves a mail to the folder of those that are done."""
        await asyncio.to_thread(self._move, key, self._handled)

    async def set_aside(self, key: str) -> None:
        """Moves a mail to the folder of those that somebody has to look at."""
        await asyncio.to_thread(self._move, key, self._aside)

    async def close(self) -> None:
        """Nothing is held open."""

    def _arrived(self, most: int, passing_over: Collection[str]) -> list[Arrived]:
        try:
            waiting = [file for folder in ("new", "cur") for file in (self._path / folder).iterdir()]
            mails = sorted((file for file in waiting if _is_mail(file)), key=lambda file: file.name)
            keys = [(file, str(file.relative_to(self._path))) for file in mails]
            wanted = [(file, key) for file, key in keys if key not in passing_over][:most]
            return [self._read(file, key) for file, key in wanted]
        except OSError as error:
            raise Transient(f"the maildir cannot be read ({type(error).__name__}): is it there, and ours?") from error

    def _read(self, file: Path, key: str) -> Arrived:
        return Arrived(key, file.read_bytes() if file.stat().st_size <= self._most_bytes else None)

    def _move(self, key: str, folder: Path) -> None:
        source = self._path / key
        try:
            for name in ("cur", "new", "tmp"):
                (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "maildirfolder").touch(mode=0o600)
            with contextlib.suppress(FileNotFoundError):
                source.rename(folder / "cur" / f"{source.name.partition(':')[0]}:2,")
        except OSError as error:
            raise Transient(f"a mail cannot be moved ({type(error).__name__}): may we write here?") from error


def _is_mail(file: Path) -> bool:
    flags = file.name.partition(":2,")[2]
    return not file.name.startswith(".") and "T" not in flags
