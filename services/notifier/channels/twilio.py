"""SMS through Twilio's Programmable Messaging (twilio.com/docs/messaging/api/message-resource).

Twilio documents no key against doubles. Our reference rides in `StatusCallback`, so that the receipt names the message
even when the answer to the POST was lost. The history does not give that address back, and so `look_up` compares the
text, which holds a link of its own for each message; where the account redacts texts, the time alone.

The history is asked by sender and number without `DateSent`: a message that still waits in Twilio's queue has none, and
a question with a bound would hide just that one.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import Field, SecretStr

from services.notifier.channels.http_account import NO_ANSWER, Answer, HttpAccount, count, trouble, unreadable
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.sms_account import SmsAccount
from services.notifier.channels.twilio_codes import outcome_of_code, outcome_of_failure

PROVIDER: Final = "twilio"
_CALL_LASTS: Final = timedelta(minutes=10)
_GIVEN_UP: Final = ("failed", "undelivered", "canceled")


class TwilioOptions(SmsAccount):
    """An account with Twilio, or with something that answers like it."""

    base_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^/]+.*[^/]$")
    """Where its API answers."""
    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    """The account, `AC` and 32 hexadecimal digits."""
    auth_token: SecretStr
    """The account's primary token: it logs us in, and signs receipts."""


class TwilioChannel:
    """SMS by Twilio."""

    name = "sms"
    provider = PROVIDER
    at_once: int | None = None

    def __init__(self, options: TwilioOptions) -> None:
        self._options = options
        self._url = f"{options.base_url}/2010-04-01/Accounts/{options.account_sid}/Messages.json"
        self._account = HttpAccount(
            options.account_sid,
            options.auth_token.get_secret_value(),
            timeout=options.timeout,
            connections=options.connections,
        )

    async def send(self, message: Outgoing) -> Outcome:
        """POST the message once."""
        answer = await self._account.post(self._url, self._form(message))
        if isinstance(answer, Outcome):
            return answer
        if answer.status // 100 == 2:
            return self._accepted(answer.status, answer.body) if answer.body.get("sid") else unreadable(answer)
        return _refusal(answer)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """Ask for what went from this sender to this number."""
        asked = {"To": message.address, "From": self._options.sender, "PageSize": "1000"}
        found = await self._account.listed(self._url, asked, "messages")
        if found is None:
            return NO_ANSWER
        this = next((record for record in reversed(found) if _is_this(record, message)), None)
        if this is None:
            return None
        if this.get("status") in _GIVEN_UP:
            return outcome_of_failure(count(this.get("error_code")))
        return self._accepted(HTTPStatus.OK, this)

    async def close(self) -> None:
        """Close the kept connections; a message under way ends as unknown."""
        await self._account.close()

    def _form(self, message: Outgoing) -> dict[str, str]:
        form = {"From": self._options.sender, "To": message.address, "Body": message.body.decode("utf-8")}
        if receipts := self._options.receipt_url(message.reference):
            form["StatusCallback"] = receipts
        return form

    def _accepted(self, status: int, record: dict[str, Any]) -> Outcome:
        """The price is not known yet when the answer comes, and it is in Twilio's currency: ours is counted."""
        segments, detail = count(record.get("num_segments")), str(int(status))
        return self._options.priced(Outcome(State.SENT, "accepted", detail, str(record["sid"]), segments=segments))


def _refusal(answer: Answer) -> Outcome:
    known = outcome_of_code(count(answer.body.get("code")))
    if known is not None:
        return known
    if answer.status == HTTPStatus.BAD_REQUEST:
        detail = str(count(answer.body.get("code")) or answer.status)
        return Outcome(State.FAILED, "bad_request", detail, alarm=True)
    return trouble(answer)


def _is_this(record: dict[str, Any], message: Outgoing) -> bool:
    if record.get("to") != message.address or not record.get("sid"):
        return False
    since = message.intent_at.astimezone(UTC).replace(microsecond=0)  # Twilio notes no fractions
    created = _read_time(record.get("date_created"))
    if created is None or created < since:
        return False
    text = str(record.get("body") or "")
    return text.strip() == message.body.decode("utf-8").strip() if text else created <= since + _CALL_LASTS


def _read_time(text: object) -> datetime | None:
    """RFC 2822, as in mail."""
    try:
        moment = parsedate_to_datetime(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
