"""One SMS of one part: at most 160 septets of the GSM 7-bit alphabet (3GPP TS 23.038 §6.2.1), whatever the title.

A sign outside the alphabet would turn the whole text into UCS-2, three parts instead of one, so every sign is folded
first. The title yields first, at a word; then the address goes; the date and the link never.
"""

import re
import unicodedata
from datetime import date, timedelta
from typing import Final

from schemas.round import Purpose, Round
from services.rendering import asking, changes, dates
from services.rendering.dates import Lang
from services.rendering.shorten import chop, cut
from services.rendering.wording import STANDARD, Wording, Words

PART: Final = 160
LONGEST_LINK: Final = 70
_SENDER: Final = 30
_BESIDE_STOP: Final = {"link": 55, "sender": 18}
"""What a link and a sender may take where the text also says how to stop by an answer."""
_LEAST_TITLE: Final = 16  # a title shorter than this says less than the address does

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_PLAIN: Final = str.maketrans(
    {"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
    | {"’": "'", "‘": "'", "´": "'", "`": "'", "•": "-", "·": "-", "×": "x", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {"œ": "oe", "Œ": "OE", "ı": "i", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"}
)


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
    signs = (_folded(sign) for sign in unicodedata.normalize("NFC", text).translate(_PLAIN))
    return re.sub(r"\s+", " ", "".join(signs)).strip()


def render_sms(
    round_: Round,
    *,
    sender: str,
    link: str,
    address: str = "",
    lang: Lang = "sv",
    wording: Wording = STANDARD,
    two_way: bool = False,
) -> str:
    """The SMS of a round: a question, a meeting, a piece of information or a change. Always one part.

    `sender` is the municipality's name and `address` the workplace's street; with `two_way` it says how to stop by an
    answer, which a sender that is a name cannot receive. Raises `ValueError` for a link longer
    than 70 (55 with `two_way`) or with a sign that SMS has no room for.
    """
    _checked(link, two_way)
    title = fold(asking.title(round_, lang))
    who = _who(sender, two_way)
    words = _words(round_, lang, wording)
    stop = f" {words['stop']}" if two_way else ""
    if place := fold(address):
        frame = _frame(round_, who, link, lang, words["place"].format(place=place), wording) + stop
        room = PART - _taken(frame)
        if septets(title) <= room:
            return frame.replace(_TITLE, title)
        if room >= _LEAST_TITLE and (short := cut(title, room, "...", septets)):
            return frame.replace(_TITLE, short)
    frame = _frame(round_, who, link, lang, "", wording) + stop
    return frame.replace(_TITLE, chop(title, PART - _taken(frame), "...", septets))


def remind_sms(
    round_: Round,
    *,
    sender: str,
    link: str,
    on: date,
    lang: Lang = "sv",
    wording: Wording = STANDARD,
    two_way: bool = False,
) -> str:
    """The SMS that reminds of a round, sent on a day. Always one part; the title yields."""
    _checked(link, two_way)
    words, by = _words(round_, lang, wording), round_.respond_by
    if by is not None and timedelta() <= by - on <= timedelta(days=1):
        frame = words["remind_today" if by == on else "remind_tomorrow"]
    else:
        frame = words["remind_by"] if by else words["remind"]
    who = _who(sender, two_way)
    filled = frame.format(who=who, title=_TITLE, day=_day(by, lang) if by else "", link=link)
    if two_way:
        filled += f" {words['stop']}"
    title = fold(asking.title(round_, lang))
    return filled.replace(_TITLE, chop(title, PART - _taken(filled), "...", septets))


def digest_sms(
    count: int, *, sender: str, link: str, lang: Lang = "sv", wording: Wording = STANDARD, two_way: bool = False
) -> str:
    """The SMS that tells of several matters at once. Raises `ValueError` where there is none."""
    if count < 1:
        raise ValueError("a digest without items is not sent: end it with its reason instead")
    _checked(link, two_way)
    words = wording.words("sms", lang)
    frame = words["digest" if count > 1 else "digest_one"]
    if two_way:
        frame += f" {words['stop']}"
    return frame.format(who=_who(sender, two_way), count=count, link=link)


def rehearsed(text: str) -> str:
    """The same marked as a rehearsal's. It may take a second part, which only our own staff get."""
    return f"{_REHEARSAL} {text}"


def _checked(link: str, two_way: bool) -> None:
    longest = _BESIDE_STOP["link"] if two_way else LONGEST_LINK
    if septets(link) > longest:
        raise ValueError(f"link: {septets(link)} septets, at most {longest}; use a shorter base address")


def _who(sender: str, two_way: bool) -> str:
    return chop(fold(sender), _BESIDE_STOP["sender"] if two_way else _SENDER, "", septets)


_REHEARSAL: Final = "ÖVNING."


def _folded(sign: str) -> str:
    if sign in _BASIC or sign in _EXTENSION or sign.isspace():
        return sign
    likeness = unicodedata.normalize("NFKD", sign).translate(_PLAIN)
    return "".join(part for part in likeness if part in _BASIC or part in _EXTENSION or part.isspace())


def _words(round_: Round, lang: Lang, wording: Wording) -> Words:
    return wording.words("sms", lang, asking.form(round_))


def _frame(round_: Round, who: str, link: str, lang: Lang, at: str, wording: Wording) -> str:
    """The text with a place for the title."""
    if round_.purpose is Purpose.CHANGE:
        return changes.sms_frame(round_, lang, wording).format(who=who, title=_TITLE, link=link)
    words = _words(round_, lang, wording)
    if round_.purpose is Purpose.FEEDBACK:
        return words["feedback"].format(who=who, title=_TITLE, link=link)
    asks, meeting = asking.asks(round_), round_.texts.meeting
    if asks and meeting is not None:
        when = f"{_day(dates.local(meeting.start).date(), lang)} {words['at']} {dates.clock(meeting.start, lang)}"
        return words["meeting"].format(who=who, when=when, title=_TITLE, link=link)
    if not asks:
        return words["inform"].format(who=who, title=_TITLE, at=at, link=link)
    by = words["by"].format(day=_day(round_.respond_by, lang)) if round_.respond_by else words["open"]
    return words["ask"].format(who=who, title=_TITLE, at=at, by=by, link=link)


def _taken(frame: str) -> int:
    return septets(frame.replace(_TITLE, ""))


def _day(day: date, lang: Lang) -> str:
    return dates.tiny(day) if lang == "sv" else dates.short(day, lang)


_TITLE: Final = "\x00"
