"""Whether somebody has said stop to this message.

A stop holds in the municipality that it was said to; a dead or erased address and a complaint hold everywhere. A stop
of an area holds for all of that municipality: the event does not say which area, and silence is the promise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class About:
    """What a message is about."""

    municipality: str
    case_key: str
    case_type: str


def stopped_by(stops: Iterable[Stop], about: About) -> Stop | None:
    """The first suppression that stops a message about this, or None."""
    return next((stop for stop in stops if not stop.lifted and _meets(stop, about)), None)


def _meets(stop: Stop, about: About) -> bool:
    if stop.kind in ("bounce", "complaint", "erased"):
        return True
    if stop.scope == "case":
        return stop.case_key == about.case_key
    if stop.municipality != about.municipality:
        return False
    return stop.scope in ("all", "area") or (stop.scope == "kind" and stop.case_type == about.case_type)
