"""The words and templates of messages: our own, and what a municipality puts in their place.

A word is looked up by its table (`mail`, `sms`, `notices.receipt`), language and form of dialogue: the narrower goes
before the wider, and of the same width the municipality's before ours. What may be put in their place is checked by
`overriding`; nothing else makes a `Wording` than that and `STANDARD`.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, TypeAlias

from jinja2 import DictLoader, Environment, StrictUndefined, Template, select_autoescape

from services.rendering.dates import Lang
from services.rendering.slots import wrap

LANGUAGES: Final[tuple[Lang, ...]] = ("sv", "en")
Words: TypeAlias = Mapping[str, str]
Tables: TypeAlias = Mapping[str, Words]
"""Words by table; those of one form of dialogue under `form.<form>.<table>`."""


class Wording:
    """Words and templates of one installation. The same content has the same version."""

    def __init__(self, tables: Mapping[Lang, Tables], templates: Mapping[str, str]) -> None:
        self._tables = tables
        self._templates = templates
        self._environment = environment({**_OWN_TEMPLATES, **templates})
        self._known: dict[tuple[str, Lang, str], Words] = {}
        self.version: Final = _version(tables, templates)

    def words(self, table: str, lang: Lang, form: str = "") -> Words:
        """The words of a table in a language, for a form of dialogue."""
        key = (table, lang, form)
        if key not in self._known:
            self._known[key] = self._merged(table, lang, form)
        return self._known[key]

    def template(self, name: str, form: str = "") -> Template:
        """A template such as `mail.txt`, of its form where there is one."""
        stem, _, ending = name.partition(".")
        own = f"{stem}.{form}.{ending}.j2"
        return self._environment.get_template(own if own in self._templates else f"{name}.j2")

    def _merged(self, table: str, lang: Lang, form: str) -> Words:
        merged: dict[str, str] = {}
        for name in (table, f"form.{form}.{table}"):
            for tables in (_OWN_TABLES[lang], self._tables.get(lang, {})):
                merged |= tables.get(name, {})
        return merged


def tables_of(content: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, str]]:
    """The tables of a file of words by their dotted names. Raises `TypeError` naming a key whose value is no text."""
    words: dict[str, str] = {}
    found: dict[str, dict[str, str]] = {}
    for key, value in content.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            found |= tables_of(value, name)
        elif isinstance(value, str) and prefix:
            words[key] = value.strip("\r\n")
        else:
            raise TypeError(name)
    return {prefix: words} | found if words else found


def environment(templates: Mapping[str, str]) -> Environment:
    """Templates by name. What a case says is escaped in HTML, so that it is shown as text (FC-041)."""
    made = Environment(
        loader=DictLoader(templates),
        autoescape=select_autoescape(disabled_extensions=("txt.j2",), default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["wrap"] = wrap
    return made


def own_words(lang: Lang) -> str:
    """Our own file of words, as it may be copied and changed."""
    return resources.files(__name__).joinpath(f"{lang}.toml").read_text(encoding="utf-8")


def own_templates() -> Mapping[str, str]:
    """Our own templates by name."""
    return _OWN_TEMPLATES


def own_tables(lang: Lang) -> Tables:
    """Our own words by table."""
    return _OWN_TABLES[lang]


def _version(tables: Mapping[Lang, Tables], templates: Mapping[str, str]) -> str:
    """Over all that may be read, ours too: a message is known to come of it."""
    parts = [(lang, own_words(lang)) for lang in LANGUAGES] + sorted(_OWN_TEMPLATES.items())
    for lang, of_lang in sorted(tables.items()):
        parts += [(f"{lang}/{table}/{key}", text) for table, ws in sorted(of_lang.items()) for key, text in ws.items()]
    digest = hashlib.blake2b(digest_size=8, person=b"wording")
    for name, text in [*parts, *sorted(templates.items())]:
        digest.update(f"{len(name)} {len(text)} {name}{text}".encode())
    return digest.hexdigest()


_TEMPLATES_FOLDER: Final = resources.files("services.rendering").joinpath("templates")
_OWN_TEMPLATES: Final[Mapping[str, str]] = {
    file.name: file.read_text(encoding="utf-8") for file in _TEMPLATES_FOLDER.iterdir() if file.name.endswith(".j2")
}
_OWN_TABLES: Final[Mapping[Lang, Tables]] = {lang: tables_of(tomllib.loads(own_words(lang))) for lang in LANGUAGES}
STANDARD: Final = Wording({}, {})
"""Our own words alone."""
