"""Identity: every id derives from stable things, so that working twice gives the same ids.

A round is (case, stage, occurrence, purpose, number of a change). An invitation is (round, recipient). A recipient is
an organisation, as a keyed hash of its number, because a sole trader's organisation number is a personal number. A
contact is (source, recipient, workplace, role, channel), never its address.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable

from schemas.types import ContactId, InvitationId, RecipientId, RoundId, is_personal_number, plain_digits

DEMO_RECIPIENT_KEY = b"nardialog published demo key, never for real recipients"
"""The published key of the demo and of `nardialog match` without a key of its own."""


def derived(kind: str, *parts: str) -> str:
    """An id from what it is about: BLAKE2b (RFC 7693) of the kind and of each part with its length, so that parts never
    run together.
    """
    digest = hashlib.blake2b(digest_size=16, person=kind.encode())
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()


def case_key(municipality: str, source: str, case_id: str) -> str:
    """Two sources may both have `KS 2025/0123`: the key says whose it is."""
    return f"{municipality}/{source}/{case_id}"


def round_id(case: str, stage: str, occurrence: int, purpose: str, number: int = 0) -> RoundId:
    """A plan can be reviewed twice (PBL 5:25): the occurrence is part of the round."""
    return RoundId(derived("round", case, stage, str(occurrence), purpose, str(number)))


def invitation_id(round_: str, recipient: str) -> InvitationId:
    """One invitation per recipient and round."""
    return InvitationId(derived("invitation", round_, recipient))


def set_hash(members: Iterable[tuple[str, Iterable[str]]]) -> str:
    """Over (recipient, workplaces), in order: two equal hashes are the same recipients with the same workplaces."""
    lines = sorted("\x1f".join((recipient, *sorted(workplaces))) for recipient, workplaces in members)
    return derived("set", *lines)


def contact_id(source: str, recipient: str, workplace: str | None, role: str, channel: str) -> ContactId:
    """Never derived from the address, so that an address can change and be erased."""
    return ContactId(derived("contact", source, recipient, workplace or "", role, channel))


def recipient_id(organisation: str, key: bytes) -> RecipientId:
    """HMAC-SHA-256 (RFC 2104), cut to 16 bytes, of the normalised organisation number or of the register's own id."""
    return RecipientId(hmac.digest(key, normal_organisation(organisation).encode(), "sha256")[:16].hex())


def organisation_workplace(organisation: str, key: bytes) -> str:
    """The workplace of a register that knows organisations only: a keyed hash, so that it is no personal number."""
    return "O-" + hmac.digest(key, f"workplace:{normal_organisation(organisation)}".encode(), "sha256")[:16].hex()


def subscriber_id(address: str, key: bytes) -> RecipientId:
    """A subscriber, by a keyed hash of its normalised address: whoever subscribes twice is one recipient, and nobody
    without the key can tell whether an address subscribes.
    """
    return RecipientId(hmac.digest(key, f"subscriber:{address}".encode(), "sha256")[:16].hex())


def normal_organisation(text: str) -> str:
    """One form of an organisation number: ten digits. `559999-0008`, `165599990008` and `SE559999000801` are one, and
    so is what people and spreadsheets make of it: a label before it, dashes and spaces of any kind in it, quotation
    marks around it, `.0` after it.

    Anything that is not written as a Swedish number is an opaque id and only stripped.
    """
    if _TEN.fullmatch(text):
        return text
    said = _FLOATED.sub(r"\1", _QUOTED.sub("", _LABEL.sub("", plain_digits(text))))
    bare = _VAT.sub(r"\1", re.sub(r"[\s-]", "", said))
    if is_personal_number(bare):
        return bare.replace("+", "")[-10:]
    found = _WRITTEN.fullmatch(bare)
    return found[1] + found[2] if found else text.strip()


_TEN = re.compile(r"[0-9]{10}")
_LABEL = re.compile(r"^org(anisations)?[.\s-]*(nr|nummer)[.:\s]*", re.IGNORECASE)
_QUOTED = re.compile(r"^=?[\"'(]+|[\"')]+$")
_FLOATED = re.compile(r"^([0-9]{9,12})[.,]0+$")
_VAT = re.compile(r"^SE([0-9]{10})(01)?$", re.IGNORECASE)
_WRITTEN = re.compile(r"(?:16)?([0-9]{6})[./_]?([0-9]{4})")
