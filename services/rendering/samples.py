"""Made-up messages of every kind: what templates are tried with, what is previewed, what golden files hold.

The case is the schemas' example, with more to say; nothing in it is anybody's.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from schemas.company import EXAMPLE as COMPANY
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import InvitedWorkplace
from schemas.notice import CONFIRM, MAGIC_LINK, RECEIPT, STOPPED
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.rendering import asking
from services.rendering.digest import DigestLetter, Item
from services.rendering.letter import Brand, Letter, Links
from services.rendering.notices import NoticeLetter
from services.rendering.why import Workplace
from services.rendering.wording import STANDARD, Wording

AT: Final = datetime.fromisoformat("2025-11-10T09:00:00+01:00")
BRAND: Final = Brand("Danderyds kommun", "Danderyds kommun, Näringsliv", "dataskydd@kommun.example")
_NUMBER: Final = "7Kq2mX9vTfA4bWzR7Kq2mX"
PORTAL: Final = "https://dialog.kommun.example"
_MEETING: Final = {
    "place": "Biblioteket, Mörby centrum",
    "start": "2025-11-28T08:00:00+01:00",
    "end": "2025-11-28T09:30:00+01:00",
}
_TEXTS: Final[dict[str, Any]] = {
    **ROUND["texts"],  # type: ignore[dict-item]
    "summary": "Gatan byggs om under våren. Trafiken leds om medan arbetet pågår.",
    "summary_en": "The street is rebuilt in spring. Traffic is diverted while the work goes on.",
    "open_questions": ["När arbetet görs", "Var lastplatserna ligger"],
    "already_decided": ["Att ledningarna byts"],
    "stage": "Projektering",
    "stage_en": "Design",
    "unit": "Tekniska kontoret",
}
_OUTCOME: Final = {
    "said": "Leveranser före kl. 7 är viktigast. Flera vill behålla lastplatsen vid torget.",
    "said_en": "Deliveries before 7 matter most. Several want to keep the loading bay by the square.",
    "taken": "Lastplatsen vid torget är kvar under hela arbetet.",
    "taken_en": "The loading bay by the square stays throughout.",
    "not_taken": "Arbetet görs på dagen och inte på natten, för bullrets skull.",
    "not_taken_en": "The work is done by day and not by night, because of the noise.",
}
_CORRECTION: Final = {
    "correction": "Vi skrev att arbetet börjar i mars. Det rätta är maj.",
    "correction_en": "We wrote that the work begins in March. The right month is May.",
}
ROUNDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "first": {},
    "affected": {"texts": {**_TEXTS, "question": ""}},
    "meeting": {"texts": {**_TEXTS, "meeting": _MEETING}},
    "information": {"purpose": "inform", "plan": {**ROUND["plan"], "asks": False}},  # type: ignore[dict-item]
    "feedback": {"purpose": "feedback", "texts": {**_TEXTS, "outcome": _OUTCOME}},
    "moved": {"purpose": "change", "change": "moved", "texts": {**_TEXTS, "meeting": _MEETING}},
    "cancelled": {"purpose": "change", "change": "cancelled", "texts": {**_TEXTS, "meeting": _MEETING}},
    "withdrawn": {"purpose": "change", "change": "withdrawn"},
    "undone": {"purpose": "change", "change": "undone"},
    "not_affected": {"purpose": "change", "change": "not_affected"},
    "corrected": {"purpose": "change", "change": "corrected", "texts": {**_TEXTS, **_CORRECTION}},
}
"""Kinds of first messages, and what of the example round each changes."""
NOTICES: Final[Mapping[str, Mapping[str, str]]] = {
    CONFIRM: {"area": "800 m runt Mörby centrum", "industries": "Restauranger"},
    MAGIC_LINK: {},
    RECEIPT: {"reference": "7F3-K2Q", "title": "Stockholmsvägen byggs om", "answer": "ja", "answers": "2"},
    STOPPED: {"scope": "all", "title": ""},
}
"""Kinds of notices and their parameters."""


def round_of(kind: str, form: str = "") -> Round:
    """The round that a sample message is about, led by a form of dialogue."""
    made = Round.model_validate({**ROUND, "texts": _TEXTS, **ROUNDS.get(kind, {})})
    if not form or made.plan is None:
        return made
    return made.model_copy(update={"plan": made.plan.model_copy(update={"primary": form})})


def links_at(portal: str) -> Links:
    """Where a sample message leads."""
    return Links(
        f"{portal}/i/{_NUMBER}",
        f"{portal}/avsluta/{_NUMBER}",
        f"{portal}/mina",
        f"{portal}/personuppgifter",
        f"{portal}/arenden",
    )


def letter_about(
    round_: Round, kind: str, wording: Wording = STANDARD, *, introduce: bool = True, portal: str = PORTAL
) -> Letter:
    """A first message about a round, or a reminder of it."""
    reminds = kind == "reminder"
    at = datetime.combine(round_.respond_by - timedelta(days=1), AT.timetz()) if reminds and round_.respond_by else AT
    return Letter(
        brand=BRAND,
        recipients=(_NAME,),
        round=round_,
        workplaces=_WORKPLACES,
        facts=_FACTS,
        links=links_at(portal),
        at=at,
        kind="reminder" if reminds else "first",
        told_at=AT,
        introduce=introduce and not reminds,
        wording=wording,
    )


def digest_about(
    rounds: tuple[Round, ...], wording: Wording = STANDARD, *, more: int = 0, portal: str = PORTAL
) -> DigestLetter:
    """A digest of these rounds, to the same reader."""
    links = links_at(portal)
    items = tuple(Item(round_, _WORKPLACES, asking.chosen(links.answer_url, round_)) for round_ in rounds)
    return DigestLetter(
        brand=BRAND, recipients=(_NAME,), items=items, facts=_FACTS, links=links, at=AT, more=more, wording=wording
    )


def rounds_of_digest() -> tuple[Round, ...]:
    """Three rounds of different kinds and last days."""
    days = {"meeting": date(2025, 11, 21), "affected": date(2025, 12, 12), "information": None}
    titles = {"meeting": "Ny detaljplan för Mörby centrum", "affected": "Ny taxa för uteserveringar", "information": ""}
    made = []
    for number, (kind, day) in enumerate(days.items()):
        one = round_of(kind)
        title = titles[kind] or one.texts.title
        texts = one.texts.model_copy(update={"title": title, "title_en": "" if titles[kind] else one.texts.title_en})
        made.append(one.model_copy(update={"round_id": f"{number}" * 32, "respond_by": day, "texts": texts}))
    return tuple(made)


def notice_about(kind: str, wording: Wording = STANDARD, *, portal: str = PORTAL) -> NoticeLetter:
    """A notice of a kind."""
    return NoticeLetter(
        brand=BRAND,
        kind=kind,
        parameters=NOTICES[kind],
        url=f"{portal}/{'i' if kind == RECEIPT else 'bekrafta'}/{_NUMBER}",
        expires_at=AT + timedelta(days=2),
        round=round_of("first") if kind == RECEIPT else None,
        wording=wording,
    )


_NAME: Final = str(COMPANY["name"])
_WORKPLACES: Final = tuple(InvitedWorkplace.model_validate(item) for item in INVITATION["workplaces"])  # type: ignore[attr-defined]
_FACTS: Final = {
    str(COMPANY["workplace_id"]): Workplace(str(COMPANY["workplace_id"]), _NAME, str(COMPANY["street"]), ("10710",))
}
