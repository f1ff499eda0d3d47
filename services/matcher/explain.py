"""Why a workplace was invited to a case's round, or why not: which rule left it out, and by how much.

There is no second engine: whether and why is what `audience` says of a register with this one workplace in it; how far
off it is, is measured by the functions that the rings use. What was published (the round, the invitation) comes in as
values and has the last word, since the register may be another by now. The words are for officials, in English.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import shapely

from schemas import industries
from schemas.case import Case
from schemas.company import Company
from schemas.dialogue import REMOVE, Decision
from schemas.invitation import Invitation, InvitationState, Reason
from schemas.model import DialogueModel
from schemas.round import Round, RoundState
from schemas.types import IndustryCode
from services.matcher import geometry, industry
from services.matcher.audience import NOTHING, ROLES, Reach, audience, digests, reaches
from services.matcher.geometry import Part
from services.matcher.subscriptions import NOBODY, Subscribers
from services.matcher.workplaces import snapshot

Answer = Literal[
    "invited", "not_in_register", "no_round", "silent", "round_ended", "held", "closed", "vacant", "applicant",
    "removed", "late", "not_yet", "revoked", "outside", "industry", "elsewhere", "no_place", "no_ring",
]  # fmt: skip
Place = Literal["inside", "outside", "no_place", "no_such_geometry", "elsewhere", "everywhere"]
LEFT_OUT: Final[Mapping[str, Answer]] = {
    "closed": "closed", "vacant": "vacant", "applicant": "applicant", "removed": "removed",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One ring of a stage, and how a workplace stands to it."""

    ring: str
    geometry: str
    buffer_m: float | None
    digest: bool
    headings: tuple[str, ...] | None
    """The industries that the ring asks for; None where it asks for all."""
    place: Place
    metres: float | None = None
    """To the nearest geometry of the case that the ring is measured from."""
    role: str | None = None
    matches: tuple[industry.Match, ...] = ()

    @property
    def near(self) -> bool:
        """Whether the place fits."""
        return self.place in ("inside", "everywhere")

    @property
    def concerned(self) -> bool:
        """Whether the industries fit."""
        return self.headings is None or bool(self.matches)

    @property
    def fits(self) -> bool:
        """Whether the workplace is in the ring."""
        return self.near and self.concerned

    @property
    def beyond_m(self) -> float | None:
        """By how much it is outside."""
        if self.place != "outside" or self.metres is None:
            return None
        return round(self.metres - (self.buffer_m or 0), 2)


@dataclass(frozen=True)
class Explanation:
    """What there is to say of one workplace and one case."""

    case_key: str
    stage: str
    workplace_id: str
    answer: Answer
    said: str
    """The answer as a sentence."""
    reasons: tuple[Reason, ...] = ()
    rules: tuple[Rule, ...] = ()
    round: Round | None = None
    invitation: Invitation | None = None
    company: Company | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def invited(self) -> bool:
        """Whether there is an invitation that stands."""
        return self.answer == "invited"


def explain(
    case: Case,
    workplace_id: str,
    company: Company | None,
    model: DialogueModel,
    *,
    round_: Round | None,
    invitation: Invitation | None,
    applicant: str | None = None,
    listed: Mapping[str, Decision] = NOTHING,
    subscribers: Subscribers = NOBODY,
) -> Explanation:
    """Why a workplace is invited to `round_`, or why not. `invitation` is that of its recipient, as it was last
    published, or None.
    """
    if company is None:
        said = f"{workplace_id} is not in the register; nobody knows where it is or what it does"
        return Explanation(case.key, case.stage, workplace_id, "not_in_register", said, round=round_)
    only_those_who_answered = Subscribers(followers=subscribers.followers)
    alone = audience(case, snapshot([company]), model, applicant, only_those_who_answered, listed=listed)
    now = tuple(r for m in alone.members for w in m.workplaces if w.workplace_id == workplace_id for r in w.reasons)
    rules = rules_for(case, company, model)
    left_out = next((answer for name, answer in LEFT_OUT.items() if name in alone.excluded), None)
    published = _published(invitation, workplace_id, now)
    answer, said = _answer(case, company, round_, invitation, published, now, left_out, rules, listed)
    notes = _notes(answer, published, now, left_out, round_, model)
    return Explanation(
        case.key, case.stage, workplace_id, answer, said, published or now, rules, round_, invitation, company, notes
    )


def rules_for(case: Case, company: Company, model: DialogueModel) -> tuple[Rule, ...]:
    """How a workplace stands to each ring of a case's stage, innermost first; those of the digest last."""
    parts = geometry.parts_of(case.geometries)
    rings = [(ring, False) for ring in reaches(case, model)] + [(ring, True) for ring in digests(case, model)]
    return tuple(_rule(case, company, parts, ring, digest=digest) for ring, digest in rings)


def _rule(case: Case, company: Company, parts: Sequence[Part], ring: Reach, *, digest: bool) -> Rule:
    place, metres, role = _place(case, company, parts, ring)
    headings = None if ring.codes is None else tuple(sorted({code for one in ring.codes for code in one.codes}))
    matches = industry.matches(company.sni, ring.codes) if ring.codes is not None else ()
    return Rule(ring.id, ring.geometry, ring.buffer_m, digest, headings, place, metres, role, matches)


def _place(case: Case, company: Company, parts: Sequence[Part], ring: Reach) -> tuple[Place, float | None, str | None]:
    if ring.geometry == "any":
        return "everywhere", None, None
    if ring.geometry == "municipality":
        return ("inside" if company.municipality == case.municipality else "elsewhere"), None, None
    if company.lon is None or company.lat is None:
        return "no_place", None, None
    measured = [part for part in parts if part.role in ROLES[ring.geometry]]
    if not measured:
        return "no_such_geometry", None, None
    metres, role = distance(measured, company.lon, company.lat)
    return ("inside" if metres <= geometry.reach(ring.buffer_m or 0) else "outside"), round(metres, 2), role


def distance(parts: Iterable[Part], lon: float, lat: float) -> tuple[float, str]:
    """Metres from a place to the nearest of these parts, and that part's role."""
    east, north = geometry.to_grid(np.array([lon]), np.array([lat]))
    point = [shapely.Point(float(east[0]), float(north[0]))]
    return min((float(geometry.distances(part, point)[0]), part.role) for part in parts)


def _published(invitation: Invitation | None, workplace_id: str, now: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The reasons of an invitation that stands. One that names five hundred workplaces counts the others."""
    if invitation is None or invitation.state is InvitationState.REVOKED:
        return ()
    named = next((place.reasons for place in invitation.workplaces if place.workplace_id == workplace_id), None)
    if named is not None:
        return tuple(named)
    return now if invitation.more_workplaces else ()


def _answer(
    case: Case,
    company: Company,
    round_: Round | None,
    invitation: Invitation | None,
    published: tuple[Reason, ...],
    now: tuple[Reason, ...],
    left_out: Answer | None,
    rules: tuple[Rule, ...],
    listed: Mapping[str, Decision],
) -> tuple[Answer, str]:
    if published:
        only = all(reason.delivery == "digest" for reason in published)
        how = ", which come in the weekly digest and never by themselves" if only else ""
        return "invited", f"invited, for {len(published)} reason(s){how}"
    if round_ is None:
        return "no_round", f"version {case.version} of {case.key} has led to no round yet"
    if round_.state is RoundState.SILENT:
        return "silent", f"nobody is invited: the stage {case.stage} is silent ({round_.reason})"
    if left_out is not None:
        return left_out, _left_out(left_out, company, listed)
    if not now:
        return _missed(company, rules)
    if round_.state in (RoundState.HELD, RoundState.MATCHING):
        return "held", f"would be invited, but the round waits ({round_.reason}): {round_.detail}".rstrip(": ")
    if invitation is not None and invitation.state is InvitationState.REVOKED:
        return "revoked", f"was invited, and the invitation was taken back (round {round_.state.value})"
    if round_.state is not RoundState.OPEN:
        return "round_ended", f"the round is {round_.state.value} ({round_.reason or 'no reason given'})"
    if round_.counts.excluded.get("late"):
        return "late", "appeared while the round was open, when too little of the answering time was left"
    return "not_yet", "would be invited now; the round was derived when the register, or the case, was another"


def _left_out(answer: Answer, company: Company, listed: Mapping[str, Decision]) -> str:
    word = listed.get(company.workplace_id)
    if answer == "removed" and word is not None and word.kind == REMOVE:
        return f"removed by {word.by} on {word.at:%-d %b %Y}: {word.reason}"
    if answer == "applicant":
        return "it is the applicant's own, who knows of the case"
    return f"the register says that the workplace is {answer}"


def _missed(company: Company, rules: tuple[Rule, ...]) -> tuple[Answer, str]:
    """The rule that was missed by least."""
    direct = [rule for rule in rules if not rule.digest]
    if not direct:
        return "no_ring", "the stage has no ring that workplaces are found by"
    if far := min((r for r in direct if r.concerned and r.beyond_m is not None), key=_beyond, default=None):
        return "outside", _outside(far) + _also(company, direct)
    if other := next((rule for rule in direct if rule.near), None):
        return "industry", f"{_codes(company)} in no group of this stage: ring {other.ring} asks for {_asked(other)}"
    if far := min((rule for rule in direct if rule.beyond_m is not None), key=_beyond, default=None):
        return "outside", f"{_outside(far)}, and {_codes(company)} in no group of this stage"
    if any(rule.place == "no_place" for rule in direct):
        return "no_place", "the register does not say where the workplace is, so no distance can be measured"
    if any(rule.place == "elsewhere" for rule in direct):
        return "elsewhere", f"lies in municipality {company.municipality}, and the rings are of another"
    return "no_ring", "the case has no geometry that the stage's rings are measured from"


def _also(company: Company, direct: Iterable[Rule]) -> str:
    """The wider ring that reaches the workplace and asks for other industries, where there is one."""
    wider = next((rule for rule in direct if rule.buffer_m is not None and rule.near and not rule.concerned), None)
    if wider is None:
        return ""
    return f"; inside the {metres(wider.buffer_m)} ring {wider.ring}, but {_codes(company)} in none of its groups"


def _beyond(rule: Rule) -> float:
    return rule.beyond_m or 0.0


def _outside(rule: Rule) -> str:
    return f"outside the {metres(rule.buffer_m)} ring {rule.ring} by {metres(rule.beyond_m)}"


def _codes(company: Company) -> str:
    codes = [f"{industries.written(item.code)} (SNI {item.version}{_translated(item)})" for item in company.sni]
    if not codes:
        return "the register has no industry code for it, so it is"
    return f"code {codes[0]} is" if len(codes) == 1 else f"codes {', '.join(codes)} are"


def _translated(own: IndustryCode) -> str:
    """What a code of the old version may be in the new one, which rings ask for."""
    if own.version != "2007":
        return ""
    became = industries.translate(own.code, own.version)
    shown = ", ".join(industries.written(code) for code in became.codes[:4])
    more = len(became.codes) - 4
    return f"; in SNI {became.version} {shown}" + (f" and {more} more" if more > 0 else "")


def _asked(rule: Rule) -> str:
    headings = rule.headings or ()
    shown = ", ".join(industries.written(code) for code in headings[:8])
    return shown + (f" and {len(headings) - 8} more" if len(headings) > 8 else "") or "no code that the case names"


def metres(value: float | None) -> str:
    """A distance as it is said: whole metres, and finer below ten, so that nobody is out by 0 m."""
    number = value or 0.0
    return f"{number:,.0f} m" if number >= 10 or number == int(number) else f"{number:.2f} m"


def _notes(
    answer: Answer,
    published: tuple[Reason, ...],
    now: tuple[Reason, ...],
    left_out: Answer | None,
    round_: Round | None,
    model: DialogueModel,
) -> tuple[str, ...]:
    notes = []
    if answer == "invited" and published and not now:
        why = f"as {left_out}" if left_out else "by no ring"
        notes.append(f"the register or the case has changed since: now it would be left out {why}")
    if round_ is not None and round_.model_hash and round_.model_hash != model.content_hash:
        notes.append(
            f"the round was derived with model {round_.model_version} ({round_.model_hash}), not the one asked"
        )
    return tuple(notes)
