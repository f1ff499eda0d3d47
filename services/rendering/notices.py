"""The short mails that somebody asked for by what they just did: confirm, open one's list, a receipt, a stop.

Swedish first, English second, the same in text and HTML, one link. What the reader typed is shown nowhere; a kind has
its parameters, and one that is missing is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from schemas.notice import CONFIRM, MAGIC_LINK, RECEIPT, STOPPED
from schemas.round import Round
from services.rendering import dates
from services.rendering.dates import Lang
from services.rendering.mail import Brand
from services.rendering.message import LONGEST_SUBJECT, RenderedMail
from services.rendering.shorten import chop
from services.rendering.sms import LONGEST_LINK, PART, fold, septets
from services.rendering.templating import templates
from services.rendering.words import ANSWERS, COMING

_PREHEADER: Final = 130


@dataclass(frozen=True, slots=True)
class NoticeLetter:
    """Everything a notice's mail is made of. `url` holds a secret: never logged."""

    brand: Brand
    kind: str
    parameters: Mapping[str, str]
    url: str = field(repr=False)
    expires_at: datetime
    round: Round | None = None


@dataclass(frozen=True, slots=True)
class Half:
    """One language's half, in reading order."""

    lang: Lang
    intro: str
    heading: str
    lines: tuple[str, ...]
    button: str
    visible: str
    foot: tuple[str, ...]
    note: str


def render_notice(letter: NoticeLetter) -> RenderedMail:
    """The words of a notice. Raises `ValueError` for a kind that has none."""
    if letter.kind not in _WORDS["sv"]:
        raise ValueError(f"no words for a notice of kind {letter.kind}")
    halves = (_half(letter, "sv"), _half(letter, "en"))
    subject, preheader = _subject(letter), chop(" ".join(halves[0].lines), _PREHEADER, "…")
    values = {"subject": subject, "preheader": preheader, "halves": halves, "url": letter.url}
    text, html = (templates().get_template(f"notice.{form}.j2") for form in ("txt", "html"))
    return RenderedMail(subject, preheader, text.render(values), html.render(values))


def notice_sms(letter: NoticeLetter, lang: Lang) -> str:
    """The same in one SMS; the title yields. Raises `ValueError` for a kind that has none, or too long a link."""
    frame = _SMS[lang].get(_kind(letter))
    if frame is None:
        raise ValueError(f"no SMS for a notice of kind {letter.kind}")
    if septets(letter.url) > LONGEST_LINK:
        raise ValueError(f"link: at most {LONGEST_LINK} septets; use a shorter base address")
    who, reference = (
        chop(fold(letter.brand.municipality), 30, "", septets),
        fold(letter.parameters.get("reference", "")),
    )
    filled = frame.format(who=who, title="\x00", reference=chop(reference, 20, "", septets), link=letter.url)
    room = PART - septets(filled.replace("\x00", ""))
    return filled.replace("\x00", chop(fold(_title(letter, lang)), room, "...", septets))


def _kind(letter: NoticeLetter) -> str:
    """A stop of one case and one of a kind of cases have words of their own; every other stops all."""
    scope = letter.parameters.get("scope", "all")
    return f"stopped_{scope}" if letter.kind == STOPPED and scope in ("case", "kind") else letter.kind


def _subject(letter: NoticeLetter) -> str:
    start, title, end = _SUBJECTS[_kind(letter)].partition("{title}")
    return start + chop(_title(letter, "sv"), LONGEST_SUBJECT - len(start) - len(end), "…") + end if title else start


def _half(letter: NoticeLetter, lang: Lang) -> Half:
    words = _WORDS[lang][_kind(letter)]
    title = _title(letter, lang)
    return Half(
        lang=lang,
        intro=letter.brand.municipality,
        heading=words["heading"].format(title=title),
        lines=_lines(letter, lang),
        button=words["button"],
        visible=_WORDS[lang]["any"]["visible"],
        foot=_foot(letter, lang),
        note="In English below" if lang == "sv" else "",
    )


def _lines(letter: NoticeLetter, lang: Lang) -> tuple[str, ...]:
    words = _WORDS[lang][_kind(letter)]
    given = {**letter.parameters, "title": _title(letter, lang), "municipality": letter.brand.municipality}
    lines = [words["line"].format_map(_Blank(given))]
    if letter.kind == CONFIRM:
        lines.append(words["industries"].format_map(_Blank(given)) if given.get("industries") else words["every"])
    if letter.kind == RECEIPT:
        lines += _receipt(letter, lang)
    return tuple(line for line in lines if line)


def _receipt(letter: NoticeLetter, lang: Lang) -> list[str]:
    words, given, round_ = _WORDS[lang][RECEIPT], letter.parameters, letter.round
    lines = []
    if reference := given.get("reference"):
        lines.append(words["reference"].format(reference=reference))
    if round_ is not None and round_.texts.diary_number:
        lines.append(words["diary_number"].format(number=round_.texts.diary_number))
    if answer := _answer(letter, lang):
        lines.append(words["answer"].format(answer=answer))
    if (count := given.get("answers", "1")).isdigit() and int(count) > 1:
        lines.append(words["more"].format(left=int(count) - 1))
    lines.append(words["public"])
    if round_ is not None and round_.respond_by is not None:
        lines.append(words["until"].format(day=dates.full(round_.respond_by, lang)))
    return lines


def _answer(letter: NoticeLetter, lang: Lang) -> str:
    """The answer as its button said it; one that no button has is not shown."""
    answer = letter.parameters.get("answer", "").replace("_", "-")
    meets = letter.round is not None and letter.round.texts.meeting is not None
    words = dict(COMING[lang] if meets else ANSWERS[lang])
    return words.get(answer) or _WORDS[lang]["any"].get(answer, "")


def _foot(letter: NoticeLetter, lang: Lang) -> tuple[str, ...]:
    lines = []
    if letter.kind in (CONFIRM, MAGIC_LINK):
        day = dates.full(dates.local(letter.expires_at).date(), lang)
        clock = dates.clock(letter.expires_at, lang)
        lines.append(_WORDS[lang]["any"]["until"].format(day=day, clock=clock))
    lines.append(_WORDS[lang][_kind(letter)]["foot"])
    official = letter.round.texts.official if letter.round else None
    if official is not None:
        shown = ", ".join(part for part in (official.name, official.title, official.phone, official.email) if part)
        lines.append(_WORDS[lang]["any"]["ask"].format(official=shown))
    return tuple(lines)


def _title(letter: NoticeLetter, lang: Lang) -> str:
    """What it is about: the case, the kind of cases, or the area that is followed."""
    about_case = _kind(letter) in (RECEIPT, "stopped_case")
    english = letter.round.texts.title_en if letter.round is not None and about_case and lang == "en" else ""
    return english or letter.parameters.get("title", "") or letter.parameters.get("area", "")


class _Blank(dict[str, str]):
    """What was not given is left out."""

    def __missing__(self, key: str) -> str:
        return ""


_SUBJECTS: Final = {
    CONFIRM: "Bekräfta er bevakning av {title}",
    MAGIC_LINK: "Länken till era bevakningar",
    RECEIPT: "Vi har fått ert svar: {title}",
    STOPPED: "Ni är avanmälda från företagsdialogen",
    "stopped_case": "Ni får inget mer om {title}",
    "stopped_kind": "Ni får inget mer av slaget {title}",
}
_WORDS: Final[dict[Lang, dict[str, dict[str, str]]]] = {
    "sv": {
        "any": {
            "visible": "Eller öppna den här adressen:",
            "until": "Länken gäller till {day} kl. {clock}.",
            "ask": "Frågor: {official}.",
            "ej-relevant": "Inte relevant för oss",
        },
        CONFIRM: {
            "heading": "Bekräfta er bevakning",
            "line": "Ni vill få veta när kommunen förbereder något som rör {area}.",
            "industries": "Branscher: {industries}.",
            "every": "Det gäller alla branscher.",
            "button": "Bekräfta bevakningen",
            "foot": "Var det inte ni? Gör ingenting. Då börjar ingen bevakning.",
        },
        MAGIC_LINK: {
            "heading": "Se och ändra era bevakningar",
            "line": "Ni bad om en länk till sidan med era bevakningar. Där kan ni ta bort dem och ångra er.",
            "button": "Öppna sidan",
            "foot": "Var det inte ni? Gör ingenting. Lämna inte länken vidare.",
        },
        RECEIPT: {
            "heading": "Tack! Svaret är mottaget",
            "line": "{municipality} har fått ert svar om {title}.",
            "reference": "Referens: {reference}.",
            "diary_number": "Ärendets diarienummer: {number}.",
            "answer": "Ert svar: {answer}.",
            "more": "Ni svarade samtidigt för {left} till.",
            "public": "Svaret är nu en allmän handling.",
            "until": "Ni kan ändra svaret till och med {day}. Det sista svaret gäller.",
            "button": "Se eller ändra svaret",
            "foot": "Ni får detta för att någon svarade genom länken som vi skickade. Var det inte ni? Ändra svaret.",
        },
        STOPPED: {
            "heading": "Ni är avanmälda från företagsdialogen",
            "line": "Det gäller från nu. Ni får inga fler inbjudningar från {municipality}.",
            "button": "Ångra",
            "foot": "Var det inte ni? Ångra på sidan, så kommer inbjudningarna igen.",
        },
        "stopped_case": {
            "heading": "Ni får inget mer om {title}",
            "line": "Det gäller från nu. Om andra ärenden kan {municipality} fortfarande skriva till er.",
            "button": "Ångra",
            "foot": "Var det inte ni? Ångra på sidan, så kommer inbjudningarna igen.",
        },
        "stopped_kind": {
            "heading": "Ni får inget mer av slaget {title}",
            "line": "Det gäller från nu. Om ärenden av andra slag kan {municipality} fortfarande skriva till er.",
            "button": "Ångra",
            "foot": "Var det inte ni? Ångra på sidan, så kommer inbjudningarna igen.",
        },
    },
    "en": {
        "any": {
            "visible": "Or open this address:",
            "until": "The link works until {day} at {clock}.",
            "ask": "Questions: {official}.",
            "ej-relevant": "Not relevant to us",
        },
        CONFIRM: {
            "heading": "Confirm what you follow",
            "line": "You want to know when the municipality prepares something that concerns {area}.",
            "industries": "Industries: {industries}.",
            "every": "All industries are included.",
            "button": "Confirm",
            "foot": "Was it not you? Do nothing. Then nothing is followed.",
        },
        MAGIC_LINK: {
            "heading": "See and change what you follow",
            "line": "You asked for a link to the page with what you follow. There you can remove it and undo that.",
            "button": "Open the page",
            "foot": "Was it not you? Do nothing. Do not pass the link on.",
        },
        RECEIPT: {
            "heading": "Thank you! We have your reply",
            "line": "{municipality} has your reply on {title}.",
            "reference": "Reference: {reference}.",
            "diary_number": "The matter's diary number: {number}.",
            "answer": "Your reply: {answer}.",
            "more": "You replied for {left} more at the same time.",
            "public": "The reply is now a public record.",
            "until": "You can change your reply until {day}. The last one counts.",
            "button": "See or change your reply",
            "foot": "You get this because someone replied by the link that we sent you. Was it not you? Change it.",
        },
        STOPPED: {
            "heading": "You are unsubscribed from the business dialogue",
            "line": "It takes effect now. You get no more invitations from {municipality}.",
            "button": "Undo",
            "foot": "Was it not you? Undo it on the page, and invitations will come again.",
        },
        "stopped_case": {
            "heading": "You get nothing more about {title}",
            "line": "It takes effect now. {municipality} may still write to you about other matters.",
            "button": "Undo",
            "foot": "Was it not you? Undo it on the page, and invitations will come again.",
        },
        "stopped_kind": {
            "heading": "You get nothing more of the kind {title}",
            "line": "It takes effect now. {municipality} may still write to you about matters of other kinds.",
            "button": "Undo",
            "foot": "Was it not you? Undo it on the page, and invitations will come again.",
        },
    },
}
_SMS: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        RECEIPT: "{who}: Ert svar är mottaget, referens {reference}: {title}. Ändra: {link}",
        STOPPED: "{who}: Ni får inga fler sms om företagsdialog. Ångra: {link}",
        "stopped_case": "{who}: Ni får inget mer om {title}. Ångra: {link}",
        "stopped_kind": "{who}: Ni får inget mer av slaget {title}. Ångra: {link}",
    },
    "en": {
        RECEIPT: "{who}: We have your reply, reference {reference}: {title}. Change: {link}",
        STOPPED: "{who}: You get no more texts about business dialogue. Undo: {link}",
        "stopped_case": "{who}: You get nothing more about {title}. Undo: {link}",
        "stopped_kind": "{who}: You get nothing more of the kind {title}. Undo: {link}",
    },
}
