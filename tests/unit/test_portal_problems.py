"""Problem documents: an error that nobody foresaw is one too, and says nothing of what was sent."""

import httpx
import pytest
from fastapi import FastAPI

from services.portal.api import problems
from services.portal.api.problems import ProblemDocument
from services.runtime.errors import Transient

pytestmark = pytest.mark.anyio


@pytest.fixture
def api() -> FastAPI:
    made = FastAPI()
    problems.handle(made)

    @made.get("/unforeseen")
    async def unforeseen() -> None:
        raise KeyError("19800101-1236")

    @made.get("/away")
    async def away() -> None:
        raise Transient("no Kafka at 10.1.2.3:9092")

    @made.get("/wrong/{number}")
    async def wrong(number: int) -> int:
        return number

    return made


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/unforeseen", 500, "unforeseen"),
        ("/away", 503, "try-again"),
        ("/wrong/19800101-1236", 422, "bad-parameter"),
        ("/nowhere/19800101-1236", 404, "not-found"),
    ],
)
async def test_every_failure_is_a_problem_that_quotes_nothing(api: FastAPI, path: str, status: int, kind: str) -> None:
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://prov.example") as client:
        answer = await client.get(path)
    told = ProblemDocument.model_validate(answer.json())
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, told.status, told.type) == (status, status, f"urn:nardialog:problem:{kind}")
    assert not any(word in answer.text for word in ("1980", "10.1.2.3"))
