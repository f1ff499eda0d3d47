"""`contacts`: how a recipient is reached. The address is class A personal data and travels sealed to the notifier."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.types import Event, Key, Language, Line, OpenId, OurId, Value

CONTACT_CHANGED: Final = "se.nardialog.contact.changed.v1"

ContactChannel = Literal["email", "sms", "letter"]


class Sealed(Value):
    """A libsodium sealed box, base64, and the version of the public key that it was sealed to."""

    key_version: OpenId
    box: Annotated[str, Field(max_length=8000, pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class Contact(Event):
    """One way to reach one recipient, at one of its workplaces or as a whole."""

    contact_id: OurId
    source: Key
    recipient_id: OurId
    workplace_id: Key | None = None
    role: OpenId = "register"
    channel: ContactChannel
    language: Language = "sv"
    sealed: Sealed


class Address(Value):
    """What is inside the box: an e-mail address as given, or a telephone number in E.164."""

    address: Annotated[str, Field(min_length=3, max_length=254)]
    name: Line = ""


EXAMPLE: Final = {
    "municipality": "0162",
    "contact_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "source": "register",
    "recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890",
    "workplace_id": "EX-0001",
    "role": "register",
    "channel": "email",
    "sealed": {"key_version": "k1", "box": "c2VhbGVk"},
}
