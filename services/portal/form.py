"""The answer form: which questions it has, and what was filled in. Pure.

One block is one question to one recipient; above a bound, the recipients of a round share one block, because nobody
fills in fifty. Fields that no block asks for are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.types import plain_lines
from services.portal.invited import Group, Invited

MOST_BLOCKS: Final = 20
TEXT_LENGTH: Final = 4000
MOST_ATTENDEES: Final = 5
ASKED: Final = ("ja", "nej", "vet_inte", "ej_relevant")
MET: Final = ("ja", "nej", "kanske")
COMING: Final = frozenset({"ja", "kanske"})


@dataclass(frozen=True)
class Block:
    """One question and those it is put to."""

    key: str
    group: Group
    invited: tuple[Invited, ...]

    @property
    def meeting(self) -> bool:
        """Whether it is asked who comes, rather than who is affected."""
        return self.group.round.texts.meeting is not None

    @property
    def choices(self) -> tuple[str, ...]:
        """What can be answered."""
        return MET if self.meeting else ASKED


@dataclass(frozen=True)
class Filled:
    """What was filled in at one block. `answer` is empty where nothing was chosen."""

    answer: str = ""
    text: str = ""
    attendees: int | None = None


@dataclass(frozen=True)
class Fault:
    """What is wrong at one field; `code` is a word in `pages.words`."""

    field: str
    code: str


@dataclass(frozen=True)
class Form:
    """A form as it was sent: what was filled in by block, and what is wrong with it."""

    filled: Mapping[str, Filled]
    faults: tuple[Fault, ...] = ()

    def of(self, block: Block) -> Filled:
        """What was filled in at a block."""
        return self.filled.get(block.key, Filled())

    def given(self, blocks: Sequence[Block]) -> list[tuple[Block, Filled]]:
        """The blocks that were answered."""
        return [(block, self.of(block)) for block in blocks if self.of(block).answer]


def blocks(groups: Sequence[Group]) -> tuple[Block, ...]:
    """The questions of a message that can be answered now."""
    answerable = [(group, tuple(item for item in group.invited if item.verdict.open)) for group in groups]
    shared = sum(len(invited) for _, invited in answerable) > MOST_BLOCKS
    found: list[Block] = []
    for group, invited in answerable:
        if shared and invited:
            found.append(Block(group.round.round_id, group, invited))
        else:
            found += [Block(item.id, group, (item,)) for item in invited]
    return tuple(found)


def read(fields: Mapping[str, str], asked: Sequence[Block]) -> Form:
    """What was filled in. A form in which nothing was answered, or an answer that cannot be, has faults."""
    filled: dict[str, Filled] = {}
    faults: list[Fault] = []
    for block in asked:
        one = _filled(fields, block)
        filled[block.key] = one
        faults += _faults(fields, block, one)
    if asked and not faults and not any(one.answer for one in filled.values()):
        faults.append(Fault(answer_field(asked[0]), "choose" if len(asked) == 1 else "choose_one"))
    return Form(filled, tuple(faults))


def before(asked: Sequence[Block], preselected: str = "") -> Form:
    """The form as it is first shown: the last answer, or what the link in the mail preselects."""
    filled = {block.key: _last(block) for block in asked}
    if len(asked) == 1 and preselected in asked[0].choices:
        known = filled[asked[0].key]
        filled[asked[0].key] = Filled(preselected, known.text, known.attendees)
    return Form(filled)


def answer_field(block: Block) -> str:
    """The name of the field with the answer."""
    return f"svar-{block.key}"


def text_field(block: Block) -> str:
    """The name of the field with the text."""
    return f"text-{block.key}"


def attendees_field(block: Block) -> str:
    """The name of the field with the number of people."""
    return f"antal-{block.key}"


def _last(block: Block) -> Filled:
    answers = [invited.answer for invited in block.invited if invited.answer is not None]
    if not answers:
        return Filled()
    last = max(answers, key=lambda answer: answer.at)
    return Filled(last.answer if last.answer in block.choices else "", last.text, last.attendees)


def _filled(fields: Mapping[str, str], block: Block) -> Filled:
    answer = fields.get(answer_field(block), "")
    number = fields.get(attendees_field(block), "").strip()
    coming = block.meeting and answer in COMING
    return Filled(
        answer if answer in block.choices else "",
        plain_lines(fields.get(text_field(block), "")),
        int(number) if coming and number in _NUMBERS else None,
    )


_NUMBERS: Final = frozenset(str(number) for number in range(1, MOST_ATTENDEES + 1))


def _faults(fields: Mapping[str, str], block: Block, filled: Filled) -> list[Fault]:
    faults = []
    if filled.text and not filled.answer:
        faults.append(Fault(answer_field(block), "choose_with_text"))
    if len(filled.text) > TEXT_LENGTH:
        faults.append(Fault(text_field(block), "too_long"))
    number = fields.get(attendees_field(block), "").strip()
    if block.meeting and filled.answer in COMING and number and number not in _NUMBERS:
        faults.append(Fault(attendees_field(block), "attendees"))
    return faults
