"""The why-block: why a business is invited, the same words in mail, page and preview.

The words are made of the invitation's reasons as values, never of free text, so that no case or model can put words
in the municipality's mouth. `Reason.why` is for officials and is not shown. One sentence per workplace, nearest
first; a long list says how many it leaves out (FC-050), and equal sentences are said once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas import industries
from schemas.invitation import InvitedWorkplace, Reason
from schemas.round import Round, Texts
from services.rendering import dates
from services.rendering.dates import Lang

MOST: Final = 9
"""Workplaces, and industries, that are named; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the register says of a workplace, to show."""

    workplace_id: str
    name: str = ""
    street: str = ""
    sni: tuple[str, ...] = ()


def why_block(
    round_: Round, workplaces: Sequence[InvitedWorkplace], facts: Mapping[str, Workplace], lang: Lang, more: int = 0
) -> list[str]:
    """The reasons, and last where the facts come from and what to do if they are wrong. `more` counts workplaces beyond
    those that are named.
    """
    return [*why_lines(workplaces, facts, round_.texts, lang, more), *source_lines(round_, workplaces, facts, lang)]


def source_lines(
    round_: Round, workplaces: Sequence[InvitedWorkplace], facts: Mapping[str, Workplace], lang: Lang
) -> list[str]:
    """Where the facts come from and what to do if they are wrong."""
    return [_OWN[lang]] if is_own_wish(workplaces, facts) else [source_line(round_, lang), _WRONG[lang]]


def is_own_wish(workplaces: Sequence[InvitedWorkplace], facts: Mapping[str, Workplace]) -> bool:
    """Whether nothing but the reader's own subscription leads here, or its earlier answer to one: then the register has
    no part in it, and knows no such workplace.
    """
    return all(
        reason.kind == "subscription" or (reason.kind == "participant" and workplace.workplace_id not in facts)
        for workplace in workplaces
        for reason in workplace.reasons
    )


def why_lines(
    workplaces: Sequence[InvitedWorkplace],
    facts: Mapping[str, Workplace],
    texts: Texts,
    lang: Lang,
    more: int = 0,
) -> list[str]:
    """One sentence per reason: distances, industries, then everything else."""
    reasons = [reason for workplace in workplaces for reason in workplace.reasons]
    lines = [*_distances(workplaces, facts, lang, more), *_industries(reasons, lang)]
    areas = dict.fromkeys(reason.area for reason in reasons if reason.kind == "subscription" and reason.area)
    lines += [_AREA[lang].format(area=area) for area in list(areas)[:MOST]]
    kinds = {reason.kind for reason in reasons if not (reason.kind == "subscription" and reason.area)}
    lines += [line for kind, line in _OTHERS[lang].items() if kind in kinds]
    if "participant" in kinds:
        title = (texts.title_en if lang == "en" else "") or texts.title
        lines.append(_PARTICIPANT[lang].format(title=title))
    return lines


def source_line(round_: Round, lang: Lang) -> str:
    """Where the facts come from, and how old they are."""
    if round_.synthetic:
        return _SYNTHETIC[lang]
    fetched = round_.register_date
    return _SOURCE[lang] + (_FETCHED[lang] + dates.day_and_month(fetched, lang) if fetched else "") + "."


def _distances(
    workplaces: Iterable[InvitedWorkplace], facts: Mapping[str, Workplace], lang: Lang, more: int
) -> list[str]:
    near = sorted(
        ((places[0][0], workplace, places) for workplace in workplaces if (places := _places(workplace))),
        key=lambda item: (item[0], item[1].workplace_id),
    )
    counted: dict[str, int] = {}
    for _, workplace, places in near:
        line = _sentence(facts.get(workplace.workplace_id), places, lang)
        counted[line] = counted.get(line, 0) + 1
    shown = list(counted)[:MOST]
    left = sum(counted.values()) - sum(counted[line] for line in shown) + (more if shown else 0)
    return [*shown, _MORE[lang].format(left=left)] if left else shown


def _places(workplace: InvitedWorkplace) -> list[tuple[int, str]]:
    """The shortest distance to each role in whole metres, nearest first."""
    nearest: dict[str, float] = {}
    for reason in workplace.reasons:
        metres = reason.distance_m if reason.distance_m is not None else workplace.distance_m
        if reason.kind == "distance" and metres is not None:
            role = reason.role if reason.role and reason.role in _ROLES["sv"] else "site"
            nearest[role] = min(metres, nearest.get(role, metres))
    return sorted((int(metres + 0.5), role) for role, metres in nearest.items())


def _sentence(facts: Workplace | None, places: Sequence[tuple[int, str]], lang: Lang) -> str:
    where = list(dict.fromkeys(_place(metres, role, lang) for metres, role in places))
    return _WORKPLACE[lang].format(name=_label(facts), where=_joined(where, lang))


def _label(facts: Workplace | None) -> str:
    shown = (facts.street or facts.name) if facts else ""
    return f" {shown}" if shown else ""


def _place(metres: int, role: str, lang: Lang) -> str:
    at, from_ = _ROLES[lang][role]
    if metres == 0:
        return at
    unit = _METRE[lang][metres > 1]
    return f"{metres:,}".replace(",", "\xa0" if lang == "sv" else ",") + f" {unit} {from_}"


def _joined(parts: Sequence[str], lang: Lang) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + _AND[lang] + parts[-1]


def _industries(reasons: Iterable[Reason], lang: Lang) -> list[str]:
    said = list(dict.fromkeys(_industry(reason, lang) for reason in reasons if reason.kind == "industry"))
    return [*said[:MOST], _MORE[lang].format(left=len(said) - MOST)] if len(said) > MOST else said


def _industry(reason: Reason, lang: Lang) -> str:
    """The workplace's code as the register has it; where it was translated, also what it is in the other version."""
    code, version = reason.code or reason.heading, reason.version or "2025"
    name = f" {industries.label(code, version)}" if code else ""
    if not (reason.translated and reason.heading):
        return _INDUSTRY[lang].format(name=name)
    other = industries.other(version)
    heading = f"{industries.written(reason.heading)} {industries.name(reason.heading, other)}".rstrip()
    return _TRANSLATED[lang][reason.translated].format(name=name, heading=heading, version=other)


_ROLES: Final[dict[Lang, dict[str, tuple[str, str]]]] = {
    "sv": {
        "site": ("inom området", "från området"),
        "road": ("vid vägen", "från vägen"),
        "detour": ("vid omledningsvägen", "från omledningsvägen"),
        "zone": ("inom området", "från området"),
    },
    "en": {
        "site": ("within the area", "from the area"),
        "road": ("by the road", "from the road"),
        "detour": ("by the diversion route", "from the diversion route"),
        "zone": ("within the area", "from the area"),
    },
}
_METRE: Final[dict[Lang, tuple[str, str]]] = {"sv": ("meter", "meter"), "en": ("metre", "metres")}
_AND: Final[dict[Lang, str]] = {"sv": " och ", "en": " and "}
_WORKPLACE: Final[dict[Lang, str]] = {
    "sv": "Ert arbetsställe{name} ligger {where}.",
    "en": "Your premises{name} are {where}.",
}
_MORE: Final[dict[Lang, str]] = {"sv": "… och {left} till.", "en": "… and {left} more."}
_INDUSTRY: Final[dict[Lang, str]] = {"sv": "Er bransch{name} berörs.", "en": "Your industry{name} is affected."}
_TRANSLATED: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "full": "Er bransch{name} berörs. Koden är översatt till SNI {version}: den hör till {heading}.",
        "part": "Er bransch{name} kan beröras. Koden är översatt till SNI {version}: den hör bara delvis "
        "till {heading}.",
    },
    "en": {
        "full": "Your industry{name} is affected. The code was translated to SNI {version}: it belongs to {heading}.",
        "part": "Your industry{name} may be affected. The code was translated to SNI {version}: it belongs only in "
        "part to {heading}.",
    },
}
_OTHERS: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "municipality": "Ärendet gäller hela kommunen.",
        "subscription": "Ni har själva valt att bevaka sådana ärenden.",
        "named": "Ert arbetsställe är utpekat i ärendet.",
        "added": "Kommunens handläggare har lagt till er.",
    },
    "en": {
        "municipality": "The matter concerns the whole municipality.",
        "subscription": "You chose to follow matters like this one.",
        "named": "Your premises are named in the matter.",
        "added": "The municipality's official has added you.",
    },
}
_AREA: Final[dict[Lang, str]] = {"sv": "Ni bevakar {area}.", "en": "You follow {area}."}
_PARTICIPANT: Final[dict[Lang, str]] = {
    "sv": "Ni har deltagit tidigare i dialogen om {title}.",
    "en": "You took part earlier in the dialogue on {title}.",
}
_SOURCE: Final[dict[Lang, str]] = {
    "sv": "Uppgifterna kommer från Bolagsverket/SCB",
    "en": "The facts come from Bolagsverket/SCB",
}
_WRONG: Final[dict[Lang, str]] = {
    "sv": "Stämmer uppgifterna inte? Hör av er till oss, så rättar vi dem.",
    "en": "Are the facts wrong? Tell us, and we will correct them.",
}
_FETCHED: Final[dict[Lang, str]] = {"sv": ", hämtade ", "en": ", fetched "}
_OWN: Final[dict[Lang, str]] = {
    "sv": "Ni lämnade själva uppgifterna när ni började bevaka.",
    "en": "You gave the facts yourselves when you began to follow.",
}
_SYNTHETIC: Final[dict[Lang, str]] = {
    "sv": "Påhittade uppgifter för demonstration.",
    "en": "Made-up facts for demonstration.",
}
