"""When a round's message to one address leaves, and whether it waits to be sent together with others.

What is urgent passes the hold, the merge window and the digest, and quiet hours where the model lists its stage; never
a stop. What must be known by a day (the law's time to answer hangs on it) and what changes an earlier message waits for
nobody either. The rest goes to the digest where its reader wishes so, or has been asked enough; and nobody gets a mail
within the merge window of the last one: it comes after that, together with what else came meanwhile. Nothing waits past
the day before its last: then it leaves at once, what is over budget as information still.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.model import BurdenPolicy
from schemas.round import Purpose, Round
from services.notifier.policy.digest import next_run
from services.notifier.policy.frequency import Wish
from services.notifier.policy.windows import ZONE, Mode, next_open


class Waits(StrEnum):
    """Why a message waits to be sent together with others; told to the official."""

    DAILY = "daily"
    WEEKLY = "weekly"
    RING = "digest_ring"
    BUDGET = "over_budget"
    MERGE = "merge_window"


IN_CASE: Final = ("", Waits.MERGE.value)
"""Why something waits that only lets others come with it: it asks what it asks. The rest informs, in a digest."""
_WISHES: Final = {Wish.DAILY: Waits.DAILY, Wish.WEEKLY: Waits.WEEKLY, Wish.RING: Waits.RING}


@dataclass(frozen=True, slots=True)
class Rules:
    """The model's, and the installation's."""

    burden: BurdenPolicy
    windows: Mode

    @property
    def merge(self) -> bool:
        """Whether messages to one address are gathered at all: without a merge window none are."""
        return self.burden.merge_window_hours > 0


@dataclass(frozen=True, slots=True)
class Timing:
    """When, and why it waits for company until then; without a reason it leaves by itself."""

    due: datetime
    waits: Waits | None = None


def goes_alone(round_: Round) -> bool:
    """Whether its messages never wait for others: urgent, statutory, or the change of an earlier one."""
    plan = round_.plan
    return round_.purpose is Purpose.CHANGE or (plan is not None and (plan.urgent or plan.statutory))


def timing(
    round_: Round,
    channel: str,
    wish: Wish,
    left: datetime | None,
    rules: Rules,
    now: datetime,
    expires_at: datetime,
    *,
    over_budget: bool,
) -> Timing:
    """The timing of one message. `left` is when the last message to the address did; `over_budget` is False for what is
    exempt.
    """
    soon = opening(round_, channel, rules.windows, now)
    if goes_alone(round_):
        return Timing(soon)
    if over_budget or wish is not Wish.AT_ONCE:
        why = Waits.BUDGET if over_budget else _WISHES[wish]
        run = next_run(rules.burden.digest, now, daily=why is Waits.DAILY)
        return Timing(run if _in_time(run, expires_at) else soon, why)
    later = _after(left, rules, soon) if channel == "email" else soon
    return Timing(later, Waits.MERGE) if later > soon and _in_time(later, expires_at) else Timing(soon)


def opening(round_: Round | None, channel: str, windows: Mode, now: datetime) -> datetime:
    """The first moment at which a message of this round may leave: asked when it is planned, and again when it is sent,
    for it may have waited. A digest has no round of its own.
    """
    plan = round_.plan if round_ is not None else None
    opens = next_open(channel, now, windows, any_hour=plan is not None and plan.any_hour)
    too_late = plan is not None and plan.leave_by is not None and opens.astimezone(ZONE).date() > plan.leave_by
    return now if too_late and channel == "email" else opens


def _after(left: datetime | None, rules: Rules, soon: datetime) -> datetime:
    """When the merge window of the last message is over. `left` may be later than now: another notifier sends too."""
    if left is None or not rules.merge:
        return soon
    return next_open("email", max(soon, left + timedelta(hours=rules.burden.merge_window_hours)), rules.windows)


def _in_time(moment: datetime, expires_at: datetime) -> bool:
    """Whether a day to answer is left after that moment's."""
    last = (expires_at - timedelta(microseconds=1)).astimezone(ZONE).date()
    return moment.astimezone(ZONE).date() < last
