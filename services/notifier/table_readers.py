"""What the sender needs of the whole-topic readers behind the ledger's facts."""

from typing import Protocol


class Tables(Protocol):
    """The readers of this notifier."""

    async def caught_up(self) -> None:
        """Returns when everything published before this call has been applied."""
        ...
