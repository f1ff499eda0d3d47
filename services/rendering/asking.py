"""What a round says of itself in one line or two: the same in a mail, a digest and on its page."""

from datetime import date
from typing import Final

from schemas.case import Meeting
from schemas.round import Purpose, Round
from services.rendering import changes, dates
from services.rendering.dates import Lang
from services.rendering.wording import STANDARD, Wording

CHOICE: Final = 12
"""Signs of a round's id in a link. Should two rounds of one message begin alike, the link leads to their list."""


def is_change(round_: Round) -> bool:
    """It tells of what happened to an earlier message, and asks nothing, whatever its plan was copied from."""
    return round_.purpose is Purpose.CHANGE


def asks(round_: Round) -> bool:
    """Whether its reader is asked for something. A feedback tells, whatever the round it follows asked."""
    return round_.purpose in (Purpose.ASK, Purpose.INFORM) and round_.plan is not None and round_.plan.asks


def meeting(round_: Round) -> Meeting | None:
    """The meeting, where the mail invites to it."""
    return round_.texts.meeting if asks(round_) else None


def title(round_: Round, lang: Lang) -> str:
    """The case's title."""
    return (round_.texts.title_en if lang == "en" else "") or round_.texts.title


def form(round_: Round) -> str:
    """The form of dialogue that the round leads with."""
    return round_.plan.primary if round_.plan else ""


def heading(round_: Round, lang: Lang, wording: Wording = STANDARD) -> str:
    """What is asked, or what happened."""
    words = wording.words("mail", lang, form(round_))
    if is_change(round_):
        return changes.heading(round_, lang, wording)
    if round_.purpose is Purpose.FEEDBACK:
        return words["what_came"].format(title=title(round_, lang))
    if not asks(round_):
        return title(round_, lang)
    if round_.texts.meeting is not None:
        return words["come"].format(title=title(round_, lang))
    return question(round_, lang) or words["affected"].format(title=title(round_, lang))


def question(round_: Round, lang: Lang) -> str:
    """The question in the case's own words, if it has one."""
    return (round_.texts.question_en if lang == "en" else "") or round_.texts.question


def deadline(round_: Round, lang: Lang, wording: Wording = STANDARD) -> str:
    """The line below the heading: the last day, or, of a change, what happened."""
    words = wording.words("mail", lang, form(round_))
    if is_change(round_):
        return changes.happened(round_, lang, wording)
    if not asks(round_):
        return words["just_information"]
    by = round_.respond_by
    return words["answer_by"].format(day=dates.full(by, lang)) if by else ""


def order(round_: Round) -> tuple[date, str, str]:
    """Where a round stands among several of one message: by last day, those without one last."""
    return round_.respond_by or date.max, round_.texts.title, round_.round_id


def chosen(url: str, round_: Round) -> str:
    """The page of one round of a message, which may have several."""
    return f"{url}/arende/{round_.round_id[:CHOICE]}"
