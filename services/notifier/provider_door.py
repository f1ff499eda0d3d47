"""The notifier's own public port: where SMS providers tell what became of messages, and what people wrote back.

`POST /receipts/<provider>/<token>` and `POST /answers/<provider>/<token>`. The token holds the message's number and a
proof that we made it; a provider that signs its calls must have signed this one too. Guaranteed: whoever cannot prove
that changes nothing and learns nothing; a proven call is answered 204 whatever it says, so that a provider does not
call again and again about a message of which we know nothing; 503 when the ledger does not answer, so that it does.
A GET changes nothing. Bodies are small forms, read within ten seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from services.notifier.channels.callbacks import Callbacks, Form
from services.notifier.outcomes.answers import Answers
from services.notifier.outcomes.receipts import Receipts
from services.runtime.errors import Transient
from services.runtime.link_tokens import Purpose, mint, verify
from services.runtime.metrics import PROVIDER_CALLS

_BYTES: Final = 16_384
_FIELDS: Final = 100
_SECONDS: Final = 10
_FORM: Final = "application/x-www-form-urlencoded"

_Handle = Callable[[Callbacks, int, Form], Awaitable[str]]


class ProviderDoor:
    """An HTTP server for the callbacks of these providers. `port` is the real one once it has started; what any of
    `keys` proves is believed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        public_url: str,
        keys: Sequence[bytes],
        callbacks: Sequence[Callbacks],
        receipts: Receipts,
        answers: Answers,
    ) -> None:
        self._host = host
        self.port = port
        self._public_url = public_url
        self._keys = keys
        self._callbacks: Mapping[str, Callbacks] = {one.provider: one for one in callbacks}
        self._receipts = receipts
        self._answers = answers
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Opens the port, where some provider may call."""
        if not self._callbacks:
            return
        app = web.Application(client_max_size=_BYTES)
        app.router.add_post("/receipts/{provider}/{token}", self._on_receipt)
        app.router.add_post("/answers/{provider}/{token}", self._on_answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SECONDS)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Lets the calls under way end, and closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _on_receipt(self, request: web.Request) -> web.Response:
        def url(callbacks: Callbacks, token: str) -> str:
            return callbacks.receipt_url(token)

        return await self._answer(request, Purpose.RECEIPT, url, self._receipt)

    async def _on_answer(self, request: web.Request) -> web.Response:
        def url(callbacks: Callbacks, token: str) -> str:
            return f"{self._public_url}/answers/{callbacks.provider}/{token}"

        return await self._answer(request, Purpose.ANSWERS, url, self._text)

    async def _answer(
        self, request: web.Request, purpose: Purpose, url: Callable[[Callbacks, str], str], handle: _Handle
    ) -> web.Response:
        provider, token = request.match_info["provider"], request.match_info["token"]
        callbacks = self._callbacks.get(provider)
        if callbacks is None:
            return web.Response(status=404)
        number = verify(token, self._keys, purpose)
        form = await _form(request)
        if form is None:
            outcome, status = "unreadable", 400
        elif number is None or not callbacks.proven(url(callbacks, token), form, request.headers):
            outcome, status = "refused", 403
        else:
            outcome, status = await _surely(handle, callbacks, number, form)
        PROVIDER_CALLS.labels(provider, purpose.name.lower(), outcome).inc()
        return web.Response(status=status)

    async def _receipt(self, callbacks: Callbacks, number: int, form: Form) -> str:
        receipt = callbacks.receipt(form)
        return "no_receipt" if receipt is None else await self._receipts.take(callbacks.provider, number, receipt)

    async def _text(self, callbacks: Callbacks, _: int, form: Form) -> str:
        text = callbacks.text(form)
        return "no_text" if text is None else await self._answers.take(text)


def answers_url(public_url: str, provider: str, key: bytes) -> str:
    """Where a provider is told to send what people write back."""
    return f"{public_url}/answers/{provider}/{mint(0, key, Purpose.ANSWERS)}"


async def _form(request: web.Request) -> Form | None:
    """The form of a call, or None for what is none. A field given twice counts once, as Twilio signs it."""
    if request.content_type != _FORM:
        return None
    try:
        async with asyncio.timeout(_SECONDS):
            text = (await request.read()).decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS))
    except (ValueError, TimeoutError):
        return None


async def _surely(handle: _Handle, callbacks: Callbacks, number: int, form: Form) -> tuple[str, int]:
    try:
        return await handle(callbacks, number, form), 204
    except Transient:
        return "not_now", 503
