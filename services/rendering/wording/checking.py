"""What a municipality put in place of our words and templates is tried before anything is sent with it.

A word must be one of ours, with exactly the places to be filled in that ours has, and an SMS must fit one. A template
must parse, name nothing that it is not given, show what a message may not be without, and fetch nothing. `Unfit` says
the file, the line and what to do.
"""

import re
import tomllib
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from string import Formatter
from typing import Final

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes
from markupsafe import escape

from services.rendering import digest, mail, notices, samples
from services.rendering.dates import Lang
from services.rendering.digest import DigestLetter, render_digest
from services.rendering.letter import Letter
from services.rendering.mail import render
from services.rendering.message import RenderedMail
from services.rendering.notices import NoticeLetter, render_notice
from services.rendering.sms import LONGEST_LINK, PART, septets
from services.rendering.wording import LANGUAGES, Wording, environment, own_tables, own_templates, tables_of

_TEMPLATE: Final = re.compile(r"(mail|digest|notice|sheet)(?:\.([a-z0-9_]+))?\.(txt|html)\.j2")
_FORM_TABLE: Final = re.compile(r"form\.([^.]+)\.(.+)")
_GIVEN: Final = frozenset({"subject", "preheader", "halves", "links", "url"})
_FETCHES: Final = re.compile(
    r"<(?:img|link|script|iframe|object|embed|svg|form)\b|url\(|@import|\bsrc\s*=", re.IGNORECASE
)
_SMS_TABLES: Final = ("sms", "changes.sms", "notices.sms")


class Unfit(ValueError):
    """A word or a template that cannot be used: `file:line: what is wrong. What to do.`"""

    def __init__(self, file: str, line: int | None, what: str, do: str) -> None:
        super().__init__(f"{file}{f':{line}' if line else ''}: {what}. {do}{'' if do.endswith('?') else '.'}")


def overriding(files: Mapping[str, str], forms: Collection[str] = ()) -> Wording:
    """Our words and templates with what these files, by name, put in place of them. `forms` are the forms of dialogue
    that words may be given for; none are checked where none are named. Raises `Unfit`.
    """
    tables: dict[Lang, dict[str, dict[str, str]]] = {}
    templates: dict[str, str] = {}
    for name, content in sorted(files.items()):
        language = next((lang for lang in LANGUAGES if name == f"{lang}.toml"), None)
        if language:
            tables[language] = _words(name, content, language, forms)
        elif found := _TEMPLATE.fullmatch(name):
            if found[2]:
                _known_form(name, None, found[2], forms)
            templates[name] = content
        else:
            raise Unfit(name, None, "no such file of words or templates", f"Use one of {', '.join(_names())}")
    for name, content in templates.items():
        _parsed(name, content)
    wording = Wording(tables, templates)
    for name in templates:
        _tried(name, wording)
    return wording


def _names() -> list[str]:
    return sorted(
        [f"{lang}.toml" for lang in LANGUAGES] + [name for name in own_templates() if _TEMPLATE.fullmatch(name)]
    )


def _words(file: str, content: str, lang: Lang, forms: Collection[str]) -> dict[str, dict[str, str]]:
    try:
        tables = tables_of(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise Unfit(file, int(line[1]) if line else None, f"no TOML: {error}", "Correct it") from None
    except TypeError as error:
        name = str(error)
        raise Unfit(
            file, _line(content, *_split(name)), f"{name} is no text", "Put it in quotes, under a heading"
        ) from None
    for table, words in tables.items():
        form = _FORM_TABLE.fullmatch(table)
        own = own_tables(lang).get(form[2] if form else table)
        if form:
            _known_form(file, _line(content, table, None), form[1], forms)
        if own is None:
            headings = [name for name in own_tables(lang) if not name.startswith("form.")]
            raise Unfit(file, _line(content, table, None), f"no heading [{table}] of ours", _nearest(table, headings))
        for key, text in words.items():
            _word(file, _line(content, table, key), table, key, text, own)
    return tables


def _known_form(file: str, line: int | None, form: str, forms: Collection[str]) -> None:
    if forms and form not in forms:
        raise Unfit(file, line, f"no form of dialogue {form!r} in the model", _nearest(form, forms))


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, 3)
    return f"Did you mean {' or '.join(close)}?" if close else f"Use one of {', '.join(sorted(known))}"


def _word(file: str, line: int | None, table: str, key: str, text: str, own: Mapping[str, str]) -> None:
    if key not in own:
        raise Unfit(file, line, f"no word {key!r} under [{table}]", _nearest(key, own))
    try:
        given = _places(text)
    except ValueError:
        raise Unfit(
            file, line, f"{key!r} has a brace alone or a place in another form", "Write places as {name}"
        ) from None
    wanted = _places(own[key])
    for name in sorted(given - wanted):
        do = f"It may have {_listed(wanted)}" if wanted else "It has none: write {{ and }} for braces"
        raise Unfit(file, line, f"{key!r} has the unknown place {{{name}}}", do)
    for name in sorted(wanted - given):
        raise Unfit(file, line, f"{key!r} lacks {{{name}}}", f"It must have {_listed(wanted)}")
    if table.removeprefix("form.").partition(".")[2] in _SMS_TABLES or table in _SMS_TABLES:
        _sms(file, line, key, text)


def _places(text: str) -> set[str]:
    """What is to be filled in. Raises `ValueError` for more than a bare name."""
    found = set()
    for _, name, spec, conversion in Formatter().parse(text):
        if name is not None:
            if spec or conversion or not re.fullmatch(r"[a-z_]+", name):
                raise ValueError(name)
            found.add(name)
    return found


def _listed(places: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(places))


def _sms(file: str, line: int | None, key: str, text: str) -> None:
    """A sentence around a link leaves room for the link and for enough of a title."""
    bare = "".join(literal for literal, *_ in Formatter().parse(text))
    try:
        taken = septets(bare)
    except ValueError as error:
        raise Unfit(file, line, f"{key!r}: {error}", "Write it with other signs, such as - for –") from None
    room = PART - sum(_WIDTHS.get(name, 0) for name in _places(text))
    if "{link}" in text and taken > room:
        raise Unfit(file, line, f"{key!r} takes {taken} of an SMS's 160 septets", f"Shorten it to {room}")


_WIDTHS: Final = {
    "link": LONGEST_LINK,
    "who": 11,
    "title": 8,
    "when": 15,
    "by": 24,
    "day": 6,
    "reference": 20,
    "count": 4,
}
"""How many septets what is filled in takes, or needs where it yields."""


def _line(content: str, table: str, key: str | None) -> int | None:
    """Where a heading stands, or a key below it."""
    inside = False
    for number, text in enumerate(content.splitlines(), 1):
        if heading := re.match(r"\s*\[([^\[\]]+)\]", text):
            inside = re.sub(r"\s|\"", "", heading[1]) == table
            if inside and key is None:
                return number
        elif inside and key is not None and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", text):
            return number
    return None


def _split(name: str) -> tuple[str, str]:
    table, _, key = name.rpartition(".")
    return table, key


def _parsed(file: str, content: str) -> None:
    """The template parses and names nothing that it is not given."""
    syntax = environment({})
    try:
        tree = syntax.parse(content)
    except TemplateSyntaxError as error:
        raise Unfit(file, error.lineno, error.message or "no template", "Correct it") from None
    for name in sorted(meta.find_undeclared_variables(tree) - _GIVEN):
        line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), None)
        raise Unfit(file, line, f"unknown {name!r}", f"A template is given {', '.join(sorted(_GIVEN))}")
    for number, text in enumerate(content.splitlines(), 1):
        if found := _FETCHES.search(text):
            raise Unfit(file, number, f"{found[0]!r} fetches or runs something", "A message fetches nothing: remove it")


def _tried(file: str, wording: Wording) -> None:
    """Made-up messages come out of it with what they may not be without."""
    found = _TEMPLATE.fullmatch(file)
    stem, form, ending = (found[1], found[2] or "", found[3]) if found else ("", "", "")
    for message in _messages(stem, form, wording):
        try:
            made = message.make()
        except TemplateError as error:
            raise Unfit(file, _line_in(error, file), error.message or type(error).__name__, "Correct it") from None
        shown = _plain(made.html if ending == "html" else made.text)
        for what, texts in message.needed.items():
            for text in texts:
                if _plain(str(escape(text)) if ending == "html" else text) not in shown:
                    raise Unfit(file, None, f"{what} is missing", f"Put {{{{ {what} }}}} where ours has it")


def _plain(text: str) -> str:
    """As a reader sees it: in any case, whatever its lines."""
    return " ".join(text.split()).casefold()


def _line_in(error: Exception, file: str) -> int | None:
    """Templates are compiled with their own lines: the innermost one of this file."""
    steps = traceback.extract_tb(error.__traceback__)
    return next((step.lineno for step in reversed(steps) if step.filename in ("<template>", file)), None)


@dataclass(frozen=True)
class _Made:
    """A made-up message, and what it must show by the name that its template is given it under."""

    make: Callable[[], RenderedMail]
    needed: Mapping[str, Sequence[str]]


def _messages(stem: str, form: str, wording: Wording) -> Iterator[_Made]:
    """Made-up messages that a template takes part in."""
    links = samples.links_at(samples.PORTAL)
    common: dict[str, Sequence[str]] = {
        "links.stop_url": [links.stop_url],
        "links.manage_url": [links.manage_url],
        "links.answer_url": [links.answer_url],
    }
    if stem in ("mail", "sheet"):
        for kind in (*samples.ROUNDS, "reminder"):
            letter = samples.letter_about(samples.round_of(kind, form), kind, wording)
            yield _Made(partial(render, letter), common | _of_mail(letter))
    if stem in ("digest", "sheet"):
        gathered = samples.digest_about(samples.rounds_of_digest(), wording, more=2)
        yield _Made(partial(render_digest, gathered), common | _of_digest(gathered))
    if stem in ("notice", "sheet"):
        for kind in samples.NOTICES:
            notice = samples.notice_about(kind, wording)
            yield _Made(partial(render_notice, notice), {"url": [notice.url], **_of_notice(notice)})


def _of_mail(letter: Letter) -> dict[str, Sequence[str]]:
    halves = [mail.half(letter, mail.personal(letter), lang) for lang in LANGUAGES]
    return {
        "half.intro": [half.intro for half in halves],
        "half.heading": [half.heading for half in halves],
        "half.deadline": [half.deadline for half in halves],
        "half.lead": [line for half in halves for line in half.lead],
        "half.why.lines": [line for half in halves for line in half.why.lines],
        "section.lines": [line for half in halves for section in half.sections for line in section.lines],
    }


def _of_digest(letter: DigestLetter) -> dict[str, Sequence[str]]:
    halves = [digest.half(letter, lang) for lang in LANGUAGES]
    items = [item for half in halves for item in half.items]
    return {
        "half.heading": [half.heading for half in halves],
        "half.lead": [half.lead for half in halves],
        "half.more": [half.more for half in halves],
        "item.title": [item.title for item in items],
        "item.about": [line for item in items for line in item.about],
        "item.deadline": [item.deadline for item in items],
        "item.reasons": [reason for item in items for reason in item.reasons],
        "item.url": [item.url for item in items],
        "section.lines": [line for half in halves for section in half.sections for line in section.lines],
    }


def _of_notice(letter: NoticeLetter) -> dict[str, Sequence[str]]:
    halves = [notices.half(letter, lang) for lang in LANGUAGES]
    return {
        "half.heading": [half.heading for half in halves],
        "half.lines": [line for half in halves for line in half.lines],
        "half.foot": [line for half in halves for line in half.foot],
    }
