"""An SMS of one part, or of as many as are allowed, whatever the title: 160 septets of the GSM 7-bit alphabet (3GPP TS
23.038 §6.2.1), or 153 in each of several parts.

A sign outside the alphabet would turn the whole text into UCS-2, three parts instead of one, so every sign is folded
first. The title yields first, at a word; then the address goes; the date and the link never.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.round import Purpose, Round
from services.rendering import asking, changes, dates
from services.rendering.dates import Lang
from services.rendering.shorten import chop, cut
from services.rendering.wording import STANDARD, Wording, Words

PART: Final = 160
_JOINED: Final = 153
LONGEST_LINK: Final = 70
_SENDER: Final = 30
_LEAST_SENDER: Final = 11  # as much as a sender's name may have
_LEAST_TITLE: Final = 16  # a title shorter than this says less than the address does

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_PLAIN: Final = str.maketrans(
    {"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
    | {"’": "'", "‘": "'", "´": "'", "`": "'", "•": "-", "·": "-", "×": "x", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {
        "œ": "oe",
        "Œ": "OE",
        "ı": "i",
        "ð": "d",
        "Ð": "D",
        "þ": "th",
        "Þ": "Th",
        "ẞ": "SS",
        "‚": "'",
        "′": "'",
        "″": '"',
    }
    | {"ŋ": "n", "Ŋ": "N", "ŧ": "t", "Ŧ": "T", "ǥ": "g", "Ǥ": "G", "ħ": "h", "Ħ": "H", "‹": "'", "›": "'"}
    | {"→": "->", "←": "<-", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "±": "+/-", "÷": "/", "⁄": "/", "‰": " o/oo"}
    | {"µ": "u", "μ": "u", "¢": "c"}
)
"""Left out, a letter of Sámi would misspell a place, and a sign of comparison would turn a number into another."""
_AFTER_A_DIGIT: Final = {"<super>": "^", "<fraction>": " "}
"""What parts a small digit, or a fraction in one sign, from the digit before it: 10² is not 102, nor 1½ 11/2."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an installation's texts may be: how many parts, and whether its number can be written back to. Then the text
    says how to stop by that; else the page behind its link does.
    """

    parts: int = 1
    takes_answers: bool = False

    @property
    def room(self) -> int:
        """Septets in all. In each of several parts seven are taken by its number (§9.2.3.24.1 of TS 23.040)."""
        return PART if self.parts == 1 else _JOINED * self.parts


def septets(text: str) -> int:
    """How many septets a text takes; signs of the extension table take two. Raises `ValueError` for other signs."""
    strange = {sign for sign in text if sign not in _BASIC and sign not in _EXTENSION}
    if strange:
        raise ValueError(f"outside the GSM alphabet: {sorted(strange)}; fold the text first")
    return len(text) + sum(sign in _EXTENSION for sign in text)


def fold(text: str) -> str:
    """The text in one line and in the GSM alphabet: plain dashes and quotes, letters without foreign accents; signs
    that have no likeness, such as emoji, are left out.
    """
    signs = (_folded(sign) for sign in _NUMBERED.sub(_parted, unicodedata.normalize("NFC", text)).translate(_PLAIN))
    return re.sub(r"\s+", " ", "".join(signs)).strip()


ONE_WAY: Final = Terms()


def render_sms(
    round_: Round,
    *,
    sender: str,
    link: str,
    address: str = "",
    lang: Lang = "sv",
    wording: Wording = STANDARD,
    terms: Terms = ONE_WAY,
) -> str:
    """The SMS of a round: a question, a meeting, a piece of information, a change or what came of the answers.

    `sender` is the municipality's name and `address` the workplace's street. Raises `ValueError` for a link longer
    than 70 or with a sign that SMS has no room for.
    """
    title, words = _title(round_, lang), _words(round_, lang, wording)
    if place := fold(address):
        at = words["place"].format(place=place)
        frame = _ended(_frame(round_, link, lang, at, wording), link, words, terms)
        if (text := _with_address(frame, fold(sender), title, terms)) is not None:
            return text
    return _filled(_ended(_frame(round_, link, lang, "", wording), link, words, terms), fold(sender), title, terms)


def _with_address(frame: str, sender: str, title: str, terms: Terms) -> str | None:
    """The text, if enough of the title fits beside the address."""
    frame = frame.replace(_WHO, chop(sender, _SENDER, "", septets))
    room = terms.room - _taken(frame)
    if septets(title) <= room:
        return frame.replace(_TITLE, title)
    short = cut(title, room, "...", septets) if room >= _LEAST_TITLE else ""
    return frame.replace(_TITLE, short) if short else None


def remind_sms(
    round_: Round,
    *,
    sender: str,
    link: str,
    on: date,
    lang: Lang = "sv",
    wording: Wording = STANDARD,
    terms: Terms = ONE_WAY,
) -> str:
    """The SMS that reminds of a round, sent on a day. The title yields."""
    words, by = _words(round_, lang, wording), round_.respond_by
    if by is not None and timedelta() <= by - on <= timedelta(days=1):
        frame = words["remind_today" if by == on else "remind_tomorrow"]
    else:
        frame = words["remind_by"] if by else words["remind"]
    framed = frame.format(who=_WHO, title=_TITLE, day=_day(by, lang) if by else "", link=link)
    return _filled(_ended(framed, link, words, terms), fold(sender), _title(round_, lang), terms)


def digest_sms(
    count: int, *, sender: str, link: str, lang: Lang = "sv", wording: Wording = STANDARD, terms: Terms = ONE_WAY
) -> str:
    """The SMS that tells of several matters at once. Raises `ValueError` where there is none."""
    if count < 1:
        raise ValueError("a digest without items is not sent: end it with its reason instead")
    words = wording.words("sms", lang)
    frame = words["digest" if count > 1 else "digest_one"].format(who=_WHO, count=count, link=link)
    return _filled(_ended(frame, link, words, terms), fold(sender), "", terms)


def _ended(frame: str, link: str, words: Words, terms: Terms) -> str:
    """With how to stop, where the number takes answers and there is room: the page behind the link says it too. Raises
    `ValueError` for a link that does not fit.
    """
    if septets(link) > LONGEST_LINK:
        raise ValueError(f"link: {septets(link)} septets, at most {LONGEST_LINK}; use a shorter base address")
    ended = f"{frame} {words['stop']}"
    return ended if terms.takes_answers and _taken(ended) + _LEAST_SENDER <= terms.room else frame


def _filled(frame: str, sender: str, title: str, terms: Terms) -> str:
    """The sender yields to enough of a title, the title to the rest."""
    room = terms.room - _taken(frame)
    who = chop(sender, min(_SENDER, max(_LEAST_SENDER, room - _LEAST_TITLE)), "", septets)
    return frame.replace(_WHO, who).replace(_TITLE, chop(title, room - septets(who), "...", septets))


def rehearsed(text: str) -> str:
    """The same marked as a rehearsal's. It may take a second part, which only our own staff get."""
    return f"{_REHEARSAL} {text}"


_REHEARSAL: Final = "ÖVNING."


_NUMBERED: Final = re.compile(r"(?<=[0-9])[^\x00-\x7f]")


def _parted(found: re.Match[str]) -> str:
    return _AFTER_A_DIGIT.get(unicodedata.decomposition(found[0]).partition(" ")[0], "") + found[0]


def _folded(sign: str) -> str:
    if sign in _BASIC or sign in _EXTENSION or sign.isspace():
        return sign
    likeness = unicodedata.normalize("NFKD", sign).translate(_PLAIN)
    return "".join(part for part in likeness if part in _BASIC or part in _EXTENSION or part.isspace())


def _title(round_: Round, lang: Lang) -> str:
    """The title, or, where no letter of it can be written in an SMS (Cyrillic, emoji), the case's number."""
    named = (fold(name) for name in (asking.title(round_, lang), round_.texts.diary_number or "", round_.case_id))
    return next((name for name in named if any(sign.isalnum() for sign in name)), "")


def _words(round_: Round, lang: Lang, wording: Wording) -> Words:
    return wording.words("sms", lang, asking.form(round_))


def _frame(round_: Round, link: str, lang: Lang, at: str, wording: Wording) -> str:
    """The text with places for sender and title."""
    if round_.purpose is Purpose.CHANGE:
        return changes.sms_frame(round_, lang, wording).format(who=_WHO, title=_TITLE, link=link)
    words = _words(round_, lang, wording)
    if round_.purpose is Purpose.FEEDBACK:
        return words["feedback"].format(who=_WHO, title=_TITLE, link=link)
    asks, meeting = asking.asks(round_), round_.texts.meeting
    if asks and meeting is not None:
        when = f"{_day(dates.local(meeting.start).date(), lang)} {words['at']} {dates.clock(meeting.start, lang)}"
        return words["meeting"].format(who=_WHO, when=when, title=_TITLE, link=link)
    if not asks:
        return words["inform"].format(who=_WHO, title=_TITLE, at=at, link=link)
    by = words["by"].format(day=_day(round_.respond_by, lang)) if round_.respond_by else words["open"]
    return words["ask"].format(who=_WHO, title=_TITLE, at=at, by=by, link=link)


def _taken(frame: str) -> int:
    return septets(frame.replace(_TITLE, "").replace(_WHO, ""))


def _day(day: date, lang: Lang) -> str:
    return dates.tiny(day) if lang == "sv" else dates.short(day, lang)


_TITLE: Final = "\x00"
_WHO: Final = "\x01"
