"""What the notifier needs of a channel: take these bytes to this address once, and say what became of it.

An adapter translates its provider's words into `Outcome`; nothing else of a provider is known outside its module.
"Sent" means that a provider took responsibility (RFC 5321 §4.2.5 for mail), not that a person has it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

NOT_ASKED: Final = "not_asked"
"""Code of an unknown outcome that a look-up ends in: the question itself failed, and is asked again."""
TOO_FAST: Final = "too_fast"
"""Code of an outcome: the provider wants fewer messages a minute."""
OPTED_OUT: Final = "opted_out"
"""Code of an outcome: the reader has said stop to the provider, who therefore sends nothing more to that address."""


class State(StrEnum):
    """What became of one call to a provider."""

    SENT = "sent"
    """The provider accepted responsibility."""
    RETRY = "retry"
    """Not accepted, for a reason that passes; the message is tried again."""
    FAILED = "failed"
    """Refused for good."""
    UNKNOWN = "unknown"
    """The connection broke after the last byte and before the answer: the provider may have it."""
    NOT_SENT = "not_sent"
    """The channel itself is in trouble (refused, greeting, TLS, log-in): the message never left, no attempt counts."""


@dataclass(frozen=True)
class Outgoing:
    """One message ready to leave. `reference` is ours, stable over resends; `body` is the exact bytes."""

    message_id: str
    address: str
    body: bytes
    reference: str
    intent_at: datetime
    return_path: str = ""
    """Of a mail: who hears that it could not be delivered; the channel's own address when empty."""


@dataclass(frozen=True)
class Outcome:
    """What a call ended in. `code` is a stable word of ours (`accepted`, `no_such_address`, `greylisted`, …), `detail`
    the provider's enhanced status or HTTP status, never its free text, which may quote the address.
    """

    state: State
    code: str
    detail: str = ""
    provider_ref: str = ""
    suppress: bool = False
    """The address is dead (RFC 3463 5.1.x): nothing more should be sent to it."""
    suppress_after: int = 0
    """So many matters in a row that end in this code, and the address is given up too; nought: never."""
    most_tries: int | None = None
    """Attempts in all, where waiting for a change is less than trying for as long as the message lives."""
    alarm: bool = False
    """Operations must look: credentials, policy, our own fault."""
    retry_after: float | None = None
    """Seconds to wait, where the provider or its class of answer says so."""
    segments: int = 0
    """Of an SMS: how many parts the provider counts; nought where it does not say."""
    cost: int | None = None
    """Of an SMS: what it costs, in ten-thousandths of `currency`; None where nobody knows."""
    currency: str = ""


class Channel(Protocol):
    """A provider behind one port. Adapters: `smtp.SmtpChannel`, `elks46.Elks46Channel`, `twilio.TwilioChannel`,
    `memory.MemoryChannel`. One with a key against doubles takes `Outgoing.reference` as that key; one without look-up
    answers None; receipts come by another way and name the reference (outcomes/receipts).
    """

    name: str
    """`email` or `sms`. Several providers may serve one channel: the first that is well is used."""
    provider: str
    """Which provider this is, as the ledger, metrics and commands name it."""
    at_once: int | None
    """How many messages it is given at once; None sets no limit of its own."""

    async def send(self, message: Outgoing) -> Outcome:
        """Hand the message over once. Never raises for what the provider or the network does."""
        ...

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """After an unknown outcome: what does the provider say became of it? None when it cannot be asked or does not
        know it; unknown again (`NOT_ASKED`) when the question failed: no answer is not a no.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
