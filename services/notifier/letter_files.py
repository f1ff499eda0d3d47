"""An export of letters as files: a table for whoever prints by merging, and one PDF a letter."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from services.notifier.letters import Exported

COLUMNS: Final = (
    "name", "street", "place", "title", "last_day", "code", "url", "exported_at", "message_id", "invitation_id", "file",
)  # fmt: skip
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def table(letters: Sequence[Exported]) -> bytes:
    """CSV as a Swedish spreadsheet opens it: UTF-8 with its mark, semicolons. No cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for letter in letters:
        name, street, place = letter.paper.address
        by = letter.round.respond_by
        values = (
            name, street, place, letter.round.texts.title, by.isoformat() if by else "", letter.paper.way.code,
            letter.paper.way.url, letter.at.isoformat(timespec="seconds"), letter.message_id, letter.invitation_id,
            file_name(letter),
        )  # fmt: skip
        writer.writerow([f"'{value}" if value.startswith(_FORMULAS) else value for value in values])
    return text.getvalue().encode("utf-8-sig")


def file_name(letter: Exported) -> str:
    """The same at every export."""
    return f"brev-{letter.message_id[:12]}.pdf"
