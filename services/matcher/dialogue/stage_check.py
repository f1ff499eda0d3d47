"""What is wrong with one stage of a dialogue model: its silence or its forms, times, rings, roles and channels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.model import LADDER, PLACES, CaseType, Legal, ModelShape, Ring, Stage
from services.matcher.dialogue.findings import Finding, Severity
from services.matcher.dialogue.leaves import leaves, leaves_of

CONSULT: Final = LADDER.index("consult")


@dataclass(frozen=True)
class StageCheck:
    """One stage and where it stands."""

    model: ModelShape
    case_type: CaseType
    stage: Stage
    at: str

    @property
    def name(self) -> str:
        return f"{self.case_type.id}/{self.stage.id}"

    @property
    def asks(self) -> bool:
        return LADDER.index(self.stage.influence) >= CONSULT

    def findings(self) -> Iterator[Finding]:
        """All that there is to say of it."""
        if self.stage.influence == "none":
            yield from self._silent()
        else:
            yield from self._forms()
            yield from self._times()
            yield from self._floors()
        yield from self._rings()
        yield from self._elected()
        yield from self._channels()

    def say(self, severity: Severity, code: str, member: str, what: str, remedy: str) -> Finding:
        return Finding(severity, code, f"{self.at}/{member}", f"{self.name} {what}", remedy)

    def _silent(self) -> Iterator[Finding]:
        left = [name for name in ("forms", "rings", "ask", "reminder", "feedback") if getattr(self.stage, name)]
        if left:
            yield self.say(
                "warning",
                "silent_stage_speaks",
                left[0],
                f"is silent (influence none) and has {', '.join(left)}",
                "remove them, or give the stage influence",
            )

    def _forms(self) -> Iterator[Finding]:
        stage, forms = self.stage, self.model.forms
        asking = [form for form in stage.forms if form in forms and forms[form].asks]
        if self.asks and stage.forms and not asking:
            yield self.say(
                "error",
                "no_asking_form",
                "forms",
                f"has influence {stage.influence} and no form that asks",
                f"add one of: {', '.join(form for form in forms if forms[form].asks)}",
            )
        if not self.asks and asking:
            alone = len(asking) == len(stage.forms)
            yield self.say(
                "warning" if alone else "note",
                "asks_without_influence",
                "forms",
                f"is for information and has {', '.join(asking)}, which is not offered"
                + (": a notice is sent instead" if alone else ""),
                "remove it, or raise the influence to consult",
            )
        if stage.influence == "empower":
            yield self.say(
                "warning",
                "empower",
                "influence",
                "lets businesses decide: decisions are the council's",
                "use collaborate or less",
            )
        if self.asks and (stage.ask is None or not (stage.ask.sv.strip() and stage.ask.en.strip())):
            yield self.say("error", "no_question", "ask", "asks and has no question", "write ask, in sv and en")
        if not stage.rings:
            yield self.say(
                "error", "no_ring", "rings", "speaks and reaches nobody", "add a ring, or set influence to none"
            )
        if self.asks and stage.feedback is None:
            yield self.say(
                "error",
                "no_feedback",
                "feedback",
                "asks and promises no account of what became of the answers",
                "add feedback",
            )

    def _times(self) -> Iterator[Finding]:
        stage = self.stage
        days = stage.response.days
        if not self.asks:
            if stage.reminder is not None:
                yield self.say(
                    "warning", "reminds_of_nothing", "reminder", "asks nothing and reminds", "remove reminder"
                )
            return
        if days == 0:
            yield self.say(
                "error", "no_expiry", "response/days", "asks and gives no time to answer", "give it days: 10 or more"
            )
        reminder = stage.reminder
        if reminder is not None and days and not 0 <= reminder.days_before_deadline < days:
            yield self.say(
                "error",
                "reminder_outside_window",
                "reminder/days_before_deadline",
                f"reminds {reminder.days_before_deadline} days before the last of {days} days",
                f"choose 1 to {days - 1}",
            )
        most = self.model.burden_policy.max_reminders_per_stage
        if reminder is not None and reminder.max > most:
            yield self.say(
                "warning",
                "too_many_reminders",
                "reminder/max",
                f"reminds {reminder.max} times, and burden_policy allows {most}",
                f"write {most}",
            )
        late = [f for f in stage.forms if f in self.model.forms and self.model.forms[f].lead_days > stage.lead.days + 2]
        if late:
            yield self.say(
                "note",
                "short_lead",
                "lead/days",
                f"gives {stage.lead.days} days to prepare, and the forms {', '.join(late)} want more",
                "give more days, or offer other forms",
            )

    def _floors(self) -> Iterator[Finding]:
        """The program never goes under the law's floor; a model that proposes less promises less than it gives."""
        if not self.asks:
            return
        days = self.stage.response.days
        law = [item for item in self.stage.legal if item.basis == "law" and (item.min_days or item.min_months)]
        if not law:
            return
        procedures: list[str | None] = [*sorted({item.variant for item in law if item.variant})]
        floors = {n: max(_days(item) for item in law if item.variant in (None, n)) for n in procedures or [None]}
        under = {name: floor for name, floor in floors.items() if days < floor}
        if not under:
            return
        every = len(under) == len(floors)
        named = ", ".join(f"{floor}{f' ({name})' if name else ''}" for name, floor in under.items())
        cites = ", ".join(dict.fromkeys(item.cite for item in law))
        yield self.say(
            "error" if every else "note",
            "floor_undercut" if every else "floor_of_a_procedure",
            "response/days",
            f"proposes {days} days, and the law wants {named} ({cites})"
            + ("" if every else ": in that procedure the law's are used"),
            f"write {max(under.values())} or more" if every else "nothing, if that is meant",
        )

    def _rings(self) -> Iterator[Finding]:
        rings = self.stage.rings
        seen = set[str]()
        for i, ring in enumerate(rings):
            at = f"rings/{i}"
            if ring.id in seen:
                what = f"has two rings {ring.id}: a reason cannot say which of them it was"
                yield self.say("warning", "duplicate_ring", f"{at}/id", what, "give one of them another id")
            seen.add(ring.id)
            if ring.geometry in PLACES - {"zone"} and ring.buffer_m == 0:
                what = f"measures ring {ring.id} 0 m from the geometry: a street or a point reaches nobody"
                yield self.say("warning", "unreachable_ring", f"{at}/buffer_m", what, "give it metres")
            if self._reaches_nothing(ring):
                what = f"asks in ring {ring.id} for industries that do not exist"
                yield self.say("error", "unreachable_ring", f"{at}/industries", what, "name a group or a code, or all")
            elif (outer := self._covered_by(i)) is not None:
                what = f"has ring {ring.id} inside {outer.id}, which reaches the same industries: it adds nobody"
                yield self.say("warning", "unreachable_ring", at, what, "widen its industries, or remove it")

    def _reaches_nothing(self, ring: Ring) -> bool:
        return isinstance(ring.industries, list) and not self._industries_of(ring)

    def _industries_of(self, ring: Ring) -> frozenset[str]:
        groups = self.model.industry_groups
        if not isinstance(ring.industries, list):
            return frozenset({ring.industries})
        found = leaves((name for name in ring.industries if name not in groups), self.model.sni)
        return found.union(*(leaves_of(groups[name], self.model.sni) for name in ring.industries if name in groups))

    def _covered_by(self, number: int) -> Ring | None:
        """Another ring of the stage that reaches all that this one does. Of two that are alike the later is meant."""
        ring = self.stage.rings[number]
        if ring.delivery != "direct":
            return None
        for other_number, other in enumerate(self.stage.rings):
            if other_number == number or other.delivery != "direct" or not self._within(ring, other):
                continue
            if other_number < number or not self._within(other, ring):
                return other
        return None

    def _within(self, ring: Ring, other: Ring) -> bool:
        return _place_within(ring, other) and self._same_industries(ring, other)

    def _same_industries(self, ring: Ring, other: Ring) -> bool:
        if other.industries == "all" or ring.industries == other.industries:
            return True
        if not isinstance(ring.industries, list) or not isinstance(other.industries, list):
            return False
        return self._industries_of(ring) <= self._industries_of(other)

    def _elected(self) -> Iterator[Finding]:
        stage, roles = self.stage, self.model.elected_roles
        if roles and stage.elected not in roles:
            what = f"has elected {stage.elected[:60]}, which is no role"
            yield self.say("error", "unknown_role", "elected", what, f"use one of: {', '.join(roles)}")
        if stage.elected != "none" and self.case_type.is_individual(stage):
            yield self.say(
                "error",
                "elected_in_authority_exercise",
                "elected",
                f"has elected {stage.elected} where a single party's matter is decided (RF 12:2)",
                "write none; or, if the stage is about principles, individual_authority_exercise: false",
            )

    def _channels(self) -> Iterator[Finding]:
        stage, channels = self.stage, self.model.channels
        used = {"channel": stage.channel}
        if stage.reminder is not None:
            used["reminder/channel"] = stage.reminder.channel
        for member, channel in used.items():
            if channels and channel not in channels:
                what = f"uses channel {channel[:60]}, which there is not"
                yield self.say("error", "unknown_channel", member, what, f"use one of: {', '.join(channels)}")


def _days(legal: Legal) -> int:
    """A floor in days: two calendar months can be 62."""
    return (legal.min_months or 0) * 31 or legal.min_days or 0


def _place_within(ring: Ring, other: Ring) -> bool:
    """Whether wherever a ring reaches, the other does too."""
    if other.geometry == "any":
        return ring.geometry in PLACES | {"municipality", "any"}
    if ring.geometry != other.geometry and not (other.geometry == "case" and ring.geometry in PLACES - {"detour"}):
        return False
    return ring.geometry not in PLACES or (ring.buffer_m or 0) <= (other.buffer_m or 0)
