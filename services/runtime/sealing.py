"""Keeping class A personal data unreadable: sealed on the way, encrypted at rest, found by a keyed index.

Whoever writes a contact seals it to the notifier's public key (libsodium sealed box: X25519, XSalsa20-Poly1305) and
cannot open it again. Keys have versions, so that they can be rotated while old boxes still lie in the topic.
"""

import base64
import contextlib
import hashlib
from collections.abc import Mapping

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox
from nacl.utils import random

from schemas.contact import Sealed
from services.runtime.errors import Fault, Rejected

KEY_BYTES = 32


class Seal:
    """Seals to a public key."""

    def __init__(self, key_version: str, public_key: bytes) -> None:
        self.key_version = key_version
        self._box = SealedBox(PublicKey(public_key))

    def seal(self, data: bytes) -> Sealed:
        """A box that only the notifier can open."""
        return Sealed(key_version=self.key_version, box=base64.b64encode(self._box.encrypt(data)).decode())


class Opener:
    """Opens with the private key of the version that a box names."""

    def __init__(self, private_keys: Mapping[str, bytes]) -> None:
        self._boxes = {version: SealedBox(PrivateKey(key)) for version, key in private_keys.items()}

    def open(self, sealed: Sealed) -> bytes:
        """What was sealed. Raises `Rejected` where the key is unknown or the box damaged."""
        box = self._boxes.get(sealed.key_version)
        if box is None:
            raise Rejected("unreadable_seal", "sealed to a key version that this notifier does not have", "/sealed")
        try:
            return box.decrypt(base64.b64decode(sealed.box, validate=True))
        except (CryptoError, ValueError):
            raise Rejected("unreadable_seal", "the box does not open; seal it to the current key", "/sealed") from None


class Vault:
    """Encrypts at rest with one secret key (XSalsa20-Poly1305, random nonce), and opens what others were used for too.

    What was written carries no key's name: each key is tried, and the authenticator says which one fits.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        self._box = SecretBox(key)
        self._boxes = [self._box, *(SecretBox(other) for other in others)]

    def encrypt(self, data: bytes) -> bytes:
        """Nonce and ciphertext in one."""
        return bytes(self._box.encrypt(data))

    def decrypt(self, data: bytes) -> bytes:
        """Raises `Fault`: what does not open was written with another key."""
        for box in self._boxes:
            with contextlib.suppress(CryptoError):
                return box.decrypt(data)
        raise Fault(
            "the store does not open: neither NARDIALOG_NOTIFIER__VAULT_KEY nor one of __OTHER_VAULT_KEYS is the one "
            "it was written with"
        )

    def renewed(self, data: bytes) -> bytes | None:
        """The same under the key that is written with; None where it is so already. Raises `Fault`."""
        try:
            self._box.decrypt(data)
        except CryptoError:
            return self.encrypt(self.decrypt(data))
        return None


def blind_index(key: bytes, kind: str, value: str) -> str:
    """A keyed BLAKE2b (RFC 7693) of a normalised address: equal addresses meet, and only with the key."""
    return hashlib.blake2b(f"{kind}:{value}".encode(), key=key, digest_size=16).hexdigest()


def key_pair() -> tuple[bytes, bytes]:
    """A fresh (private, public) pair."""
    private = PrivateKey.generate()
    return bytes(private), bytes(private.public_key)


def public_key(private: bytes) -> bytes:
    """The public key that belongs to a private one."""
    return bytes(PrivateKey(private).public_key)


def new_key() -> bytes:
    """Thirty-two fresh random bytes."""
    return bytes(random(KEY_BYTES))


def decode_key(text: str, setting: str) -> bytes:
    """A key from its base64 text. Raises `Fault` naming the setting."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Fault(f"{setting} is not 32 bytes in base64: make one with `nardialog keys new`")
    return key
