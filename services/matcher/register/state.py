"""What an import remembers of the contacts it wrote: for each a keyed fingerprint, in a file of its own.

A sealed box never looks the same twice, so the topic cannot say whether an address changed. Here stands, for each
contact, an HMAC-SHA-256 (RFC 2104) of what was sealed and a hash of the box that it became: a contact is unchanged if
both still hold, the one against the file and the other against the topic. Without the installation's key the file says
nothing; if it is lost, the next import writes every contact once more.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from services.runtime.errors import Fault

Known = Mapping[str, tuple[bytes, bytes]]
"""Contact id to the fingerprint of what was sealed and the hash of the box."""


def fingerprint(key: bytes, *parts: str) -> bytes:
    """Of all that would be published of a contact, and of the key version that it would be sealed to."""
    digest = hmac.new(key, b"nardialog contact", "sha256")
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()[:16]


def box_hash(box: str) -> bytes:
    """BLAKE2b (RFC 7693) of a sealed box."""
    return hashlib.blake2b(box.encode(), digest_size=16).digest()


class ContactState:
    """The fingerprints of one installation's contacts in a SQLite file that only its owner may read."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> Known:
        """What was remembered; nothing where there is no file. Raises `Fault` where the file is something else."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            with closing(self._open()) as base:
                rows = base.execute("SELECT contact_id, fingerprint, box FROM contact")
                return {contact_id: (said, box) for contact_id, said, box in rows}
        except sqlite3.Error as error:
            raise Fault(
                f"the import's state {self._path} cannot be read ({error}): move it away, and the next import writes "
                "every contact once more; NARDIALOG_MATCHER__IMPORT_STATE_FILE says where it is"
            ) from None

    def save(self, known: Iterable[tuple[str, tuple[bytes, bytes]]]) -> str:
        """Remembers exactly these, in one transaction. Says why where it cannot: the import is done by then."""
        if self._path is None:
            return ""
        try:
            with closing(self._open()) as base, base:
                base.execute("DELETE FROM contact")
                base.executemany("INSERT INTO contact VALUES (?, ?, ?)", ((one, *both) for one, both in known))
        except (sqlite3.Error, OSError) as error:
            return (
                f"the import is done, but its state {self._path} cannot be written ({error}): the next one writes "
                "every contact once more; NARDIALOG_MATCHER__IMPORT_STATE_FILE says where it is"
            )
        return ""

    def _open(self) -> sqlite3.Connection:
        assert self._path is not None
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        base = sqlite3.connect(self._path)
        base.execute(
            "CREATE TABLE IF NOT EXISTS contact "
            "(contact_id TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, box BLOB NOT NULL) WITHOUT ROWID"
        )
        return base
