"""SMS through 46elks' HTTP interface (46elks.com/docs: send-sms, sms-history, sms-delivery-reports).

46elks knows no key against doubles. Our reference rides in `whendelivered` instead, so that the receipt names the
message even when the answer to the POST was lost. `dontlog=message` keeps the text out of the provider's log, and so
`look_up` cannot compare texts.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.notifier.channels.http_account import NO_ANSWER, Answer, HttpAccount, count, trouble, unreadable
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.senders import SmsSender

PROVIDER: Final = "46elks"
_CALL_LASTS: Final = timedelta(minutes=10)  # a record this much younger than the intent belongs to another message


class Elks46Options(BaseModel):
    """An account with 46elks, or with something that answers like it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base_url: str = Field(default="https://api.46elks.com", pattern=r"^https?://[^/]+.*[^/]$")
    """Where its API answers."""
    username: str
    """The account's API user."""
    password: SecretStr
    """The account's API password."""
    sender: SmsSender
    """A name of at most 11 letters, digits and spaces, or a number in E.164."""
    receipt_base: str = Field(default="", pattern=r"^(https?://[^/]+.*[^/])?$")
    """Receipts come to this address with `/{reference}` after it; none are asked for when empty."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds for one call."""
    connections: int = Field(default=10, ge=1)
    """Connections to the provider at once."""


class Elks46Channel:
    """SMS by 46elks."""

    name = "sms"
    provider = PROVIDER

    def __init__(self, options: Elks46Options) -> None:
        self._options = options
        self._url = f"{options.base_url}/a1/sms"
        self._account = HttpAccount(
            options.username,
            options.password.get_secret_value(),
            timeout=options.timeout,
            connections=options.connections,
        )

    async def send(self, message: Outgoing) -> Outcome:
        """POST the message once."""
        answer = await self._account.post(self._url, self._form(message))
        return answer if isinstance(answer, Outcome) else _outcome_of(answer)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """Ask the history for this sender and number from the intent on."""
        since = _since(message)
        # In 46elks' words `end` is the older bound, for the list begins with the newest.
        asked = {"to": message.address, "end": _as_provider_writes(since), "limit": "100"}
        found = await self._account.listed(self._url, asked, "data")
        if found is None:
            return NO_ANSWER
        this = next((record for record in reversed(found) if self._is_this(record, message, since)), None)
        if this is not None and this.get("status") == "failed":
            return Outcome(State.FAILED, "undelivered")
        return _accepted(HTTPStatus.OK, this) if this else None

    async def close(self) -> None:
        """Close the kept connections; a message under way ends as unknown."""
        await self._account.close()

    def _form(self, message: Outgoing) -> dict[str, str]:
        form = {
            "from": self._options.sender,
            "to": message.address,
            "message": message.body.decode("utf-8"),
            "dontlog": "message",
        }
        if self._options.receipt_base:
            form["whendelivered"] = f"{self._options.receipt_base}/{quote(message.reference, safe='')}"
        return form

    def _is_this(self, record: dict[str, Any], message: Outgoing, since: datetime) -> bool:
        if record.get("from") != self._options.sender or record.get("to") != message.address or not record.get("id"):
            return False
        echoed = record.get("whendelivered")
        if echoed and self._options.receipt_base:
            return _reference_in(str(echoed)) == message.reference
        created = _read_time(record.get("created"))
        return created is not None and since <= created <= since + _CALL_LASTS


def _outcome_of(answer: Answer) -> Outcome:
    if answer.status == HTTPStatus.OK:
        return _accepted(answer.status, answer.body) if answer.body.get("id") else unreadable(answer)
    if answer.status == HTTPStatus.BAD_REQUEST:
        return Outcome(State.FAILED, "bad_request", str(answer.status), alarm=True)
    return trouble(answer)


def _accepted(status: int, record: dict[str, Any]) -> Outcome:
    """`cost` is in ten-thousandths of the account's currency."""
    cost = count(record["cost"]) if "cost" in record else None
    segments = count(record.get("parts"))
    return Outcome(State.SENT, "accepted", str(int(status)), str(record["id"]), segments=segments, cost=cost)


def _reference_in(receipt_url: str) -> str:
    return unquote(urlsplit(receipt_url).path.rsplit("/", 1)[-1])


def _since(message: Outgoing) -> datetime:
    """The whole second of the intent, for a provider that notes no fractions."""
    return message.intent_at.astimezone(UTC).replace(microsecond=0)


def _as_provider_writes(moment: datetime) -> str:
    """UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _read_time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
