"""By which addresses a recipient hears of a round: from the plan's channel and the contacts there are.

Each invited workplace is reached at its own contact; where it has none of a kind, at the organisation's. Where the plan
names roles, the first of them that is there gets it, among a workplace's contacts and then among the organisation's;
where none is, whoever is there. E-mail first; SMS where there is no e-mail, or where the plan asks for it.
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
    role: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One address to write to, by one channel."""

    reach: Reach
    channel: SendChannel


def choose(
    plan_channel: str,
    urgent: bool,
    workplaces: Collection[str],
    contacts: Sequence[Reach],
    roles: Sequence[str] = (),
) -> list[Choice]:
    """The addresses, each once, in a stable order. Empty: nobody can be reached this way."""
    email = _near(contacts, "email", workplaces, roles)
    sms = _near(contacts, "sms", workplaces, roles)
    chosen = [Choice(reach, "email") for reach in email]
    if plan_channel == "sms" and sms:
        chosen = []
    if sms and (not chosen or _asks_for_sms(plan_channel, urgent)):
        chosen += [Choice(reach, "sms") for reach in sms]
    return list({choice.reach.address_index: choice for choice in reversed(chosen)}.values())[::-1]


def _asks_for_sms(plan_channel: str, urgent: bool) -> bool:
    return plan_channel in ("sms", "sms+email", "email+sms") or (plan_channel == "email+sms_urgent" and urgent)


def _near(contacts: Iterable[Reach], channel: str, workplaces: Collection[str], roles: Sequence[str]) -> list[Reach]:
    of_channel = sorted((c for c in contacts if c.channel == channel), key=lambda c: c.contact_id)
    at: dict[str | None, list[Reach]] = {}
    for contact in of_channel:
        at.setdefault(contact.workplace_id, []).append(contact)
    own = {c.contact_id for place in workplaces for c in _of_role(at.get(place, []), roles)}
    covered = all(place in at for place in workplaces)
    general = set() if own and covered else {c.contact_id for c in _of_role(at.get(None, []), roles)}
    return [c for c in of_channel if c.contact_id in own] + [c for c in of_channel if c.contact_id in general]


def _of_role(contacts: Sequence[Reach], roles: Sequence[str]) -> Sequence[Reach]:
    """Those who have the first of these roles that any of them has; all, where none has one of them."""
    return next((found for role in roles if (found := [c for c in contacts if c.role == role])), contacts)
