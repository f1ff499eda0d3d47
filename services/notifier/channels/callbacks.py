"""What a provider calls us with: receipts of what became of a message, and texts that people write back.

A form is proven to come from the provider before anything in it is believed; how, is the provider's affair. What it
says is translated here into our words, and its free text goes no further.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from services.notifier.channels.port import Outcome

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider says of one message: it has taken it on, a phone has it, or nobody will. `detail` is a status."""

    said: Literal["sent", "delivered", "failed"]
    detail: str
    failure: Outcome | None = None
    """Why, where it failed."""


@dataclass(frozen=True, slots=True)
class Text:
    """What somebody wrote to our number; `id` is the provider's."""

    id: str
    sender: str
    words: str


class Callbacks(Protocol):
    """One provider's calls."""

    provider: str
    """As in the port of channels, and in the path of its calls."""

    def proven(self, url: str, form: Form, headers: Mapping[str, str]) -> bool:
        """Whether the provider itself made this call to this address, as far as it can prove that."""
        ...

    def receipt(self, form: Form) -> Receipt | None:
        """What a form says of a message, or None where it is no receipt or says nothing."""
        ...

    def text(self, form: Form) -> Text | None:
        """The text in a form, or None where there is none."""
        ...

    def receipt_url(self, reference: str) -> str:
        """The address that the receipt of one message was asked to."""
        ...
