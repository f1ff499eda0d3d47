"""What is wrong with a dialogue model, what contradicts itself, and what nobody could have meant.

An *error* is a model that may not be used: it has the wrong shape, a stage that speaks has no question or no time, a
party's own matter has a role for the elected. A *warning* is what the program does something with that was hardly
meant: a ring that adds nobody, a reminder that never comes. A *note* is what people should know before they adopt it.
Every finding has its place in the file (a JSON pointer, RFC 6901) and what to do. Sources: DIALOGUE §2, §3.3.
"""

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ValidationError

from schemas import industries
from schemas.complaints import of_shape, pointer_to
from schemas.model import LADDER, ORGANISATIONS, PLACES, CaseType, IndustryGroup, Legal, ModelShape, Ring, Stage, flaws

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
CONSULT: Final = LADDER.index("consult")


_SHAPE: Final = "see `nardialog model schema`"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: how badly, where, what, and what to do."""

    severity: Severity
    code: str
    pointer: str
    what: str
    remedy: str


def check(data: bytes) -> list[Finding]:
    """Everything that there is to say of a model file, the worst first."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        return [Finding("error", "not_json", "", f"is not JSON: {error}"[:200], "mend the file; a JSON editor helps")]
    if not isinstance(content, dict):
        return [Finding("error", "not_a_model", "", "is not a JSON object", "start from the model that comes along")]
    found = list(_unknown_members(ModelShape, content, ""))
    try:
        model = ModelShape.model_validate(content)
    except ValidationError as error:
        wrong = of_shape(error, data)
        shape = [Finding("error", w.code, w.pointer, _named(content, w.pointer) + w.detail, _SHAPE) for w in wrong]
        return _in_order([*shape, *found])
    found += [Finding("error", flaw.code, flaw.pointer, flaw.what, flaw.remedy) for flaw in flaws(model)]
    found += [*_of_groups(model), *_of_organisations(model), *_of_forms(model), *_of_adoption(model)]
    found += _of_any_hour(model)
    for i, case_type in enumerate(model.case_types):
        found += _of_case_type(case_type, f"/case_types/{i}")
        for j, stage in enumerate(case_type.stages):
            found += _Stage(model, case_type, stage, f"/case_types/{i}/stages/{j}").findings()
    return _in_order(found)


def passes(found: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether a model may be used; with `strict` warnings count too."""
    bad = {"error", "warning"} if strict else {"error"}
    return not any(item.severity in bad for item in found)


def _in_order(found: Iterable[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(found), key=lambda item: SEVERITIES.index(item.severity))


def _named(content: Any, pointer: str) -> str:
    """The case type and stage that a pointer leads into, for people: `/case_types/3/stages/1` says little."""
    names, here = [], content
    for part in pointer.split("/")[1:]:
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (LookupError, TypeError, ValueError):
            break
        if isinstance(here, dict) and isinstance(here.get("id"), str):
            names.append(here["id"][:60])
    return f"{'/'.join(names)}: " if names else ""


def _unknown_members(shape: type[BaseModel], content: Any, pointer: str) -> Iterator[Finding]:
    """Members that are nearly ours: a municipality may add members of its own, and may misspell ours."""
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        field = shape.model_fields.get(name)
        at = pointer + pointer_to([name])
        if field is None:
            if near := difflib.get_close_matches(name, set(shape.model_fields) - set(content), 1, 0.8):
                what = "is no member of a model and is not read"
                yield Finding("warning", "misspelt_member", at, what, f"write {near[0]}, if that is meant")
            continue
        if (inner := _model_within(field.annotation)) is None:
            continue
        parts: Iterable[tuple[Any, Any]] = [(None, value)]
        if isinstance(value, list):
            parts = enumerate(value)
        elif _is_mapping(field.annotation) and isinstance(value, dict):
            parts = value.items()
        for key, part in parts:
            yield from _unknown_members(inner, part, at if key is None else at + pointer_to([key]))


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_within(part)) is not None), None)


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _of_groups(model: ModelShape) -> Iterator[Finding]:
    used = {name for case_type in model.case_types for stage in case_type.stages for name in _names(stage)}
    for name, group in model.industry_groups.items():
        at = "/industry_groups" + pointer_to([name])
        if name not in used and name != ORGANISATIONS:
            what = f"industry group {name} is used by no ring"
            yield Finding("warning", "unused_group", at, what, "use it in a ring, or remove it")
        known = _leaves(group.codes, model.sni)
        for i, code in enumerate(group.exclude):
            if (excluded := _leaves([code], model.sni)) and not excluded & known:
                what = f"group {name} leaves out {code}, which it does not hold"
                yield Finding("warning", "excludes_nothing", f"{at}/exclude/{i}", what, "remove it, or correct it")
        if not _leaves_of(group, model.sni):
            what = f"industry group {name} holds no industry at all"
            yield Finding("error" if name in used else "warning", "empty_group", at, what, "name codes, or remove it")


def _of_organisations(model: ModelShape) -> Iterator[Finding]:
    """Rule 10: they answer for those whom only the digest reaches."""
    wide = any(ring.geometry == "municipality" for t in model.case_types for s in t.stages for ring in s.rings)
    if wide and ORGANISATIONS not in model.industry_groups:
        what = f"there is no industry group {ORGANISATIONS}: no organisation hears of municipality-wide rounds"
        yield Finding("warning", "no_organisations", "/industry_groups", what, f"add {ORGANISATIONS} with code 94")


def _names(stage: Stage) -> Iterator[str]:
    for ring in stage.rings:
        if isinstance(ring.industries, list):
            yield from ring.industries


def _leaves(codes: Iterable[str], version: str) -> frozenset[str]:
    """The detailed groups under some codes; unknown ones have none."""
    found = frozenset[str]()
    for code in codes:
        try:
            found |= industries.leaves_under(industries.parse(code, version), version)
        except ValueError:  # told as a flaw
            continue
    return found


def _leaves_of(group: IndustryGroup, version: str) -> frozenset[str]:
    return _leaves(group.codes, version) - _leaves(group.exclude, version)


def _of_any_hour(model: ModelShape) -> Iterator[Finding]:
    """A stage that is misspelt here is told of a cut in the morning."""
    stages = [f"{case_type.id}.{stage.id}" for case_type in model.case_types for stage in case_type.stages]
    for i, name in enumerate(model.burden_policy.any_hour):
        if name not in stages:
            near = difflib.get_close_matches(name, stages, 1)
            what = f"there is no stage {name[:120]}"
            remedy = f"write {near[0]}, if that is meant" if near else "write case_type.stage, of stages there are"
            yield Finding("error", "unknown_stage", f"/burden_policy/any_hour/{i}", what, remedy)


def _of_forms(model: ModelShape) -> Iterator[Finding]:
    used = {form for case_type in model.case_types for stage in case_type.stages for form in stage.forms}
    for name in model.forms:
        if name not in used:
            at = "/forms" + pointer_to([name])
            yield Finding("note", "unused_form", at, f"form {name} is offered in no stage", "offer it, or remove it")


def _of_adoption(model: ModelShape) -> Iterator[Finding]:
    missing = [name for name in ("by", "decision", "date") if getattr(model.adopted, name) in (None, "")]
    if model.status == "proposal":
        what = "the model is a proposal: nobody has adopted it"
        yield Finding("note", "not_adopted", "/status", what, "when the board has: fill in adopted, and status")
    elif missing:
        what = f"the model is {model.status}, and adopted does not say {', '.join(missing)}"
        yield Finding("error", "adoption", "/adopted", what, "fill in who, by which decision, and when")
    if model.information_days == 0:
        what = "information without a date of its own expires at once"
        yield Finding("error", "no_expiry", "/information_days", what, "give it some days, as 14")


def _of_case_type(case_type: CaseType, at: str) -> Iterator[Finding]:
    stages = {stage.id: stage for stage in case_type.stages}
    asking = [stage.id for stage in case_type.stages if LADDER.index(stage.influence) >= CONSULT]
    earliest = case_type.earliest_influence
    at = f"{at}/earliest_influence"
    named = f"case type {case_type.id}"
    if not earliest:
        if asking:
            what = f"{named} does not say in which stage a first invitation is early enough"
            yield Finding("error", "no_earliest_influence", at, what, f"name a stage: {', '.join(asking)}")
        else:
            what = f"nothing of {named} can be influenced in any stage"
            yield Finding("warning", "never_asks", at, what, "give an early stage influence, or say why in a note")
    elif earliest not in stages:
        what = f"{named} has no stage {earliest[:60]}"
        yield Finding("error", "unknown_stage", at, what, f"name one of: {', '.join(stages)}")
    elif earliest not in asking:
        what = f"{named} calls {earliest} early enough, where the influence is {stages[earliest].influence}"
        yield Finding("error", "earliest_without_influence", at, what, "name a stage that asks, or raise its influence")
    elif asking[0] != earliest:
        what = f"{named} asks in {asking[0]} already, before {earliest}"
        yield Finding("note", "asks_earlier", at, what, f"name {asking[0]}, if that is early enough")


@dataclass(frozen=True)
class _Stage:
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
        found = _leaves((name for name in ring.industries if name not in groups), self.model.sni)
        return found.union(*(_leaves_of(groups[name], self.model.sni) for name in ring.industries if name in groups))

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
