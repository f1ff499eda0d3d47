"""What a change says to those who got the first message: it is withdrawn, undone, not about them, moved, cancelled,
corrected.

The words say that nothing need be answered and that an answer already given is kept; a reason of the case's own is not
shown, since it was not written for the reader. A kind that is not known here is told as a change.
"""

from datetime import datetime

from schemas.round import CORRECTED, Round
from services.rendering import dates
from services.rendering.dates import Lang
from services.rendering.wording import STANDARD, Wording, Words


def subject(round_: Round, lang: Lang, wording: Wording) -> str:
    """The subject with `{title}` left open."""
    meeting = round_.texts.meeting
    if round_.change == "moved" and meeting is not None:
        day = dates.short(dates.local(meeting.start).date(), lang)
        return wording.words("mail.subject", lang, _form(round_))["moved_meeting"].replace("{day}", day)
    return _of_kind(wording.words("changes.heading", lang, _form(round_)), round_)


def heading(round_: Round, lang: Lang, wording: Wording = STANDARD) -> str:
    """The kind and the title in one line."""
    title = (round_.texts.title_en if lang == "en" else "") or round_.texts.title
    return _of_kind(wording.words("changes.heading", lang, _form(round_)), round_).format(title=title)


def happened(round_: Round, lang: Lang, wording: Wording = STANDARD) -> str:
    """What happened, in one sentence or two; of a correction, what an official wrote."""
    if round_.change == CORRECTED and round_.texts.correction:
        texts = round_.texts
        return " ".join(((texts.correction_en if lang == "en" else "") or texts.correction).split())
    words = wording.words("changes.said", lang, _form(round_))
    kind = f"{round_.change}_meeting" if round_.texts.meeting else f"{round_.change}_event" if round_.event_at else ""
    said = words.get(kind) or _of_kind(words, round_)
    return said.format(**_times(round_, lang))


def to_do(round_: Round, lang: Lang, wording: Wording = STANDARD) -> tuple[str, ...]:
    """That nothing need be done, and what becomes of an answer already given. What is corrected still asks."""
    words = wording.words("changes.said", lang, _form(round_))
    if round_.change == CORRECTED:
        return (words["kept_corrected"],)
    return words["nothing"], words["kept_moved" if round_.change == "moved" else "kept"]


def why(told_at: datetime | None, lang: Lang, wording: Wording = STANDARD) -> str:
    """Why this reader gets it: the day of the first message."""
    words = wording.words("changes.said", lang)
    if told_at is None:
        return words["why_earlier"]
    return words["why"].format(day=dates.day_and_month(dates.local(told_at).date(), lang))


def sms_frame(round_: Round, lang: Lang, wording: Wording = STANDARD) -> str:
    """The SMS with `{who}`, `{title}` and `{link}` left open."""
    words, kind = wording.words("changes.sms", lang, _form(round_)), round_.change or ""
    if meeting := round_.texts.meeting:
        day = dates.local(meeting.start).date()
        shown = dates.tiny(day) if lang == "sv" else dates.short(day, lang)
        framed = words.get(f"{kind}_meeting", "")
        if framed:
            return framed.replace("{day}", shown).replace("{clock}", dates.clock(meeting.start, lang))
    return _of_kind(words, round_)


def _of_kind(words: Words, round_: Round) -> str:
    """The words of its kind; a kind that is not known here is told as a change."""
    return words.get(round_.change or "") or words["changed"]


def _form(round_: Round) -> str:
    return round_.plan.primary if round_.plan else ""


def _times(round_: Round, lang: Lang) -> dict[str, str]:
    if meeting := round_.texts.meeting:
        day = dates.full(dates.local(meeting.start).date(), lang)
        return {"day": day, "clock": dates.clock(meeting.start, lang), "place": meeting.place}
    if round_.event_at is not None:
        return {"day": dates.full(dates.local(round_.event_at).date(), lang)}
    return {}
