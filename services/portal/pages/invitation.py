"""The invitation, which is the answer page: read, fill in, review, send, receipt.

A message may carry several rounds (a digest does): its own page lists them, and each has its answer page below it.
A GET changes nothing: it shows, and a link may preselect. What is typed travels in the forms alone until it is sent, so
that nothing of it is stored, or stands in an address, before its owner has seen it once more. There are no cookies: the
token in the address is what opens the page, and a page of somebody else's cannot know it.
"""

import re
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.portal import answers, form, invited
from services.portal.form import Block, Form
from services.portal.invited import Carried
from services.portal.pages import shown
from services.portal.pages.render import fields, language, page, redirect
from services.portal.portal import Portal
from services.rendering import asking, outcome
from services.rendering.calendar import calendar, public_page
from services.runtime.link_tokens import Purpose, mint, verify

_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")


class InvitationPages:
    """The pages behind one message's answer link."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def routes(self) -> list[BaseRoute]:
        """Their addresses, for a message and for one round of it. A GET of one that takes a form leads back."""
        return [route for root in ("/i/{token}", "/i/{token}/arende/{choice}") for route in self._below(root)]

    def _below(self, root: str) -> list[BaseRoute]:
        return [
            Route(root, self.invitation),
            Route(f"{root}/granska", self.review, methods=["POST"]),
            Route(f"{root}/granska", self.back),
            Route(f"{root}/svar", self.answer, methods=["POST"]),
            Route(f"{root}/svar", self.back),
            Route(f"{root}/tack", self.thanks),
            Route(f"{root}/mote.ics", self.meeting),
        ]

    async def invitation(self, request: Request) -> Response:
        """What is asked, why, and the form."""
        carried = await self._carried(request)
        if carried is None:
            return self._moment(request)
        preselected = request.query_params.get("svar", "").replace("-", "_")
        asked = form.blocks(carried.groups)
        answered = any(item.answer for block in asked for item in block.invited)
        ask = not answered or bool(preselected) or "andra" in request.query_params
        return self._invitation(request, carried, asked, form.before(asked, preselected), ask=ask)

    async def review(self, request: Request) -> Response:
        """What was filled in, to be looked at once more before it is sent. Nothing is stored."""
        carried = await self._carried(request)
        if carried is None:
            return self._moment(request)
        asked, given = form.blocks(carried.groups), await fields(request)
        filled = form.read(given, asked)
        if not asked:
            return self._too_late(request, carried, given)
        if "andra" in given:
            return self._invitation(request, carried, asked, Form(filled.filled))
        if filled.faults:
            return self._invitation(request, carried, asked, filled)
        return self._review(request, asked, filled, secrets.token_urlsafe(16))

    async def answer(self, request: Request) -> Response:
        """Stores the answer and leads to the receipt."""
        number = self._number(request)
        given = await fields(request)
        async with self._portal.database.transaction() as connection:
            carried = await self._known(request, connection, number)
            if carried is None:
                return self._moment(request)
            asked = form.blocks(carried.groups)
            filled, key = form.read(given, asked), given.get("nyckel", "")
            if not asked:
                return self._too_late(request, carried, given)
            if filled.faults:
                return self._invitation(request, carried, asked, filled)
            if not _KEY.fullmatch(key):
                return self._review(request, asked, filled, secrets.token_urlsafe(16))
            await answers.record(connection, self._portal, carried, asked, filled, key, language(request))
        self._portal.wake()
        return self._redirect(request, "/tack")

    async def thanks(self, request: Request) -> Response:
        """The receipt of the last form that was sent by this link."""
        carried = await self._carried(request)
        if carried is None:
            return self._moment(request)
        given = [(group, item) for group in carried.groups for item in group.invited if item.answer]
        if not given:
            return self._redirect(request, "")
        last = max(item.answer.at for _, item in given if item.answer)
        told = [(group, item) for group, item in given if item.answer and item.answer.at == last]
        return page(
            self._portal, request, "thanks.html", carried=carried, told=told, asking=asking, shown=shown,
            root=self._root(request), list_path=self._list_path(request, carried),
        )  # fmt: skip

    async def meeting(self, request: Request) -> Response:
        """The meetings that a message invites to, as a calendar file."""
        carried = await self._carried(request)
        if carried is None:
            return self._moment(request)
        rounds = [group.round for group in carried.groups if group.round.texts.meeting is not None]
        if not rounds:
            raise HTTPException(404)
        cases_url = f"{self._portal.settings.portal.base_url}/arenden"
        pages = [(round_, public_page(cases_url, round_)) for round_ in rounds]
        text = calendar(pages, language(request), self._portal.clock.now())
        headers = {"Content-Disposition": 'attachment; filename="mote.ics"'}
        return Response(text, media_type="text/calendar", headers=headers)

    async def back(self, request: Request) -> Response:
        """A form's address, opened without its form."""
        self._number(request)
        return self._redirect(request, "")

    def _number(self, request: Request) -> int:
        """The message's number. A token that we did not make for this purpose is no page of ours."""
        number = verify(request.path_params["token"], self._portal.token_keys, Purpose.ANSWER)
        if number is None:
            raise HTTPException(404)
        return number

    async def _carried(self, request: Request) -> Carried | None:
        number = self._number(request)
        async with self._portal.database.transaction() as connection:
            return await self._known(request, connection, number)

    async def _known(self, request: Request, connection: AsyncConnection, number: int) -> Carried | None:
        """What the message carries: the one round that the address names, or all of them. None until it was read."""
        carried = await invited.carried(connection, number, self._portal.clock.now())
        return carried.about(self._choice(request)) if carried else None

    def _choice(self, request: Request) -> str:
        choice: str = request.path_params.get("choice", "")
        return choice

    def _root(self, request: Request) -> str:
        """The address that this page's forms and links are below."""
        choice = self._choice(request)
        return f"/i/{request.path_params['token']}" + (f"/arende/{quote(choice, safe='')}" if choice else "")

    def _list_path(self, request: Request, carried: Carried) -> str:
        """Where all rounds of the message are, for a page of one of several."""
        return f"/i/{request.path_params['token']}" if carried.chosen else ""

    def _is_one(self, request: Request, carried: Carried) -> bool:
        """Whether the page is of one round, and of the one that its address names."""
        return len(carried.groups) == 1 and carried.groups[0].round.round_id.startswith(self._choice(request))

    def _matters(self, request: Request, carried: Carried) -> Response:
        """The rounds of a message, each with its page."""
        lang = language(request)
        return page(
            self._portal,
            request,
            "matters.html",
            groups=[shown.shown(carried, group, lang) for group in carried.groups],
            root=f"/i/{request.path_params['token']}",
            stop_path=self._stop_path(carried),
            asking=asking,
        )

    def _stop_path(self, carried: Carried) -> str:
        return f"/avsluta/{mint(carried.number, self._portal.token_keys[0], Purpose.STOP)}"

    def _invitation(
        self, request: Request, carried: Carried, asked: tuple[Block, ...], filled: Form, *, ask: bool = True
    ) -> Response:
        lang = language(request)
        if not self._is_one(request, carried):
            return self._matters(request, carried)
        return page(
            self._portal,
            request,
            "invitation.html",
            status=422 if filled.faults else 200,
            carried=carried,
            group=shown.shown(carried, carried.groups[0], lang),
            asked=asked,
            filled=filled,
            faults={fault.field: fault.code for fault in filled.faults},
            ask=ask,
            stop_path=self._stop_path(carried),
            list_path=self._list_path(request, carried),
            root=self._root(request),
            asking=asking,
            outcome=outcome,
            shown=shown,
            form=form,
        )

    def _review(self, request: Request, asked: tuple[Block, ...], filled: Form, key: str) -> Response:
        given = filled.given(asked)
        return page(
            self._portal, request, "review.html", given=given, asked=asked, filled=filled, key=key,
            root=self._root(request), asking=asking, shown=shown, form=form,
        )  # fmt: skip

    def _too_late(self, request: Request, carried: Carried, given: Mapping[str, str]) -> Response:
        """The time ended between the form and its sending: what was written is shown, not stored."""
        written = [value for name, value in given.items() if name.startswith("text-") and value.strip()]
        groups = [shown.shown(carried, group, language(request)) for group in carried.groups]
        return page(
            self._portal, request, "too_late.html", status=409, written=written, groups=groups,
            root=self._root(request),
        )  # fmt: skip

    def _moment(self, request: Request) -> Response:
        """A true token of a message that has not been read yet. 503: nothing is wrong with the link, and whoever
        checks links shall come again (RFC 9110 §15.6.4).
        """
        return moment(self._portal, request)

    def _redirect(self, request: Request, to: str) -> Response:
        return redirect(self._portal, request, self._root(request) + to)


def moment(portal: Portal, request: Request) -> Response:
    """«One moment»: reloads by itself, until its reader says stop."""
    reload = request.query_params.get("vanta") != "nej"
    headers = {"Retry-After": "5"} | ({"Refresh": "5"} if reload else {})
    return page(portal, request, "moment.html", status=503, headers=headers, reload=reload, here_path=request.url.path)


def routes(portal: Portal) -> list[BaseRoute]:
    """Their routes."""
    return InvitationPages(portal).routes()
