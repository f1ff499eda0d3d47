"""What a change says to those who got the first message: it is withdrawn, undone, not about them, moved, cancelled.

The words say that nothing need be answered and that an answer already given is kept; a reason of the case's own is not
shown, since it was not written for the reader. A kind that is not known here is told as a change.
"""

from datetime import datetime
from typing import Final

from schemas.round import Round
from services.rendering import dates
from services.rendering.dates import Lang


def subject_start(round_: Round) -> str:
    """What stands before the title in the Swedish subject."""
    meeting = round_.texts.meeting
    if round_.change == "moved" and meeting is not None:
        return f"Ny tid {dates.short(dates.local(meeting.start).date(), 'sv')}: dialogmöte om "
    return _HEADING["sv"].get(round_.change or "", _CHANGED["sv"]).partition("{title}")[0]


def heading(round_: Round, lang: Lang) -> str:
    """The kind and the title in one line."""
    title = (round_.texts.title_en if lang == "en" else "") or round_.texts.title
    return _HEADING[lang].get(round_.change or "", _CHANGED[lang]).format(title=title)


def happened(round_: Round, lang: Lang) -> str:
    """What happened, in one sentence or two."""
    words = _WORDS[lang]
    kind = f"{round_.change}_meeting" if round_.texts.meeting else f"{round_.change}_event" if round_.event_at else ""
    said = words.get(kind) or words.get(round_.change or "") or words["changed"]
    return said.format(**_times(round_, lang))


def to_do(round_: Round, lang: Lang) -> tuple[str, ...]:
    """That nothing need be done, and what becomes of an answer already given."""
    words = _WORDS[lang]
    return words["nothing"], words["kept_moved" if round_.change == "moved" else "kept"]


def why(told_at: datetime | None, lang: Lang) -> str:
    """Why this reader gets it: the day of the first message."""
    if told_at is None:
        return _WORDS[lang]["why_earlier"]
    return _WORDS[lang]["why"].format(day=dates.day_and_month(dates.local(told_at).date(), lang))


def sms_frame(round_: Round, lang: Lang) -> str:
    """The SMS with `{who}`, `{title}` and `{link}` left open."""
    words, kind = _SMS[lang], round_.change or ""
    if meeting := round_.texts.meeting:
        day = dates.local(meeting.start).date()
        shown = dates.tiny(day) if lang == "sv" else dates.short(day, lang)
        framed = words.get(f"{kind}_meeting", "")
        if framed:
            return framed.replace("{day}", shown).replace("{clock}", dates.clock(meeting.start, lang))
    return words.get(kind, words["changed"])


def _times(round_: Round, lang: Lang) -> dict[str, str]:
    if meeting := round_.texts.meeting:
        day = dates.full(dates.local(meeting.start).date(), lang)
        return {"day": day, "clock": dates.clock(meeting.start, lang), "place": meeting.place}
    if round_.event_at is not None:
        return {"day": dates.full(dates.local(round_.event_at).date(), lang)}
    return {}


_CHANGED: Final[dict[Lang, str]] = {"sv": "Ändrat: {title}", "en": "Changed: {title}"}
_HEADING: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "withdrawn": "Ärendet är återkallat: {title}",
        "undone": "Vi tar tillbaka vårt meddelande: {title}",
        "not_affected": "Ni berörs inte längre: {title}",
        "moved": "Ny tid: {title}",
        "cancelled": "Inställt: {title}",
    },
    "en": {
        "withdrawn": "The matter is withdrawn: {title}",
        "undone": "We take back our message: {title}",
        "not_affected": "You are no longer affected: {title}",
        "moved": "New time: {title}",
        "cancelled": "Cancelled: {title}",
    },
}
_WORDS: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "withdrawn": "Kommunen har återkallat ärendet. Det vi skrev om är inte längre aktuellt.",
        "undone": "Kommunen har tagit tillbaka sitt meddelande om ärendet. Blir det aktuellt igen hör vi av oss.",
        "not_affected": "Ärendet har ändrats så att det inte längre rör er. Vi skriver inte mer till er om det.",
        "moved_meeting": "Mötet har en ny tid: {day} kl. {clock}, {place}.",
        "moved_event": "Det vi skrev om händer i stället {day}.",
        "moved": "Tiden är ändrad. Den nya tiden står på ärendets sida.",
        "cancelled_meeting": "Mötet {day} är inställt.",
        "cancelled": "Det vi skrev om är inställt.",
        "changed": "Något i ärendet är ändrat. Vad det är står på ärendets sida.",
        "nothing": "Nej, ni behöver inte svara på det här.",
        "kept": "Har ni redan svarat på vår fråga finns svaret kvar hos kommunen.",
        "kept_moved": "Har ni redan svarat gäller svaret den nya tiden också. Passar den inte kan ni ändra svaret "
        "genom länken i vårt första meddelande.",
        "why": "Vi skrev till er om ärendet den {day}.",
        "why_earlier": "Vi har skrivit till er om ärendet tidigare.",
    },
    "en": {
        "withdrawn": "The municipality has withdrawn the matter. What we wrote about no longer applies.",
        "undone": "The municipality has taken back its message on the matter. If it comes up again, we will write.",
        "not_affected": "The matter has changed and no longer concerns you. We will not write to you about it again.",
        "moved_meeting": "The meeting has a new time: {day} at {clock}, {place}.",
        "moved_event": "What we wrote about happens {day} instead.",
        "moved": "The time has changed. The new one is on the matter's page.",
        "cancelled_meeting": "The meeting on {day} is cancelled.",
        "cancelled": "What we wrote about is cancelled.",
        "changed": "Something in the matter has changed. The matter's page says what.",
        "nothing": "No, you need not reply to this.",
        "kept": "If you have already replied to our question, the municipality keeps your reply.",
        "kept_moved": "If you have already replied, your reply holds for the new time too. If it does not suit "
        "you, change your reply by the link in our first message.",
        "why": "We wrote to you about the matter on {day}.",
        "why_earlier": "We have written to you about the matter before.",
    },
}
_SMS: Final[dict[Lang, dict[str, str]]] = {
    "sv": {
        "withdrawn": "{who}: Ärendet är återkallat: {title}. Ni behöver inte svara. {link}",
        "undone": "{who}: Vi tar tillbaka vårt meddelande om {title}. Ni behöver inte svara. {link}",
        "not_affected": "{who}: Ni berörs inte längre av {title}. {link}",
        "moved_meeting": "{who}: Ny tid {day} kl {clock}. {title}. {link}",
        "moved": "{who}: Ny tid. {title}. {link}",
        "cancelled_meeting": "{who}: Mötet {day} är inställt. {title}. {link}",
        "cancelled": "{who}: Inställt: {title}. {link}",
        "changed": "{who}: Ändrat: {title}. {link}",
    },
    "en": {
        "withdrawn": "{who}: The matter is withdrawn: {title}. You need not reply. {link}",
        "undone": "{who}: We take back our message on {title}. You need not reply. {link}",
        "not_affected": "{who}: You are no longer affected by {title}. {link}",
        "moved_meeting": "{who}: New time {day} at {clock}. {title}. {link}",
        "moved": "{who}: New time. {title}. {link}",
        "cancelled_meeting": "{who}: The meeting on {day} is cancelled. {title}. {link}",
        "cancelled": "{who}: Cancelled: {title}. {link}",
        "changed": "{who}: Changed: {title}. {link}",
    },
}
