"""Who is affected by a case, and why: every reason of every ring, per recipient.

A workplace matches a ring when the ring's geometry fits *and* its industries fit. The innermost ring comes first and
all reasons are kept (dialogue rule 5). Rings with delivery `digest` never send on their own: their reasons say so,
and whom no other reason names hears in the weekly digest. Subscribers are recipients of their own; where their address
is also a company's, the notifier makes one message of both. Who answered before is told where the stage asks for
participants. What an official added or removed meets what the rings say, and neither overwrites the other: each is a
reason, or a counted exclusion. The order of everything is fixed, so that the same input gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from schemas import identity
from schemas.case import Case, ReachRing
from schemas.dialogue import ADD, REMOVE, Decision
from schemas.invitation import InvitedWorkplace, Reason
from schemas.model import ORGANISATIONS, DialogueModel, Ring
from schemas.types import MAX_WORKPLACES
from services.matcher import geometry, industry, participants, subscriptions
from services.matcher.geometry import Part
from services.matcher.subscriptions import NOBODY, Subscribers
from services.matcher.workplaces import Snapshot

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "case": frozenset({"site", "road", "zone"}),
    "site": frozenset({"site"}),
    "road": frozenset({"road"}),
    "zone": frozenset({"zone"}),
    "detour": frozenset({"detour"}),
}
"""Which roles of geometry a ring is measured from."""
NOTHING: Final[Mapping[str, Decision]] = {}
MAX_REASONS: Final = 50


@dataclass(frozen=True)
class Reach:
    """One ring as it is asked: of the model, or of the case where the case replaces them."""

    id: str
    geometry: str
    buffer_m: float | None
    codes: tuple[industry.CodeSet, ...] | None
    why: str = ""
    digest: bool = False
    """Whether those whom it alone reaches hear in the weekly digest only."""

    @property
    def delivery(self) -> Literal["digest"] | None:
        """As a reason carries it."""
        return "digest" if self.digest else None


@dataclass(frozen=True)
class Member:
    """One recipient with its affected workplaces, nearest first; `more` counts those beyond the limit."""

    recipient_id: str
    organisation: str | None
    workplaces: tuple[InvitedWorkplace, ...]
    more: int = 0


@dataclass(frozen=True)
class Audience:
    """Everybody affected. `excluded` counts workplaces that a ring reached and a rule left out, by reason."""

    members: tuple[Member, ...]
    excluded: Mapping[str, int]
    by_distance: int
    """How many active workplaces the rings with a distance reached."""
    parts: tuple[Part, ...] = ()
    """The case's geometries in the grid, as they were measured."""

    @property
    def workplaces(self) -> int:
        """How many workplaces are invited."""
        return sum(len(member.workplaces) + member.more for member in self.members)

    @cached_property
    def set_hash(self) -> str:
        """What a release names, and the round carries: the sorted recipients with their workplaces."""
        return identity.set_hash((m.recipient_id, [place.workplace_id for place in m.workplaces]) for m in self.members)


def audience(
    case: Case,
    register: Snapshot,
    model: DialogueModel,
    applicant: str | None = None,
    subscribers: Subscribers = NOBODY,
    *,
    listed: Mapping[str, Decision] = NOTHING,
    standing: frozenset[str] | None = None,
) -> Audience:
    """Who is affected. `applicant` is the applicant's recipient id: never invited (KL 2:3, they know). `listed` is the
    last word of an official on single workplaces. With `standing` only these recipients stay and nobody comes new:
    too little of the answering time is left; whom an official added comes all the same.
    """
    rings = (*reaches(case, model), *digests(case, model))
    parts = geometry.parts_of(case.geometries)
    found = _reasons(case, register, rings, parts)
    answered = participants.answered(case, model, register, subscribers)
    for row, reason in (*answered.rows, *_added(listed, register)):
        _add(found, row, [reason])
    excluded: Counter[str] = Counter()
    kept: dict[int, tuple[float | None, list[Reason]]] = {}
    for row, result in found.items():
        why_not = _excluded(row, register, applicant, listed)
        if why_not:
            excluded[why_not] += 1
        else:
            kept[row] = result
    unknown = sum(1 for name in {*case.named, *listed} if register.row(name) is None)
    excluded["unknown_workplace"] = unknown + answered.unknown
    codes = subscriptions.concerned(_concerned(case, model))
    asked = subscriptions.asked(case, model, subscribers, codes, parts)
    followers = subscriptions.invited(asked, answered.subscribers)
    members = [*_members(kept, register), *(Member(recipient, None, places) for recipient, places in followers.items())]
    late = [m for m in members if standing is not None and m.recipient_id not in standing and not _is_added(m)]
    if late:
        excluded["late"] = sum(len(member.workplaces) + member.more for member in late)
        left_out = {member.recipient_id for member in late}
        members = [member for member in members if member.recipient_id not in left_out]
    return Audience(
        tuple(sorted(members, key=lambda member: member.recipient_id)),
        {reason: count for reason, count in sorted(excluded.items()) if count},
        sum(1 for _, reasons in kept.values() if any(reason.kind == "distance" for reason in reasons)),
        parts,
    )


def reaches(case: Case, model: DialogueModel) -> tuple[Reach, ...]:
    """The rings that send for themselves, innermost first."""
    if case.reach is not None:
        rings = [_of_case(i, ring, case) for i, ring in enumerate(case.reach, 1)]
    else:
        rings = [_of_model(ring, case, model) for ring in model_rings(case, model) if ring.delivery == "direct"]
    return _innermost_first(case, rings)


def digests(case: Case, model: DialogueModel) -> tuple[Reach, ...]:
    """The rings that are only told of in the weekly digest."""
    if case.reach is not None:
        return ()
    rings = [_of_model(ring, case, model) for ring in model_rings(case, model) if ring.delivery == "digest"]
    return _innermost_first(case, rings)


def _innermost_first(case: Case, rings: list[Reach]) -> tuple[Reach, ...]:
    if case.area == "municipality":
        rings = [_everywhere(ring) for ring in rings]
    rank = {**dict.fromkeys(ROLES, 0), "municipality": 1, "any": 2}
    return tuple(
        sorted(
            (ring for ring in rings if ring.geometry in rank),
            key=lambda ring: (rank[ring.geometry], ring.buffer_m or 0),
        )
    )


def model_rings(case: Case, model: DialogueModel) -> tuple[Ring, ...]:
    """The rings of a case's stage, and in every municipality-wide round the organisations of business: they answer for
    those whom the digest does not reach (dialogue rule 10).
    """
    stage = model.stage(case.case_type, case.stage)
    rings = tuple(stage.rings) if stage else ()
    wide = [ring for ring in rings if ring.geometry == "municipality"]
    everybody = case.area == "municipality" or any(ring.industries == "all" for ring in wide)
    there = any(
        ring.delivery == "direct" and (ring.industries == "all" or ORGANISATIONS in ring.industries) for ring in wide
    )
    if not everybody or there or ORGANISATIONS not in model.industry_groups:
        return rings
    return (*rings, Ring(id="organisations", geometry="municipality", industries=[ORGANISATIONS]))


def _concerned(case: Case, model: DialogueModel) -> Iterator[tuple[industry.CodeSet, ...] | None]:
    """The industries of every ring, also of those that the digest carries or that ask subscribers as such."""
    if case.reach is not None:
        yield from (_of_case(i, ring, case).codes for i, ring in enumerate(case.reach, 1))
    elif stage := model.stage(case.case_type, case.stage):
        yield from (industry.of_ring(ring, case, model) for ring in stage.rings if ring.geometry != "participants")


def _of_case(number: int, ring: ReachRing, case: Case) -> Reach:
    """A ring of the case: without a role it is measured from all but detours, and from those where there is no more."""
    every = "case" if any(place.role in ROLES["case"] for place in case.geometries) or not case.geometries else "detour"
    codes = None if ring.industries == "all" else industry.of_codes(ring.industries)
    return Reach(f"reach-{number}", ring.role or every, ring.buffer_m, codes, ring.why)


def _of_model(ring: Ring, case: Case, model: DialogueModel) -> Reach:
    codes, digest = industry.of_ring(ring, case, model), ring.delivery == "digest"
    return Reach(ring.id, ring.geometry, ring.buffer_m, codes, ring.why[:200], digest)


def _everywhere(ring: Reach) -> Reach:
    """A case that says that it concerns the whole municipality is near everything in it."""
    return (
        Reach(ring.id, "municipality", None, ring.codes, ring.why, ring.digest)
        if ring.geometry in ROLES and ring.geometry != "detour"
        else ring
    )


def _reasons(
    case: Case, register: Snapshot, rings: tuple[Reach, ...], parts: tuple[Part, ...]
) -> dict[int, tuple[float | None, list[Reason]]]:
    """Per row of the register the least distance, where one was measured, and all reasons."""
    found: dict[int, tuple[float | None, list[Reason]]] = {}
    for ring in rings:
        reached = list(_in_ring(case, register, parts, ring))
        known: dict[industry.Match, Reason] = {}  # few codes, many workplaces
        for (row, base), own in zip(reached, register.matches([row for row, _ in reached], ring.codes), strict=True):
            for match in own:
                if match not in known:
                    known[match] = _industry(ring, match)
            if reasons := [*base, *(known[match] for match in own)]:
                _add(found, row, reasons)
    for name in dict.fromkeys(case.named):
        if (named := register.row(name)) is not None:
            _add(found, named, [Reason(kind="named")])
    return found


def _in_ring(
    case: Case, register: Snapshot, parts: tuple[Part, ...], ring: Reach
) -> Iterator[tuple[int, list[Reason]]]:
    """Everybody with a wanted industry whom the ring's geometry reaches, and the reason that this is."""
    if ring.geometry == "municipality":
        local = [Reason(kind="municipality", ring=ring.id, why=ring.why, delivery=ring.delivery)]
        yield from ((row, local) for row in register.in_municipality(case.municipality, ring.codes).tolist())
    elif ring.geometry == "any":
        reason = Reason(kind="municipality", ring=ring.id, why=ring.why, delivery=ring.delivery)
        everybody = [reason] if ring.codes is None else []
        yield from ((row, everybody) for row in register.everywhere(ring.codes).tolist())
    else:
        for row, (metres, role) in near(register, parts, ring).items():
            yield (
                row,
                [
                    Reason(
                        kind="distance",
                        role=role,
                        ring=ring.id,
                        distance_m=metres,
                        buffer_m=ring.buffer_m,
                        why=ring.why,
                        delivery=ring.delivery,
                    )
                ],
            )


def near(register: Snapshot, parts: tuple[Part, ...], ring: Reach) -> dict[int, tuple[float, str]]:
    """Per row the distance to the nearest part that the ring is measured from, and that part's role."""
    nearest: dict[int, tuple[float, str]] = {}
    for part in parts:
        if part.role not in ROLES[ring.geometry]:
            continue
        found, metres = register.near(part, ring.buffer_m or 0, ring.codes)
        for row, distance in zip(found.tolist(), np.round(metres, 2).tolist(), strict=True):
            if row not in nearest or distance < nearest[row][0]:
                nearest[row] = (distance, part.role)
    return dict(sorted(nearest.items()))


def _industry(ring: Reach, match: industry.Match) -> Reason:
    return Reason(
        kind="industry",
        ring=ring.id,
        code=match.code,
        heading=match.heading,
        version=match.version,
        translated=match.translated,
        delivery=ring.delivery,
    )


def _add(found: dict[int, tuple[float | None, list[Reason]]], row: int, reasons: list[Reason]) -> None:
    before, kept = found.get(row, (None, []))
    measured = [reason.distance_m for reason in reasons if reason.distance_m is not None]
    least = min([*measured, *([before] if before is not None else [])], default=None)
    found[row] = (least, [*kept, *reasons][:MAX_REASONS])


def _added(listed: Mapping[str, Decision], register: Snapshot) -> Iterator[tuple[int, Reason]]:
    for name, word in sorted(listed.items()):
        if word.kind == ADD and (row := register.row(name)) is not None:
            yield row, Reason(kind="added", why=word.reason, by=word.by)


def _is_added(member: Member) -> bool:
    return any(reason.kind == "added" for place in member.workplaces for reason in place.reasons)


def _excluded(row: int, register: Snapshot, applicant: str | None, listed: Mapping[str, Decision]) -> str | None:
    if applicant is not None and register.recipient_id(row) == applicant:
        return "applicant"
    if (status := register.status_of(row)) != "active":
        return status
    word = listed.get(register.workplace_id(row)) if listed else None
    return "removed" if word is not None and word.kind == REMOVE else None


def _members(kept: Mapping[int, tuple[float | None, list[Reason]]], register: Snapshot) -> tuple[Member, ...]:
    groups: dict[str, list[int]] = {}
    for row in kept:
        groups.setdefault(register.recipient_id(row), []).append(row)

    def nearest_first(row: int) -> tuple[bool, float, str]:
        metres = kept[row][0]
        return metres is None, metres or 0.0, register.workplace_id(row)

    members = []
    for recipient, rows in sorted(groups.items()):
        rows.sort(key=nearest_first)
        named = tuple(
            InvitedWorkplace(workplace_id=register.workplace_id(row), distance_m=kept[row][0], reasons=kept[row][1])
            for row in rows[:MAX_WORKPLACES]
        )
        organisation = register.organisation_of(rows[0])
        members.append(Member(recipient, organisation, named, len(rows) - len(named)))
    return tuple(members)
