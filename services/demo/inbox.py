"""The demo's inbox page: what arrived, what the flow counts, what was put aside and why.

A GET changes nothing. Pages work without scripts, and the policy forbids them; a mail's HTML is a page of its own in a
sandboxed frame whose policy lets it load nothing, so that what a mail holds can touch neither this page nor the net.
It listens on loopback only, because it shows addresses: invented ones.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.demo.board import Board, Mail, Sms
from services.demo.sketch import sketch
from services.demo.words import WORDS
from services.runtime.errors import Fault
from services.runtime.local_kafka import free_ports

HOST: Final = "127.0.0.1"
PORT: Final = 8800
PER_PAGE: Final = 50
REFRESH_SECONDS: Final = 2
ZONE: Final = ZoneInfo("Europe/Stockholm")
BOARD: Final = web.AppKey("board", Board)

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-top-navigation-by-user-activation"
)
HEADERS: Final[Mapping[str, str]] = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
OPEN_LINKS_OUTSIDE: Final = '<head>\n<base target="_top">'
"""Added to a mail that is shown: a link opens in the window, as in a mail client, not inside the frame."""

_TEMPLATES: Final = Environment(
    loader=PackageLoader("services.demo"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Row:
    """One message in the list."""

    kind: str
    number: int
    at: datetime
    to: str
    title: str

    @property
    def href(self) -> str:
        """Where the message is read."""
        return f"/{'mail' if self.kind == 'mails' else 'sms'}/{self.number}"


def application(board: Board) -> web.Application:
    """The pages over a board."""
    app = web.Application(middlewares=[_answers])
    app[BOARD] = board
    app.router.add_get("/", _list)
    app.router.add_get("/state.json", _state)
    app.router.add_get(r"/mail/{n:\d{1,9}}", _mail)
    app.router.add_get(r"/mail/{n:\d{1,9}}/html", _mail_html)
    app.router.add_get(r"/mail/{n:\d{1,9}}/source.eml", _mail_source)
    app.router.add_get(r"/sms/{n:\d{1,9}}", _sms)
    app.router.add_get("/inbox.css", _css)
    return app


class InboxServer:
    """The pages on a port of this machine."""

    def __init__(self, board: Board, port: int | None) -> None:
        self._board = board
        self._wanted = port or PORT
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.moved_from: int | None = None
        """The port that was busy, where another was taken."""

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listens; on another port when the wanted one is busy."""
        self._runner = web.AppRunner(application(self._board), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        for port in (self._wanted, *free_ports(3)):
            try:
                await web.TCPSite(self._runner, HOST, port).start()
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                self.moved_from = self._wanted
            else:
                self.port = port
                return
        raise Fault("no free port for the inbox page: give one with --port")

    async def stop(self) -> None:
        """Closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()


@web.middleware
async def _answers(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Every answer carries the policy; a page that is not there says what to do."""
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPNotFound:
        response = _page(request, "missing.html.j2", status=404)
    for name, value in {"Content-Security-Policy": PAGE_POLICY, **HEADERS}.items():
        response.headers.setdefault(name, value)
    return response


def _page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    lang = "en" if request.query.get("lang") == "en" else "sv"
    board = request.app[BOARD]
    text = _TEMPLATES.get_template(template).render(
        lang=lang,
        w=WORDS[lang],
        q="?lang=en" if lang == "en" else "",
        board=board,
        when=lambda at: _when(at, lang),
        same_in=f"{request.path}?lang={WORDS[lang]['other_lang']}",
        refresh=None,
        **values,
    )
    return web.Response(text=text, content_type="text/html", status=status)


def _when(at: datetime, lang: str) -> str:
    local = at.astimezone(ZONE)
    days = {
        "sv": ("mån", "tis", "ons", "tor", "fre", "lör", "sön"),
        "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    }
    return (
        f"{days[lang][local.weekday()]} {local:%H.%M}"
        if lang == "sv"
        else f"{days[lang][local.weekday()]} {local:%H:%M}"
    )


async def _list(request: web.Request) -> web.Response:
    board = request.app[BOARD]
    rows, cases = _rows(board), board.cases()
    pages = max(1, -(-len(rows) // PER_PAGE))
    page = min(pages, _number(request.query.get("page", "1")))
    paused = "paused" in request.query or page > 1
    return _page(
        request,
        "list.html.j2",
        rows=rows[(page - 1) * PER_PAGE : page * PER_PAGE],
        page=page,
        pages=pages,
        paused=paused,
        refresh_seconds=REFRESH_SECONDS,
        bakery=board.first_to_read(),
        now=board.clock.now() if board.clock else None,
        summary=board.summary(),
        sketch=sketch(cases, board.members),
        cases=cases,
    )


def _rows(board: Board) -> list[Row]:
    mails = [Row("mails", mail.number, mail.at, mail.to, mail.subject) for mail in board.mails]
    texts = [Row("sms", sms.number, sms.at, sms.to, sms.text) for sms in board.texts]
    return sorted([*mails, *texts], key=lambda row: (row.at, row.number), reverse=True)


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


async def _state(request: web.Request) -> web.Response:
    return web.json_response(request.app[BOARD].summary())


def _found_mail(request: web.Request) -> Mail:
    number, mails = int(request.match_info["n"]), request.app[BOARD].mails
    if not 1 <= number <= len(mails):
        raise web.HTTPNotFound
    return mails[number - 1]


def _found_sms(request: web.Request) -> Sms:
    number, texts = int(request.match_info["n"]), request.app[BOARD].texts
    if not 1 <= number <= len(texts):
        raise web.HTTPNotFound
    return texts[number - 1]


def _part(mail: Mail, kind: str) -> str:
    body = mail.parsed.get_body((kind,))
    return str(body.get_content()) if body is not None else ""


async def _mail(request: web.Request) -> web.Response:
    mail = _found_mail(request)
    headers = [(name, str(value)) for name, value in mail.parsed.items()]
    return _page(request, "mail.html.j2", mail=mail, text=_part(mail, "plain"), headers=headers)


async def _mail_html(request: web.Request) -> web.Response:
    html = _part(_found_mail(request), "html").replace("<head>", OPEN_LINKS_OUTSIDE, 1)
    return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


async def _mail_source(request: web.Request) -> web.Response:
    mail = _found_mail(request)
    name = {"Content-Disposition": f'attachment; filename="demo-{mail.number}.eml"'}
    return web.Response(body=mail.raw, content_type="message/rfc822", headers=name)


async def _sms(request: web.Request) -> web.Response:
    return _page(request, "sms.html.j2", sms=_found_sms(request))


async def _css(_request: web.Request) -> web.Response:
    text = files("services.demo").joinpath("static/inbox.css").read_text(encoding="utf-8")
    return web.Response(text=text, content_type="text/css")
