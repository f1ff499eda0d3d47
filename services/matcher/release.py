"""Whether a round may open, or waits for an official: the setting, the guards, and what was decided.

A release is for a round and for the very set of recipients and workplaces that was looked at. It passes every hold but
that of a missing register, and it passes it once: when the set is another one, the official is asked again. *Undone*
is the last word until a later release.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from schemas.dialogue import RELEASE, REMIND, UNDO, Decision, Dialogue
from services.matcher.holds import Hold

Policy = Literal["auto", "review"]

REVIEW: Final = Hold("review", "waits for an official: look at who would be invited, and release it")
EDITED: Final = Hold("edited", "was edited among the dead letters; look at it, and release it")
UNDONE: Final = Hold("undone", "was undone by an official; release it to send it again")
SET_CHANGED: Final = Hold(
    "set_changed", "the recipients or their workplaces are not those that were released; look again, and release it"
)


def policy_for(source: str, case_type: str, settings: Mapping[str, Policy]) -> Policy:
    """The most specific entry of `source/case type`, `source/*`, `*/case type`, `*`; else `auto`."""
    asked = (f"{source}/{case_type}", f"{source}/*", f"*/{case_type}", "*")
    return next((settings[name] for name in asked if name in settings), "auto")


@dataclass(frozen=True)
class Decided:
    """What was decided on a case, and what its round needs before it may open."""

    dialogue: Dialogue | None = None
    policy: Policy = "auto"
    edited: bool = False
    """The case came with the mark that asks for a look (`envelope.HELD`)."""

    @property
    def number(self) -> int:
        """The last decision's number; 0 where nothing was decided."""
        return self.dialogue.number if self.dialogue else 0

    def listed(self, round_id: str) -> Mapping[str, Decision]:
        """The workplaces that an official added to the round or removed from it."""
        return self.dialogue.listed(round_id) if self.dialogue else {}

    def released_at(self, round_id: str) -> datetime | None:
        """When the round was released, if that is the last word."""
        last = self.dialogue.last(round_id) if self.dialogue else None
        return last.at if last and last.kind == RELEASE else None

    def not_before(self, round_id: str) -> datetime | None:
        """The moment that the release names, if it does."""
        last = self.dialogue.last(round_id) if self.dialogue else None
        return last.send_at if last and last.kind == RELEASE else None

    def reminded_at(self, round_id: str, opened_at: datetime) -> datetime | None:
        """When an official ordered the reminder, where that is since the round opened."""
        ordered = self.dialogue.on(REMIND, round_id) if self.dialogue else []
        return next((item.at for item in ordered if item.at >= opened_at), None)

    def hold(self, round_id: str, set_hash: str, guard: Hold | None) -> Hold | None:
        """Why the round waits, or None. `guard` is what the guards say of it."""
        last = self.dialogue.last(round_id) if self.dialogue else None
        if last is not None and last.kind == UNDO:
            return Hold(UNDONE.reason, f"{UNDONE.detail} ({last.reason})" if last.reason else UNDONE.detail)
        needed = self._needed(guard)
        if last is None:
            return needed
        if last.set_hash == set_hash:
            return None
        return SET_CHANGED if needed or self._was_undone(round_id) else None

    def _needed(self, guard: Hold | None) -> Hold | None:
        if self.edited:
            return Hold(EDITED.reason, f"{EDITED.detail}; {guard.detail}" if guard else EDITED.detail)
        return guard or (REVIEW if self.policy == "review" else None)

    def _was_undone(self, round_id: str) -> bool:
        decisions = self.dialogue.decisions if self.dialogue else []
        return any(item.round_id == round_id and item.kind == UNDO for item in decisions)
