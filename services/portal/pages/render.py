"""From values to a page: language, template, the words that every page has.

Autoescaping is on: what a case, a company or an answer says is shown as text. Links are made by `url`, so that they
keep the language and the path that a proxy may put in front.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal.pages.words import WORDS
from services.portal.portal import Portal
from services.rendering import dates
from services.rendering.dates import Lang
from services.rendering.wording import STANDARD

MOST_FIELDS: Final = 1000
HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
CSS_VERSION: Final = hashlib.blake2b((STATIC / "portal.css").read_bytes(), digest_size=6).hexdigest()


def language(request: Request) -> Lang:
    """Swedish, unless `?lang=en`."""
    return "en" if request.query_params.get("lang") == "en" else "sv"


@dataclass(frozen=True)
class Urls:
    """Makes links of this page's language under the portal's own path."""

    prefix: str
    lang: Lang

    def __call__(self, path: str) -> str:
        """A link to a page; `path` begins with a slash and its parts are quoted."""
        return self.prefix + path + ("" if self.lang == "sv" else ("&" if "?" in path else "?") + "lang=en")


def urls(portal: Portal, request: Request) -> Urls:
    """The links of a request's language."""
    return Urls(urlsplit(portal.settings.portal.base_url).path.rstrip("/"), language(request))


def redirect(portal: Portal, request: Request, path: str) -> RedirectResponse:
    """Leads from a form to a page of the same language."""
    return RedirectResponse(urls(portal, request)(path), 303)


async def multi_fields(request: Request) -> list[tuple[str, str]]:
    """A form's fields in order, without the NULs that no store holds. Files are not taken."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    return [(name, value.replace("\0", "")) for name, value in form.multi_items() if isinstance(value, str)]


async def fields(request: Request) -> dict[str, str]:
    """A form's fields; of several with one name the last."""
    return dict(await multi_fields(request))


def page(
    portal: Portal,
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A rendered page. `template` is given `t`, the words, `url`, `lang` and `values`."""
    lang, url = language(request), urls(portal, request)
    html = TEMPLATES.get_template(template).render(
        lang=lang,
        t=WORDS[lang],
        mail=STANDARD.words("mail", lang),
        url=url,
        here=url.prefix + quote(request.url.path),
        options=portal.settings.portal,
        css_version=CSS_VERSION,
        **values,
    )
    return HTMLResponse(html, status, headers=dict(headers or {}))


TEMPLATES: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
TEMPLATES.filters["full_day"] = dates.full
TEMPLATES.filters["day_and_month"] = dates.day_and_month
TEMPLATES.filters["clock"] = dates.clock
TEMPLATES.filters["local"] = dates.local
TEMPLATES.filters["phone"] = lambda number: "".join(c for c in number if c.isdigit() or c == "+")
TEMPLATES.filters["part"] = lambda text: quote(text, safe="")
