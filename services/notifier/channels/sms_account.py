"""What an account with any SMS provider has: a sender, where receipts come, how fast it may be used, what a part costs.

A sender is a name or a number, as carriers take it (3GPP TS 23.040 §9.1.2.5 has room for eleven signs).
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.notifier.channels.port import Outcome

_NUMBER: Final = re.compile(r"\+[1-9]\d{4,14}")
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_UNIT: Final = 10_000
"""Costs are counted in ten-thousandths of the currency, as 46elks writes them."""


class SmsAccount(BaseModel):
    """An account with an SMS provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    sender: str
    """A name of at most 11 letters, digits and spaces, or a number in E.164."""
    receipt_base: str = Field(default="", pattern=r"^(https?://[^/]+.*[^/])?$")
    """Receipts come to this address with `/{reference}` after it. When empty, to the notifier's own port for receipts;
    where that is not open, none are asked for.
    """
    timeout: float = Field(default=10.0, gt=0)
    """Seconds for one call."""
    connections: int = Field(default=10, ge=1)
    """Connections to the provider at once."""
    per_minute: float = Field(default=100.0, ge=0)
    """Messages a minute, evenly, from each notifier; 0 sets no limit."""
    price: Decimal = Field(default=Decimal(0), ge=0)
    """What one part costs, in the currency below: counted where the provider does not say it with its answer."""
    currency: str = Field(default="SEK", pattern=r"^[A-Z]{3}$")
    """The currency of costs: the account's with 46elks, that of the price with Twilio."""

    @field_validator("sender")
    @classmethod
    def _carriers_take_it(cls, sender: str) -> str:
        if not (_NUMBER.fullmatch(sender) or _NAME.fullmatch(sender)):
            raise ValueError(
                "sender: at most 11 of A-Z, a-z, 0-9 and space with a letter among them, or an E.164 number"
            )
        return sender

    @property
    def takes_answers(self) -> bool:
        """Whether the sender is a number, which can be written back to."""
        return self.sender.startswith("+")

    def receipt_url(self, reference: str) -> str:
        """Where the receipt of one message goes; empty when none is asked for."""
        return f"{self.receipt_base}/{quote(reference, safe='')}" if self.receipt_base else ""

    def priced(self, outcome: Outcome) -> Outcome:
        """The outcome of an accepted message with what it costs."""
        cost = outcome.cost
        if cost is None:
            cost = int(self.price * _UNIT) * max(outcome.segments, 1)
        return replace(outcome, cost=cost, currency=self.currency)
