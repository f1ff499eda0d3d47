"""API keys of case systems: `nd_<key id>_<secret>`, shown once, kept as a hash.

The secret is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess. Several keys of one system
are valid at once, so that a new one can be put in place before the old one is revoked.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

ANY: Final = "*"
_WRITTEN: Final = re.compile(r"nd_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key may be used for."""

    WRITE = "cases:write"
    READ = "cases:read"
    VALIDATE = "cases:validate"
    DECIDE = "cases:decide"


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept."""

    key_id: str
    label: str
    secret_hash: str
    scopes: frozenset[str]
    sources: frozenset[str]
    municipalities: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def may(self, scope: Scope) -> bool:
        """Whether it has a scope."""
        return scope.value in self.scopes

    def covers(self, municipality: str, source: str) -> bool:
        """Whether it speaks for a source in a municipality."""
        return bool({municipality, ANY} & self.municipalities) and bool({source, ANY} & self.sources)


def new_secret() -> tuple[str, str]:
    """A key id and a secret."""
    return secrets.token_hex(6), secrets.token_urlsafe(32)


def written(key_id: str, secret: str) -> str:
    """The key as it is given to a case system."""
    return f"nd_{key_id}_{secret}"


def read(text: str) -> tuple[str, str] | None:
    """The key id and the secret of a key, or None."""
    found = _WRITTEN.fullmatch(text)
    return (found[1], found[2]) if found else None


def secret_hash(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret(secret: str, kept: str) -> bool:
    """Whether a secret is the one that was kept, in constant time."""
    return hmac.compare_digest(secret_hash(secret), kept)
