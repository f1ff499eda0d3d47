"""A person's reply on its way to those who answer for the case, through the same relay; we answer nobody.

The mailbox is the queue: a reply stays there until the relay has taken its forward, and a second try has the same
Message-ID. It goes to the case's own address or to the one for all cases, and never to a mailbox of ours: from there it
would come back.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from email.utils import parseaddr
from hashlib import blake2b
from typing import Final

from schemas.round import Round
from services.notifier.channels.port import Channel, Outcome, Outgoing
from services.notifier.outcomes.sorting import FORWARDED
from services.rendering.forwarded import Forward, forwarded
from services.runtime.addresses import normal
from services.runtime.errors import Rejected

_PLAIN: Final = re.compile(r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[0-9A-Za-z.-]{1,255}")


@dataclass(frozen=True, slots=True)
class Ours:
    """Who we are in a forward, where replies go that name no case, and the mailboxes that are read by us."""

    sender_name: str
    sender_address: str
    replies_to: str
    read_by_us: Collection[str]


class PassingOn:
    """Forwards replies."""

    def __init__(self, channel: Channel, ours: Ours) -> None:
        self._channel = channel
        self._ours = ours

    async def forward(self, raw: bytes, rounds: Sequence[Round], now: datetime) -> Outcome | None:
        """What became of the forward; None where nobody is named whom it could go to."""
        to = whom(rounds, self._ours)
        if to is None:
            return None
        mark = f"vidare-{blake2b(raw, digest_size=20).hexdigest()}"
        about = Forward(
            mark=mark,
            at=now,
            sender_name=self._ours.sender_name,
            sender_address=self._ours.sender_address,
            to_address=to,
            reply_to=_writer(raw),
            cases=tuple((round_.texts.title, round_.texts.diary_number or "") for round_ in rounds),
        )
        return await self._channel.send(Outgoing(mark, to, forwarded(raw, about, FORWARDED), mark, now))


def whom(rounds: Sequence[Round], ours: Ours) -> str | None:
    """Who gets a person's answer: the case's own address, or the one for all cases; nobody where both are ours. Of
    several rounds, a digest's, nobody knows which is meant: the mailbox for all cases gets it, with their names.
    """
    official = rounds[0].texts.official if len(rounds) == 1 else None
    wanted = [address for address in (official.email if official else None, ours.replies_to) if address]
    return next((address for address in wanted if not _is_ours(address, ours)), None)


def _is_ours(address: str, ours: Ours) -> bool:
    """Also with anything after a plus sign; what is no address is not one to write to."""
    given = _box(address)
    return given == "" or given in {_box(own) for own in ours.read_by_us}


def _box(address: str) -> str:
    try:
        _, folded = normal("email", address)
    except Rejected:
        return ""
    local, _, domain = folded.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _writer(raw: bytes) -> str:
    """Whom to answer: where the writer asks for it, else the writer; nobody, where that is no plain address."""
    mail: Message = message_from_bytes(raw, policy=compat32)
    named = (parseaddr(str(mail[name]))[1] for name in ("Reply-To", "From") if mail[name] is not None)
    return next((address for address in named if _PLAIN.fullmatch(address)), "")
