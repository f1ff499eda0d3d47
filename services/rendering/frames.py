"""Mails to many readers of one round: what they have in common is rendered once, and the rest is put into it.

The bytes are those of `compose(render(letter), headers)`. A frame is tried with made-up readers when it is made; one
that does not give the same, because of a template that does more with a reader's own words than show them, is not used.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final

from markupsafe import escape

from schemas.round import Round
from services.rendering import dates
from services.rendering.calendar import stamp
from services.rendering.dates import Lang
from services.rendering.letter import Letter, Links
from services.rendering.mail import Personal, personal, rendered
from services.rendering.message import MailHeaders, body, compose, head
from services.rendering.quoted import quoted
from services.rendering.slots import MARKS, Blank, Filling, Slot
from services.rendering.why import is_own_wish
from services.rendering.wording import LANGUAGES

MOST: Final = 64
"""Frames kept, some tens of kilobytes each: rounds that are sent side by side, in their kinds."""


@dataclass(slots=True)
class _Frame:
    """A round's mail with slots. `round` is what it was made of: another content is another frame."""

    round: Round
    subject: str
    text: Blank
    html: Blank
    calendar: tuple[bytes, ...]
    """The calendar file, parted where the time of writing stands."""

    def written(self, letter: Letter, headers: MailHeaders) -> bytes:
        filling = _filling(personal(letter))
        file = quoted(stamp(letter.at)).join(self.calendar)
        return head(self.subject, headers) + body(self.text.filled(filling), self.html.filled(filling), file)


class Frames:
    """Writes mails; keeps the frames that were used last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._frames: OrderedDict[Hashable, tuple[Round, _Frame | None]] = OrderedDict()

    def write(self, letter: Letter, headers: MailHeaders) -> bytes:
        """The bytes of a mail."""
        frame = self._frame(letter)
        return compose(rendered(letter, personal(letter)), headers) if frame is None else frame.written(letter, headers)

    def _frame(self, letter: Letter) -> _Frame | None:
        key = _key(letter)
        round_, frame = self._frames.get(key) or (None, None)
        if round_ is not letter.round and round_ != letter.round:
            frame = _made(letter)
        self._frames[key] = (letter.round, frame)
        self._frames.move_to_end(key)
        while len(self._frames) > self._most:
            self._frames.popitem(last=False)
        return frame


def _key(letter: Letter) -> Hashable:
    """All that the words in common depend on, but the round's own content."""
    told = dates.local(letter.told_at).date() if letter.told_at else None
    return (
        letter.round.round_id,
        letter.kind,
        letter.brand,
        letter.links.manage_url,
        letter.links.privacy_url,
        letter.links.cases_url,
        is_own_wish(letter.workplaces, letter.facts),
        letter.introduce,
        letter.rehearsal,
        (dates.local(letter.at).date(), told) if letter.kind == "reminder" else None,
        letter.wording.version,
        letter.lang,
    )


def _made(letter: Letter) -> _Frame | None:
    """The frame, or None where it would not give the same as writing each mail anew."""
    links = letter.links
    slots = Personal(
        {lang: Slot(f"intro_{lang}") for lang in LANGUAGES},
        {lang: (Slot(f"why_{lang}", many=True),) for lang in LANGUAGES},
        Slot("preheader"),
        Links(Slot("answer_url"), Slot("stop_url"), links.manage_url, links.privacy_url, links.cases_url),
    )
    common = rendered(letter, slots)
    text, html = Blank(common.text), Blank(common.html, _escaped)
    for own in _readers(letter):
        each = rendered(letter, own)
        if MARKS.search(each.text + each.html):
            return None
        if (text.filled(_filling(own)), html.filled(_filling(own))) != (quoted(each.text), quoted(each.html)):
            return None
    file = tuple(quoted(part) for part in common.calendar.split(stamp(letter.at))) if common.calendar else ()
    return _Frame(letter.round, common.subject, text, html, file)


def _escaped(text: str) -> str:
    """As the templates escape."""
    return str(escape(text)) if _SPECIAL.search(text) else text


_SPECIAL: Final = re.compile("[<>&\"']")


def _readers(letter: Letter) -> Iterator[Personal]:
    """Made-up readers, with signs that are escaped, long words, and from none to several reasons."""
    url = "https://x.example/i/"
    for number, word in enumerate(("", "å", "<&>\"'", "ordet " * 30)):
        links = Links(f"{url}{number}", f"{url}{number}/s", *_shared(letter.links))
        said: dict[Lang, str] = dict.fromkeys(LANGUAGES, word)
        yield Personal(said, dict.fromkeys(LANGUAGES, (word,) * number), word, links)


def _shared(links: Links) -> tuple[str, str, str]:
    return links.manage_url, links.privacy_url, links.cases_url


def _filling(own: Personal) -> Filling:
    return {
        "intro_sv": own.intro["sv"],
        "intro_en": own.intro["en"],
        "why_sv": own.why["sv"],
        "why_en": own.why["en"],
        "preheader": own.preheader,
        "answer_url": own.links.answer_url,
        "stop_url": own.links.stop_url,
    }
