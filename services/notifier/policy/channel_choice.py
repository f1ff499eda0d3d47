"""By which addresses a recipient hears of a round: from the plan's channel and the contacts there are.

Each invited workplace is reached at its own contact; where it has none of a kind, at the organisation's. E-mail first;
SMS where there is no e-mail, or where the plan asks for it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

SendChannel = Literal["email", "sms"]


@dataclass(frozen=True, slots=True)
class Reach:
    """A contact as the choice sees it: where it belongs and what it leads to."""

    contact_id: str
    workplace_id: str | None
    channel: str
    language: str
    address_index: str
    address_encrypted: bytes


@dataclass(frozen=True, slots=True)
class Choice:
    """One address to write to, by one channel."""

    reach: Reach
    channel: SendChannel


def choose(plan_channel: str, urgent: bool, workplaces: Collection[str], contacts: Sequence[Reach]) -> list[Choice]:
    """The addresses, each once, in a stable order. Empty: nobody can be reached this way."""
    email = _near(contacts, "email", workplaces)
    sms = _near(contacts, "sms", workplaces)
    chosen = [Choice(reach, "email") for reach in email]
    if plan_channel == "sms" and sms:
        chosen = []
    if sms and (not chosen or _asks_for_sms(plan_channel, urgent)):
        chosen += [Choice(reach, "sms") for reach in sms]
    return list({choice.reach.address_index: choice for choice in reversed(chosen)}.values())[::-1]


def _asks_for_sms(plan_channel: str, urgent: bool) -> bool:
    return plan_channel in ("sms", "sms+email", "email+sms") or (plan_channel == "email+sms_urgent" and urgent)


def _near(contacts: Iterable[Reach], channel: str, workplaces: Collection[str]) -> list[Reach]:
    of_channel = sorted((c for c in contacts if c.channel == channel), key=lambda c: c.contact_id)
    own = [c for c in of_channel if c.workplace_id is not None and c.workplace_id in workplaces]
    covered = {c.workplace_id for c in own}
    general = [c for c in of_channel if c.workplace_id is None]
    return own if own and covered >= set(workplaces) else own + general
