"""How much may be asked of one person, and of one company, across departments.

Asks are counted over thirty days and minutes over ninety: of every first message that left or is about to, exempt or
not. What comes in a digest because there was no budget is information and counts nothing; a reminder repeats what was
counted. A company is counted over all of its addresses, each round once. Source: the dialogue model's `burden_policy`.

What waited for its window or its day is reckoned anew when it leaves: something exempt may have asked meanwhile.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.invitation import Invitation
from schemas.model import DIRECT, BurdenPolicy
from schemas.round import Purpose, Round

ASKS_DAYS: Final = timedelta(days=30)
MINUTES_DAYS: Final = timedelta(days=90)
_OWED: Final = frozenset({Purpose.FEEDBACK, Purpose.CHANGE})


@dataclass(frozen=True, slots=True)
class Asked:
    """What one round asked of somebody. `at` is when its message left; None while it is about to."""

    round_id: str
    asks: int
    minutes: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """A message that waited and is to leave now. `exempt` says that the budget does not hold for it."""

    message_id: str
    address: str
    companies: frozenset[str]
    asks: Asked
    exempt: bool = False

    def concerns(self, addresses: Iterable[str], companies: Iterable[str]) -> bool:
        """Whether it reaches one of these persons or companies."""
        return self.address in addresses or not self.companies.isdisjoint(companies)


def over_budget(policy: BurdenPolicy, person: Iterable[Asked], companies: Sequence[Iterable[Asked]], now: datetime,
                asks: int, minutes: int) -> bool:  # fmt: skip
    """Whether one more round, that asks so much, would be too much for this person or for one of these companies."""
    most = (policy.max_asks_per_person_per_30_days, policy.max_minutes_per_person_per_90_days)
    company = (policy.max_asks_per_company_per_30_days, policy.max_minutes_per_company_per_90_days)
    of_company = tuple(most[i] if limit is None else limit for i, limit in enumerate(company))
    return _too_much(person, most, now, asks, minutes) or any(
        _too_much(asked, of_company, now, asks, minutes) for asked in companies
    )


def one_too_many(
    policy: BurdenPolicy,
    persons: Mapping[str, Sequence[Asked]],
    companies: Mapping[str, Sequence[Asked]],
    leaving: Sequence[Leaving],
    now: datetime,
) -> set[str]:
    """Which of the messages that leave together are too much for somebody: what is exempt counts first, then one after
    the other in their order. `persons` and `companies` are what was asked of each, by what left or is about to.
    """
    person = defaultdict[str, list[Asked]](list, {who: list(asked) for who, asked in persons.items()})
    company = defaultdict[str, list[Asked]](list, {who: list(asked) for who, asked in companies.items()})
    beyond = set[str]()
    for item in sorted(leaving, key=lambda one: not one.exempt):
        others = [_but(company[who], item.asks) for who in sorted(item.companies)]
        asked = _but(person[item.address], item.asks)
        if not item.exempt and over_budget(policy, asked, others, now, item.asks.asks, item.asks.minutes):
            beyond.add(item.message_id)
            continue
        person[item.address].append(item.asks)
        for who in item.companies:
            company[who].append(item.asks)
    return beyond


def is_urgent(round_: Round) -> bool:
    """Whether it passes the hold, the budget and the digest, and goes before the others."""
    return round_.plan is not None and round_.plan.urgent


def is_exempt(round_: Round, invitations: Iterable[Invitation]) -> bool:
    """Whether the budget does not hold for a message: what is urgent, statutory or tells of a cut; what is owed to who
    took part; whom the case touches directly.
    """
    if round_.purpose in _OWED or is_urgent(round_) or (round_.plan is not None and round_.plan.exempt):
        return True
    reasons = (reason for invitation in invitations for place in invitation.workplaces for reason in place.reasons)
    return any(reason.ring == DIRECT for reason in reasons)


def _but(asked: Iterable[Asked], own: Asked) -> list[Asked]:
    """Without its own round, which may have left for another address of the company."""
    return [one for one in asked if one.round_id != own.round_id]


def _too_much(asked: Iterable[Asked], most: Sequence[int], now: datetime, asks: int, minutes: int) -> bool:
    rounds = {item.round_id: item for item in asked}.values()
    asks_before = sum(item.asks for item in rounds if _within(item, now, ASKS_DAYS))
    minutes_before = sum(item.minutes for item in rounds if _within(item, now, MINUTES_DAYS))
    return (asks > 0 and asks_before + asks > most[0]) or (minutes > 0 and minutes_before + minutes > most[1])


def _within(item: Asked, now: datetime, days: timedelta) -> bool:
    return item.at is None or item.at > now - days
