"""What two models say differently, in words that a committee reads: Swedish, then English, and no ids.

`differences` says the same by the model's own ids, for tables that programs read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from schemas import industries
from schemas.model import DialogueModel, Ring
from services.matcher.backtest.differences import CODES, EXCLUDED, GROUP, NOT_THERE, RING, Difference
from services.matcher.backtest.names import Names

Language = Literal["sv", "en"]

WHAT: Final[Mapping[str, tuple[str, str]]] = {
    "influence": ("inflytande", "influence"),
    "forms": ("dialogformer", "forms of dialogue"),
    "lead": ("tid att förbereda sig", "time to prepare"),
    "answer": ("tid att svara", "time to answer"),
    "reminder": ("påminnelse", "reminder"),
    "channel": ("kanal", "channel"),
    "elected": ("förtroendevalda", "elected representatives"),
    "feedback": ("återkoppling", "feedback"),
    "law": ("lagens krav", "what the law wants"),
    CODES: ("näringsgrenar som bara den ena har", "industries that only one has"),
    EXCLUDED: ("undantag som bara den ena har", "exceptions that only one has"),
    RING: ("vilka som nås", "who is reached"),
    "max_asks_per_person_per_30_days": ("frågor till en person på 30 dagar", "questions to a person in 30 days"),
    "max_minutes_per_person_per_90_days": ("minuter av en person på 90 dagar", "minutes of a person in 90 days"),
    "max_asks_per_company_per_30_days": ("frågor till ett företag på 30 dagar", "questions to a company in 30 days"),
    "max_minutes_per_company_per_90_days": ("minuter av ett företag på 90 dagar", "minutes of a company in 90 days"),
    "max_reminders_per_stage": ("påminnelser i ett skede", "reminders in a stage"),
    "max_sms_per_person_per_case_stage": ("sms till en person i ett skede", "SMS to a person in a stage"),
    "max_sms_segments": ("delar av ett sms", "parts of an SMS"),
    "merge_window_hours": ("timmar som meddelanden samlas", "hours in which messages are put together"),
    "exempt": ("vad gränserna inte gäller", "what the limits do not hold for"),
    "over_budget": ("vad som händer över gränsen", "what happens above the limit"),
    "digest": ("veckobrevet", "the weekly digest"),
    "quiet_hours": ("tysta timmar", "quiet hours"),
    "any_hour": ("skeden som får höras dygnet runt", "stages that may be heard at any hour"),
    "holiday_rule": ("helger", "holidays"),
    "periods": ("tider när folk är borta", "times when people are away"),
    "share": ("andel av svarstiden", "share of the time to answer"),
    "extend_days": ("dagar till att svara", "more days to answer"),
    "unless_urgent": ("inte när det brådskar", "not where it is urgent"),
    "min_share_left": ("andel av svarstiden som ska vara kvar", "share of the time to answer that must be left"),
    "min_days_left": ("dagar som ska vara kvar", "days that must be left"),
    "least": ("minst", "at least"),
    "most": ("högst", "at most"),
}
WHERE: Final[Mapping[str, tuple[str, str]]] = {
    "burden_policy": ("Gränser för hur mycket ett företag får frågas", "Limits of what one company is asked"),
    "seasons": ("Semester och jul", "Summer and Christmas"),
    "late_comers": ("De som kommer till under en omgång", "Those who appear during a round"),
    "expected_reach": ("Hur många som väntas nås", "How many are expected to be reached"),
}
PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "detour": ("inom {m} m från omledningen", "within {m} m of the detour"),
    "municipality": ("i hela kommunen", "in the whole municipality"),
    "any": ("var som helst", "anywhere"),
    "subscription": ("de som bevakar", "those who subscribe"),
    "participants": ("de som har svarat förut", "those who answered before"),
}
NEAR: Final = ("inom {m} m", "within {m} m")
EVERYBODY: Final = ("alla näringsgrenar", "all industries")
OF_THE_CASE: Final = ("de näringsgrenar som ärendet anger", "the industries that the case names")
DIGEST: Final = ("i veckobrevet", "in the weekly digest")
LANGUAGES: Final[tuple[Language, Language]] = ("sv", "en")

Pair = tuple[str, str]
"""Swedish and English."""


@dataclass(frozen=True)
class Worded:
    """One thing that they say differently, in both languages."""

    where: Pair
    what: Pair
    a: Pair
    b: Pair


def worded(found: list[Difference], a: DialogueModel, b: DialogueModel) -> Iterator[Worded]:
    """The same differences in words. What has no words of its own stands as the model has it."""
    names = Names(b, a)
    for item in found:
        yield Worded(
            _where(item, names, (b, a)), _what(item.what), _said(item, item.a, a, names), _said(item, item.b, b, names)
        )


def _where(item: Difference, names: Names, models: tuple[DialogueModel, DialogueModel]) -> Pair:
    if item.where.startswith(GROUP):
        id_ = item.where.removeprefix(GROUP)
        return next((_group(model, id_) for model in models if id_ in model.industry_groups), (id_, id_))
    case_type, _, stage = item.where.partition("/")
    if not stage:
        return WHERE.get(item.where, (item.where, item.where))
    sv, en = (f"{names.case_type(case_type, lang)}: {names.stage(case_type, stage, lang)}" for lang in LANGUAGES)
    return sv, en


def _what(what: str) -> Pair:
    return WHAT.get(RING if what.startswith(RING) else what, (what, what))


def _said(item: Difference, text: str, model: DialogueModel, names: Names) -> Pair:
    if text == NOT_THERE:
        return text, text
    if item.what.startswith(RING):
        case_type, _, stage = item.where.partition("/")
        found = model.stage(case_type, stage)
        rings = [ring for ring in found.rings if ring.id == item.what.removeprefix(RING)] if found else []
        sv, en = ("; ".join(_ring(ring, model, i) for ring in rings) for i in (0, 1))
        return sv, en
    if item.what in (CODES, EXCLUDED):
        labels = ", ".join(industries.label(industries.parse(code, model.sni), model.sni) for code in text.split(", "))
        return labels, labels
    if item.what == "forms":
        sv, en = (", ".join(names.form(form, lang) for form in text.split(", ")) for lang in LANGUAGES)
        return sv, en
    if item.what in ("lead", "answer"):
        days = text.removesuffix(" d")
        return f"{days} dagar", f"{days} days"
    return text, text


def _ring(ring: Ring, model: DialogueModel, lang: int) -> str:
    place = PLACES.get(ring.geometry, NEAR)[lang].format(m=f"{ring.buffer_m or 0:g}")
    whom = _whom(ring, model, lang)
    return f"{place}: {whom}" + (f" ({DIGEST[lang]})" if ring.delivery == "digest" else "")


def _whom(ring: Ring, model: DialogueModel, lang: int) -> str:
    if isinstance(ring.industries, str):
        return (EVERYBODY if ring.industries == "all" else OF_THE_CASE)[lang]
    return ", ".join(
        _group(model, name)[lang]
        if name in model.industry_groups
        else industries.label(industries.parse(name, model.sni), model.sni)
        for name in ring.industries
    )


def _group(model: DialogueModel, id_: str) -> Pair:
    """A group's name without what its brackets explain, as it stands in a list."""
    group = model.industry_groups[id_]
    sv, en = (f"{name[:1].lower()}{name[1:]}".partition(" (")[0].partition(":")[0] for name in (group.sv, group.en))
    return sv, en
