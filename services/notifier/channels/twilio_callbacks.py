"""What Twilio calls us with (twilio.com/docs: message status callbacks, webhook security, incoming messages).

Each call is signed: base64 of HMAC-SHA1, keyed with the account's token, over the full address that Twilio was told and
after it every field's name and value in the order of the names. Twilio may count the scheme's own port as part of the
address or not, so both are compared.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from services.notifier.channels.callbacks import Form, Receipt, Text
from services.notifier.channels.http_account import count
from services.notifier.channels.twilio import PROVIDER, TwilioOptions
from services.notifier.channels.twilio_codes import outcome_of_failure

SIGNATURE: Final = "X-Twilio-Signature"
_TAKEN: Final = ("accepted", "scheduled", "queued", "sending", "sent")
_DELIVERED: Final = ("delivered", "read")
_GIVEN_UP: Final = ("undelivered", "failed", "canceled")
_PORTS: Final = {"https": 443, "http": 80}


class TwilioCallbacks:
    """Calls of Twilio."""

    provider = PROVIDER

    def __init__(self, options: TwilioOptions) -> None:
        self._options = options
        self._token = options.auth_token.get_secret_value()

    def proven(self, url: str, form: Form, headers: Mapping[str, str]) -> bool:
        """Whether the signature is Twilio's; equally slow for every wrong one."""
        given = headers.get(SIGNATURE, "").encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(given, signature(self._token, way, form)) for way in _ways_to_write(url)]
        return any(matches)

    def receipt(self, form: Form) -> Receipt | None:
        """`MessageStatus`, and `ErrorCode` where it was given up."""
        status = form.get("MessageStatus", "")
        if status in _TAKEN:
            return Receipt("sent", status)
        if status in _DELIVERED:
            return Receipt("delivered", status)
        if status not in _GIVEN_UP:
            return None
        failure = outcome_of_failure(count(form.get("ErrorCode")))
        return Receipt("failed", failure.detail or status, failure)

    def text(self, form: Form) -> Text | None:
        """`Body` of an incoming form; a stop too where Twilio has taken it for one by itself."""
        if not form.get("From") or "MessageStatus" in form:
            return None
        words = "STOP" if form.get("OptOutType") == "STOP" else form.get("Body", "")
        return Text(form.get("MessageSid", ""), form["From"], words)

    def receipt_url(self, reference: str) -> str:
        """As it was asked for."""
        return self._options.receipt_url(reference)


def signature(token: str, url: str, form: Form) -> bytes:
    """What Twilio signs a call to this address with."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1))


def _ways_to_write(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return urlunsplit(parts._replace(netloc=host)), urlunsplit(parts._replace(netloc=f"{host}:{port}"))
