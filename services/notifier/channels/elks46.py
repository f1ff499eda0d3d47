"""SMS through 46elks' HTTP interface (46elks.com/docs: send-sms, sms-history, sms-delivery-reports).

46elks knows no key against doubles. Our reference rides in `whendelivered` instead, so that the receipt names the
message even when the answer to the POST was lost. `dontlog=message` keeps the text out of the provider's log, and so
`look_up` cannot compare texts.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr

from services.notifier.channels.http_account import NO_ANSWER, HttpAccount, count, trouble, unreadable
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.sms_account import SmsAccount

PROVIDER: Final = "46elks"
UNDELIVERED: Final = Outcome(State.FAILED, "undelivered")
_CALL_LASTS: Final = timedelta(minutes=10)  # a record this much younger than the intent belongs to another message


class Elks46Options(SmsAccount):
    """An account with 46elks, or with something that answers like it."""

    base_url: str = Field(default="https://api.46elks.com", pattern=r"^https?://[^/]+.*[^/]$")
    """Where its API answers."""
    username: str
    """The account's API user."""
    password: SecretStr
    """The account's API password."""


class Elks46Channel:
    """SMS by 46elks."""

    name = "sms"
    provider = PROVIDER
    at_once: int | None = None

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
        if isinstance(answer, Outcome):
            return answer
        if answer.status == HTTPStatus.OK:
            return self._accepted(answer.status, answer.body) if answer.body.get("id") else unreadable(answer)
        if answer.status == HTTPStatus.BAD_REQUEST:
            return Outcome(State.FAILED, "bad_request", str(answer.status), alarm=True)
        return trouble(answer)

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
            return UNDELIVERED
        return self._accepted(HTTPStatus.OK, this) if this else None

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
        if receipts := self._options.receipt_url(message.reference):
            form["whendelivered"] = receipts
        return form

    def _accepted(self, status: int, record: dict[str, Any]) -> Outcome:
        """`cost` is in ten-thousandths of the account's currency."""
        cost = count(record["cost"]) if "cost" in record else None
        segments, detail = count(record.get("parts")), str(int(status))
        accepted = Outcome(State.SENT, "accepted", detail, str(record["id"]), segments=segments, cost=cost)
        return self._options.priced(accepted)

    def _is_this(self, record: dict[str, Any], message: Outgoing, since: datetime) -> bool:
        if record.get("from") != self._options.sender or record.get("to") != message.address or not record.get("id"):
            return False
        echoed = record.get("whendelivered")
        if echoed and self._options.receipt_base:
            return _reference_in(str(echoed)) == message.reference
        created = _read_time(record.get("created"))
        return created is not None and since <= created <= since + _CALL_LASTS


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
