"""`nardialog case preview`: whom a case would invite, and why, before it is sent in.

It stands above the services: the portal's door judges the file, and the matcher derives what it would lead to from what
stands on the topics now. Nothing is written, and no address is looked up: who can be reached is the notifier's to know.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from services.case_import import case
from services.portal.commands import File, Flag, Json, complain, judged
from services.runtime.terminal import OK, PARTLY, say, show, usage

if TYPE_CHECKING:  # help must not wait for the services
    from schemas.case import Case
    from schemas.company import Company
    from schemas.invitation import InvitedWorkplace
    from schemas.round import Round
    from services.matcher.rounds import Derivation
    from services.matcher.settings import MatcherSettings

__all__ = ["case"]

COLUMNS: Final = ("case", "workplace", "name", "street", "reasons")


@dataclass(frozen=True)
class Previewed:
    """What one case would lead to. A round that waits for somebody is shown with whom it would go to."""

    case: "Case"
    round: "Round"
    places: "tuple[InvitedWorkplace, ...]"
    more: int
    """Workplaces that an invitation of more than five hundred only counts."""

    @classmethod
    def of(cls, of: "Case", derived: "Derivation", without_guards: "Derivation") -> "Previewed":
        """`derived` says the round's state; the set is that of a round that no guard holds."""
        invitations = without_guards.invitations
        places = {place.workplace_id: place for item in invitations for place in item.workplaces}
        counted = without_guards.round.model_copy(
            update={"state": derived.round.state, "reason": derived.round.reason, "detail": derived.round.detail}
        )
        return cls(
            of, counted, tuple(places[key] for key in sorted(places)), sum(item.more_workplaces for item in invitations)
        )


@case.command
def preview(
    file: File,
    /,
    *,
    reasons: Flag = False,
    csv: Flag = False,
    map_: Path | None = None,
    json_: Json = False,
) -> int:
    """Show whom cases would invite, and why, by the register and the decisions that are known now. Nothing is sent.

    Workplaces on stdout, counts and what holds a round on stderr. Exit 6 if some cases were refused.

    Parameters
    ----------
    file
        A case file: JSON Lines, an array, or one JSON object; - for standard input.
    reasons
        Each reason in words, instead of its kind alone.
    csv
        Workplaces as CSV with a header.
    map_
        Write the cases' geometries and the workplaces here, as GeoJSON.
    json_
        One JSON object a case: state, counts, set_hash, workplaces with reasons.
    """
    from services.matcher.settings import MatcherSettings
    from services.runtime import logs
    from services.runtime.settings import load

    if map_ is not None and map_.suffix not in (".geojson", ".json"):
        return usage(f"--map {map_}: a map is written as .geojson")
    settings = load(MatcherSettings)
    logs.configure(settings.log, "case")
    read = judged([file], settings.model.load(), anywhere=settings.matcher.allow_outside_sweden)
    for piece, verdict in read:
        complain(piece, verdict)
    cases = [verdict.case for _, verdict in read if verdict.case is not None]
    found, companies = asyncio.run(previewed(cases, settings))
    if json_:
        for one in found:
            print(json.dumps(_as_json(one), ensure_ascii=False))
    else:
        _show(found, companies, words=reasons, as_csv=csv)
    for one in found:
        say(_summary(one))
    if map_ is not None:
        map_.write_text(json.dumps(_map(found, companies), ensure_ascii=False), "utf-8")
    return PARTLY if len(cases) < len(read) else OK


async def previewed(cases: "list[Case]", settings: "MatcherSettings") -> "tuple[list[Previewed], dict[str, Company]]":
    """What each case would lead to, and the workplaces of the register. Raises `Transient`."""
    from services.matcher.dialogue.working_days import local_day
    from services.matcher.files import derived_of
    from services.matcher.published import Published
    from services.matcher.workplaces import snapshot
    from services.runtime.clock import SystemClock

    model, today = settings.model.load(), local_day(SystemClock().now())
    known = Published(settings.kafka, model, anywhere=settings.matcher.allow_outside_sweden)
    await known.read()
    register, follow = snapshot(known.companies.rows.values()), known.subscriptions.snapshot()
    found = []
    for one in cases:
        derived, free = (
            derived_of(
                one, register, model, today, key=settings.installation.key_or_demo(), limits=limits,
                subscribers=follow, dialogue=known.dialogues.get(one.key),
            )
            for limits in (settings.matcher.limits(), None)
        )  # fmt: skip
        found.append(Previewed.of(one, derived, free))
    return found, known.companies.rows


def _show(found: list[Previewed], companies: "dict[str, Company]", *, words: bool, as_csv: bool) -> None:
    rows = [
        (one.case.key, place.workplace_id, *_named(companies, place.workplace_id), _why(place, words=words))
        for one in found
        for place in one.places
    ]
    if not as_csv:
        show(COLUMNS, rows)
        return
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


def _named(companies: "dict[str, Company]", workplace: str) -> tuple[str, str]:
    company = companies.get(workplace)
    return (company.name, company.street) if company else ("", "")


def _why(place: "InvitedWorkplace", *, words: bool) -> str:
    from services.matcher.explain_command import in_words

    if words:
        return "; ".join(in_words(reason) for reason in place.reasons)
    return ", ".join(dict.fromkeys(reason.kind for reason in place.reasons))


def _summary(one: Previewed) -> str:
    counts = one.round.counts
    kinds = Counter(reason.kind for place in one.places for reason in place.reasons)
    by = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    left = ", ".join(f"{count} {why}" for why, count in sorted(counts.excluded.items()))
    held = f"; {one.round.state.value}: {one.round.reason or 'no reason given'} {one.round.detail}".rstrip()
    return (
        f"{one.case.key}, stage {one.case.stage}: {counts.invitations} recipient(s), {counts.workplaces} workplace(s)"
        + (f" (reasons: {by})" if by else "")
        + (f", {one.more} of them not listed" if one.more else "")
        + (f"; left out: {left}" if left else "")
        + (held if one.round.state.value != "open" else "")
    )


def _as_json(one: Previewed) -> dict[str, Any]:
    round_ = one.round
    return {
        "case": one.case.key,
        "version": one.case.version,
        "stage": one.case.stage,
        "state": round_.state.value,
        "reason": round_.reason,
        "detail": round_.detail,
        "recipients": round_.counts.invitations,
        "workplaces": round_.counts.workplaces,
        "excluded": round_.counts.excluded,
        "set_hash": round_.set_hash,
        "listed": [place.model_dump(mode="json", exclude_none=True) for place in one.places],
    }


def _map(found: list[Previewed], companies: "dict[str, Company]") -> dict[str, Any]:
    """RFC 7946: the geometries with their roles, and a point for each workplace that has a place."""
    features = []
    for one in found:
        for item in one.case.geometries:
            geometry = item.geometry.model_dump(mode="json", exclude_none=True)
            features.append(_feature(geometry, {"case": one.case.key, "role": item.role}))
        for place in one.places:
            company = companies.get(place.workplace_id)
            if company is not None and company.lon is not None and company.lat is not None:
                point = {"type": "Point", "coordinates": [company.lon, company.lat]}
                about = {"case": one.case.key, "workplace": place.workplace_id, "name": company.name}
                features.append(_feature(point, {**about, "reasons": _why(place, words=True)}))
    return {"type": "FeatureCollection", "features": features}


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
