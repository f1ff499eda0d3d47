"""What pages show of a round, in one language: the same words as the mail where the mail says it too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.round import Purpose, Round
from services.portal.form import Block
from services.portal.invited import Carried, Group, Invited
from services.portal.pages.words import ANSWERS, MEETING_ANSWERS, WORDS
from services.portal.standing import Standing
from services.rendering import changes, dates
from services.rendering.asking import heading, question
from services.rendering.dates import Lang
from services.rendering.why import why_block
from services.rendering.wording import STANDARD

LATE_NAMES: Final = 20


@dataclass(frozen=True)
class Shown:
    """A group of invitations, ready to show. `why` is the mail's own; `late` came after the mail had left."""

    group: Group
    names: tuple[str, ...]
    heading: str
    deadline: str
    standing: Standing
    banner: str
    why: tuple[str, ...]
    late: tuple[str, ...]
    answers: tuple[Invited, ...]


def summary(round_: Round, lang: Lang) -> list[str]:
    """The case in a few paragraphs."""
    text = (round_.texts.summary_en if lang == "en" else "") or round_.texts.summary
    return [line for line in text.split("\n") if line.strip()]


def shown(carried: Carried, group: Group, lang: Lang) -> Shown:
    """One round of a message."""
    on_time = [item for item in group.invited if not item.late] or list(group.invited)
    late = [item for item in group.invited if item not in on_time]
    first = next((item for item in group.invited if item.verdict.open), group.invited[0])
    return Shown(
        group=group,
        names=tuple(dict.fromkeys(item.name for item in group.invited if item.name)),
        heading=heading(group.round, lang),
        deadline=_deadline(first, lang),
        standing=first.verdict.standing,
        banner=_changed(group.round, lang) or _banner(first, lang),
        why=_why(carried, group, on_time, lang),
        late=tuple(item.name for item in late if item.name)[:LATE_NAMES],
        answers=tuple(item for item in group.invited if item.answer is not None),
    )


def _changed(round_: Round, lang: Lang) -> str:
    """Of a change: what happened and what becomes of an answer, as the mail says it."""
    if round_.purpose is not Purpose.CHANGE:
        return ""
    return " ".join([changes.happened(round_, lang), *changes.to_do(round_, lang)])


def _why(carried: Carried, group: Group, invited: Sequence[Invited], lang: Lang) -> tuple[str, ...]:
    """As the notifier's composer calls it: all the workplaces together, in the order of the invitations' ids."""
    if group.round.purpose is Purpose.CHANGE:
        return (changes.why(group.told_at, lang),)
    ordered = sorted(invited, key=lambda item: item.id)
    places = {place.workplace_id: place for item in ordered for place in item.invitation.workplaces}
    more = sum(item.invitation.more_workplaces for item in ordered)
    return tuple(why_block(group.round, tuple(places.values()), carried.facts, lang, more))


def _deadline(item: Invited, lang: Lang) -> str:
    day = item.verdict.last_day
    if not item.verdict.open or day is None:
        return ""
    return STANDARD.words("mail", lang)["answer_by"].format(day=dates.full(day, lang))


def _banner(item: Invited, lang: Lang) -> str:
    words, verdict = WORDS[lang], item.verdict
    if verdict.open:
        return words["moved_on"] if verdict.moved_on else ""
    if verdict.standing is Standing.EXPIRED and verdict.last_day is not None:
        return words["expired_on"].format(day=dates.full(verdict.last_day, lang))
    return words[f"standing_{verdict.standing.value}"]


def answer_words(meeting: bool, answer: str, lang: Lang) -> str:
    """An answer in words."""
    return (MEETING_ANSWERS if meeting else ANSWERS)[lang].get(answer, answer)


def legend(block: Block, lang: Lang) -> str:
    """What the choices of a block answer. The page's heading has asked it already, where it asks the same."""
    words, round_ = WORDS[lang], block.group.round
    if block.meeting:
        return words["legend_meeting"]
    return words["legend_own"] if question(round_, lang) else words["legend"]
