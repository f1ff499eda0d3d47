"""Whether somebody has said stop to this message.

A stop holds in the municipality that it was said to; a dead or erased address and a complaint hold everywhere. A stop
of an area is of the subscription that it names: it stops what is sent for such areas alone, and nothing that concerns
its reader otherwise too. One that names none holds for all of the municipality: silence is the promise.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from schemas.invitation import Invitation

DEAD: Final = "bounce"
"""The kind after which an address is one that nobody reads."""
UNUSABLE: Final = frozenset({DEAD, "erased"})
"""Kinds after which nothing at all is sent to an address, not even what its owner asks for."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A suppression of one address."""

    kind: str
    scope: str
    municipality: str
    case_key: str | None
    case_type: str | None
    lifted: bool = False
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What a message is about."""

    municipality: str
    case_key: str
    case_type: str


def stopped_by(
    stops: Iterable[Stop], about: About, invitations: Callable[[], Iterable[Invitation]] = tuple
) -> Stop | None:
    """The first suppression that stops a message about this, or None. `invitations` are those that the message is sent
    for, asked for only where an area was stopped: without them such a stop is not seen yet.
    """
    standing = [stop for stop in stops if not stop.lifted]
    found = next((stop for stop in standing if _meets(stop, about)), None)
    return found or _area(standing, about, invitations)


def _area(standing: Iterable[Stop], about: About, invitations: Callable[[], Iterable[Invitation]]) -> Stop | None:
    areas = {
        stop.subscription_id: stop
        for stop in standing
        if stop.scope == "area" and stop.subscription_id is not None and stop.municipality == about.municipality
    }
    if not areas:
        return None
    carried = list(invitations())
    reasons = [reason for item in carried for place in item.workplaces for reason in place.reasons]
    if any(item.more_workplaces for item in carried) or not reasons:
        return None
    followed = [reason.subscription_id if reason.kind == "subscription" else None for reason in reasons]
    met = [areas.get(subscription) if subscription else None for subscription in followed]
    return met[0] if None not in met else None


def _meets(stop: Stop, about: About) -> bool:
    if stop.kind in ("bounce", "complaint", "erased"):
        return True
    if stop.scope == "case":
        return stop.case_key == about.case_key
    if stop.municipality != about.municipality:
        return False
    if stop.scope == "area":
        return stop.subscription_id is None
    return stop.scope == "all" or (stop.scope == "kind" and stop.case_type == about.case_type)
