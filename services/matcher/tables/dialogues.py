"""The decisions of officials on cases, as their topic has them."""

from collections.abc import Sequence

from schemas.dialogue import Dialogue
from services.matcher.door import accept_dialogue
from services.runtime.errors import Rejected
from services.runtime.records import Record


class DialogueTable:
    """The latest decisions on every case, also on cases that are not known yet."""

    def __init__(self) -> None:
        self._dialogues: dict[str, Dialogue] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic; what cannot be read is not here, its subscriber sets it aside."""
        for record in records:
            if record.value is None:
                self._dialogues.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                parsed = accept_dialogue(record)
            except Rejected:
                continue
            if parsed is not None:
                self.put(parsed.event)

    def put(self, dialogue: Dialogue) -> None:
        """Keeps what was decided unless more is known."""
        known = self._dialogues.get(dialogue.key)
        if known is None or known.number <= dialogue.number:
            self._dialogues[dialogue.key] = dialogue

    def get(self, key: str) -> Dialogue | None:
        """What was decided on a case."""
        return self._dialogues.get(key)
