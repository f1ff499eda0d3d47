"""Following an area: ask, confirm behind a mailed link, one's own list. Pages that work by forms alone.

A GET shows and changes nothing; the mailed link opens a page with a button, and the button is a POST. The links are the
only proof of who somebody is: there is no cookie, so nothing that another site could ride on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import func, or_, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from schemas import industries
from schemas.company import Company
from schemas.types import IndustryCode
from services.portal import places, wishes
from services.portal.pages.render import fields, language, multi_fields, page, redirect
from services.portal.pages.subscribe_words import WORDS
from services.portal.portal import Portal
from services.portal.store.tables import COMPANIES
from services.portal.subscribers import Subscribers
from services.portal.wishes import Fields, Premises, Read
from services.runtime.addresses import normal
from services.runtime.errors import Rejected

_MOST_FOUND: Final = 50
_LONGEST: Final = 300


def routes(portal: Portal) -> list[BaseRoute]:
    """Its routes."""
    subscribers = Subscribers(portal)
    town = places.of(portal.settings.portal.municipality)

    def show(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        words = WORDS[language(request)]
        return page(portal, request, template, status=status, s=words, **values)

    def form(request: Request, asked: Fields, read: Read, *, status: int = 200) -> Response:
        said = WORDS[language(request)]
        problems = [(problem.field, said[problem.key].format(**problem.values)) for problem in read.problems]
        return show(
            request,
            "subscribe.html",
            status=status,
            f=asked,
            read=read,
            problems=problems,
            wrong=dict(reversed(problems)),
            town=town,
            picture=places.picture(town),
            radii=wishes.RADII,
            frequencies=wishes.FREQUENCIES,
            available=subscribers.available,
        )

    async def start(request: Request) -> Response:
        return form(request, Fields(), Read())

    async def review(request: Request) -> Response:
        asked = _fields(await multi_fields(request))
        read = wishes.read(asked, town, await _found(portal, asked))
        if read.wish is None:
            return form(request, asked, read, status=422 if read.problems else 200)
        chosen = [item.code for item in read.wish.codes]
        return show(request, "subscribe_review.html", f=asked, wish=read.wish, codes=chosen)

    async def edit(request: Request) -> Response:
        asked = _fields(await multi_fields(request))
        codes = ", ".join(industries.written(code) for code in asked.codes)
        return form(request, replace(asked, industries=codes, codes=()), Read())

    async def send(request: Request) -> Response:
        asked = _fields(await multi_fields(request))
        read = wishes.read(asked, town, await _found(portal, asked))
        if read.wish is None or not subscribers.available:
            return form(request, asked, read, status=422)
        await subscribers.ask(read.wish, language(request))
        return redirect(portal, request, "/prenumerera/skickat")

    async def sent(request: Request) -> Response:
        return show(request, "subscribe_sent.html")

    async def confirm(request: Request) -> Response:
        token = request.path_params["token"]
        if request.method == "POST":
            done = await subscribers.confirm(token)
            return redirect(portal, request, f"/bekrafta/{token}") if done else _dead(request)
        pending = await subscribers.pending(token)
        if pending is None:
            return _dead(request)
        return show(request, "confirm.html", pending=pending, codes=_named(pending.subscription.industries))

    def _dead(request: Request) -> Response:
        return show(request, "dead_link.html", status=404)

    async def mine(request: Request) -> Response:
        return show(request, "mine.html", sent=False, wrong=None)

    async def ask_for_list(request: Request) -> Response:
        try:
            address, indexed = normal("email", _cut(await fields(request), "email"))
        except Rejected:
            wrong = WORDS[language(request)]["bad_email"]
            return show(request, "mine.html", status=422, sent=False, wrong=wrong)
        if subscribers.available:
            await subscribers.ask_for_list(address, indexed, language(request))
        return show(request, "mine.html", sent=True, wrong=None)

    async def own(request: Request) -> Response:
        found = await subscribers.own(request.path_params["token"])
        if found is None:
            return _dead(request)
        listed = [(item, _named(item.industries)) for item in found.subscriptions]
        return show(request, "own.html", listed=listed, removed=found.removed, token=request.path_params["token"])

    async def remove(request: Request) -> Response:
        return await change(request, subscribers.remove)

    async def undo(request: Request) -> Response:
        return await change(request, subscribers.undo)

    async def change(request: Request, act: Any) -> Response:
        token = request.path_params["token"]
        done = await act(token, _cut(await fields(request), "subscription"))
        return redirect(portal, request, f"/mina/{token}") if done else _dead(request)

    return [
        Route("/prenumerera", start),
        Route("/prenumerera/granska", review, methods=["POST"]),
        Route("/prenumerera/andra", edit, methods=["POST"]),
        Route("/prenumerera", send, methods=["POST"]),
        Route("/prenumerera/skickat", sent),
        Route("/bekrafta/{token}", confirm, methods=["GET", "POST"]),
        Route("/mina", mine),
        Route("/mina", ask_for_list, methods=["POST"]),
        Route("/mina/{token}", own),
        Route("/mina/{token}/ta-bort", remove, methods=["POST"]),
        Route("/mina/{token}/angra", undo, methods=["POST"]),
    ]


def _fields(given: Sequence[tuple[str, str]]) -> Fields:
    """The form as text, each field within a length that no honest one passes."""
    form = dict(given)
    names = ("where", "workplace", "workplace_id", "place", "latitude", "longitude", "industries", "email", "frequency")
    radius = _cut(form, "radius")
    return Fields(
        **{name: _cut(form, name) for name in names},
        radius=_cut(form, "other_radius") if radius == "other" else radius,
        codes=tuple(value[:10] for name, value in given if name == "codes")[:50],
    )


def _cut(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "")[:_LONGEST].strip()


async def _found(portal: Portal, asked: Fields) -> Sequence[Premises]:
    """The active workplaces that a search, or a choice among its hits, names. Half a word is enough."""
    if asked.where != "workplace":
        return ()
    active = select(COMPANIES.c.body).where(
        COMPANIES.c.municipality == portal.settings.portal.municipality, COMPANIES.c.status == "active"
    )
    if asked.workplace_id:
        statement = active.where(COMPANIES.c.workplace_id == asked.workplace_id)
    elif len(asked.workplace) >= 2:
        # SQLite folds the case of ASCII letters only: the word is also sought as it was typed and capitalised.
        name, word = COMPANIES.c.name, asked.workplace
        spelt = or_(
            func.lower(name).contains(word.lower(), autoescape=True),
            name.contains(word, autoescape=True),
            name.contains(word.capitalize(), autoescape=True),
        )
        statement = active.where(spelt).order_by(name).limit(_MOST_FOUND)
    else:
        return ()
    async with portal.database.transaction() as connection:
        bodies = (await connection.execute(statement)).scalars().all()
    return [_premises(Company.model_validate_json(body, extra="ignore")) for body in bodies]


def _premises(company: Company) -> Premises:
    return Premises(company.workplace_id, company.name, company.street, company.lon, company.lat)


def _named(codes: Sequence[IndustryCode]) -> list[str]:
    return [industries.label(item.code, item.version) for item in codes]
