"""A month's cap on what SMS cost: what still goes at the cap, and what becomes of the rest.

Urgent texts and what a reader asked for (codes, links, receipts) go whatever they cost: a cap protects a budget, not
against cut-off water. The rest waits for the next month; what would be too late by then ends now, with its reason,
while there is time for a letter. Months are Swedish wall time, as invoices are.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

CODE: Final = "sms_month_cap"
"""Why a text ended that could not wait for the next month."""
_ZONE: Final = ZoneInfo("Europe/Stockholm")
_NEAR: Final = 0.8


class Standing(StrEnum):
    """What has been spent, against the cap."""

    BELOW = "below"
    NEAR = "near"
    """Somebody may still raise it in time."""
    REACHED = "reached"


def standing(spent: int, cap: int | None) -> Standing:
    """`spent` and `cap` are in the same unit; without a cap it is never near."""
    if cap is None or spent < cap * _NEAR:
        return Standing.BELOW
    return Standing.NEAR if spent < cap else Standing.REACHED


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The beginning of this month, and of the next one."""
    wall = now.astimezone(_ZONE)
    begins = datetime(wall.year, wall.month, 1, tzinfo=_ZONE)
    ends = datetime(wall.year + wall.month // 12, wall.month % 12 + 1, 1, tzinfo=_ZONE)
    return begins, ends
