"""The server under the portal: who is being answered is answered, and a port that is taken is said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from services.portal.web import Receive, Scope, Send, WebServer
from services.runtime.errors import Fault
from tests.portal_world import free_port

pytestmark = pytest.mark.anyio


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answered"})


@asynccontextmanager
async def served(app: Slow, port: int) -> AsyncIterator[WebServer]:
    server = WebServer(app, host="127.0.0.1", port=port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_a_request_under_way_is_answered_when_the_server_stops_and_no_other_is_taken() -> None:
    slow, port = Slow(), free_port()
    async with served(slow, port) as server, httpx.AsyncClient(timeout=30) as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await slow.asked.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)  # the stop has been said
        slow.go.set()
        assert (await asking).text == "answered"
        await stopping
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_a_port_that_is_taken_is_a_fault_that_names_the_setting() -> None:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        with pytest.raises(Fault, match="NARDIALOG_PORTAL__PORT"):
            await WebServer(Slow(), host="127.0.0.1", port=port).start()
