"""What 46elks calls us with (46elks.com/docs: sms-delivery-reports, receive-sms).

46elks signs nothing: that a call is genuine is proven by its address alone, which holds a proof of ours and is told to
46elks and nobody else.
"""

from collections.abc import Mapping
from typing import Final

from services.notifier.channels.callbacks import Form, Receipt, Text
from services.notifier.channels.elks46 import PROVIDER, UNDELIVERED, Elks46Options

_SAID: Final = {
    "created": Receipt("sent", "created"),
    "sent": Receipt("sent", "sent"),
    "delivered": Receipt("delivered", "delivered"),
    "failed": Receipt("failed", "failed", UNDELIVERED),
}


class Elks46Callbacks:
    """Calls of 46elks."""

    provider = PROVIDER

    def __init__(self, options: Elks46Options) -> None:
        self._options = options

    def proven(self, url: str, form: Form, headers: Mapping[str, str]) -> bool:
        """Its address has been checked already."""
        return True

    def receipt(self, form: Form) -> Receipt | None:
        """`status` of a form with the message's `id`."""
        return _SAID.get(form.get("status", "")) if form.get("id") else None

    def text(self, form: Form) -> Text | None:
        """`message` of an incoming form."""
        if form.get("direction") != "incoming" or not form.get("from"):
            return None
        return Text(form.get("id", ""), form["from"], form.get("message", ""))

    def receipt_url(self, reference: str) -> str:
        """As it was asked for."""
        return self._options.receipt_url(reference)
