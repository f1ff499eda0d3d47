"""The templates of mails. What a case says is escaped in HTML, so that it is shown as text (FC-041)."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.rendering.plaintext import wrap


def templates() -> Environment:
    """The templates of mails, shared by every kind of them."""
    return _TEMPLATES


_TEMPLATES: Final = Environment(
    loader=PackageLoader("services.rendering", "templates"),
    autoescape=select_autoescape(disabled_extensions=("txt.j2",), default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_TEMPLATES.filters["wrap"] = wrap
