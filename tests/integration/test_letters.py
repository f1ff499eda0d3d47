"""The letter list of a case: who is on it, what an export does to the ledger, and that it does it once."""

import base64
import csv
import io
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pytest

from schemas.identity import invitation_id
from services.notifier.composer import RenderingComposer
from services.notifier.ledger import pauses
from services.notifier.letter_files import COLUMNS, table
from services.notifier.letters import Export, Letters
from services.runtime.errors import Rejected
from services.runtime.letter_codes import opened
from services.runtime.link_tokens import Purpose, mint
from services.runtime.sealing import Vault, new_key
from tests.integration.test_history import asked
from tests.notifier_house import INDEX, MONDAY, ROUND_ID, VAULT, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]
TOKEN = new_key()
PORTAL = "https://dialog.exempel.test"
WRITER = RenderingComposer(
    portal_url=PORTAL, sender_name="Exempel kommun", sender_email="d@exempel.test", token_key=TOKEN
)


async def unreachable(house: House, recipient: str = "r1", **company: Any) -> str:
    await house.company(f"w-{recipient}", recipient, name=f"Bageri {recipient}", **company)
    return await house.invite(recipient, f"w-{recipient}")


async def export(house: House, case: str = "EX-2", **options: Any) -> Export:
    letters = Letters(house.database, house.outbox, WRITER, Vault(VAULT), house.clock, index_key=INDEX, **options)
    return await letters.export(case)


async def listed(house: House) -> str:
    """One company without an address, found not reachable."""
    await house.round()
    identity = await unreachable(house)
    await house.sender.turn()
    assert house.states() == ["not_reachable"]
    return identity


async def test_who_is_not_reachable_gets_a_letter_that_opens_the_answer_page(house: House) -> None:
    identity = await listed(house)
    [letter] = (await export(house)).letters
    assert letter.invitation_id == identity
    assert letter.paper.address == ("Bageri r1", "Stockholmsvägen 40", "182 30 Danderyd")
    [row] = await house.messages()
    assert letter.paper.way.url == f"{PORTAL}/i/{mint(row.number, TOKEN, Purpose.ANSWER)}"
    assert opened(letter.paper.way.code, [TOKEN]) == (row.number, TOKEN)
    assert (row.channel, row.state, row.code) == ("letter", "sent", "exported")
    assert (row.address_encrypted, row.template_version) == (b"", WRITER.version)
    assert (row.asks, row.minutes) == (1, 3)


async def test_an_exported_letter_is_told_as_a_message_of_its_own_by_letter(house: House) -> None:
    identity = await listed(house)
    await export(house)
    await house.outbox.flush()
    composed, sent = house.told()[-2:]
    assert [(event.channel, event.state.value, event.code) for event in (composed, sent)] == [
        ("letter", "composed", "ok"),
        ("letter", "sent", "exported"),
    ]
    assert sent.invitation_ids == [identity]
    [row] = await house.messages()
    assert (sent.message_id, sent.message_number) == (row.message_id, row.number)


async def test_exporting_again_gives_the_same_letters_and_tells_nothing_more(house: House) -> None:
    await listed(house)
    first = await export(house)
    await house.outbox.flush()
    told = len(house.told())
    await house.round(texts={"title": "Another title", "question": "Another?"}, basis={"case_version": 2})
    house.clock.moment = MONDAY.replace(day=11)
    again = await export(house)
    assert [letter.paper for letter in again.letters] == [letter.paper for letter in first.letters]
    assert [(letter.at, letter.fresh) for letter in first.letters + again.letters] == [(MONDAY, True), (MONDAY, False)]
    await house.outbox.flush()
    assert len(house.told()) == told


async def test_who_became_unreachable_since_is_added_to_the_same_letters(house: House) -> None:
    await listed(house)
    [first] = (await export(house)).letters
    await unreachable(house, "r2")
    await house.sender.turn()
    letters = (await export(house)).letters
    assert {letter.message_id: letter.fresh for letter in letters}[first.message_id] is False
    assert len(letters) == 2


async def test_a_contact_that_turns_up_after_the_export_does_not_double_the_letter(house: House) -> None:
    await listed(house)
    await export(house)
    await house.contact("r1", "anna@exempel.test")
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2)
    await house.sender.turn()
    assert not house.email.accepted
    assert len(await house.messages()) == 1


async def test_a_contact_that_turns_up_before_the_export_gets_the_mail_and_no_letter(house: House) -> None:
    await listed(house)
    await house.contact("r1", "anna@exempel.test")
    assert (await export(house)).letters == []
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_who_has_no_visiting_address_is_counted_and_stays_on_the_list(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await unreachable(house, "r1", street="")
    await unreachable(house, "r2", town="")
    await house.sender.turn()
    made = await export(house)
    assert (made.letters, dict(made.left_out)) == ([], {"no_visiting_address": 2})
    assert await house.invitation_states() == {"not_reachable": 2}


@pytest.mark.parametrize("changes", [{"state": "closed"}, {"state": "withdrawn"}])
async def test_a_round_that_has_ended_has_no_letters(house: House, changes: dict[str, Any]) -> None:
    await listed(house)
    await export(house)
    await house.round(**changes, basis={"case_version": 2})
    assert (await export(house)).letters == []


async def test_what_an_official_took_back_and_what_is_paused_is_not_exported(house: House) -> None:
    await listed(house)
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis={"case_version": 1, "import_number": 1})
    assert (await export(house)).letters == []
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "the relay moves", MONDAY)
    with pytest.raises(Rejected, match="paused"):
        await export(house)


async def test_a_stop_said_at_a_letters_page_holds_for_the_next_letter(house: House) -> None:
    await listed(house)
    await export(house)
    [row] = await house.messages()
    await house.stop_all(message_number=row.number)
    another = "ffeeddccbbaa00112233445566778899"
    await house.round(round_id=another)
    await house.invite("r1", "w-r1", round_id=another, invitation_id=invitation_id(another, "r1"))
    await house.sender.turn()
    made = await export(house)
    assert [letter.round.round_id for letter in made.letters] == [ROUND_ID]
    assert made.left_out == {"suppressed": 1}


async def test_a_change_is_told_on_paper_to_those_whom_a_letter_told_and_to_no_others(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await unreachable(house, "r1")
    await unreachable(house, "r2", street="")
    await house.sender.turn()
    await export(house)
    house.clock.moment = MONDAY.replace(day=11)
    await house.contact("r1", "anna@exempel.test")
    await house.company("w-r2", "r2", name="Bageri r2")
    change = "aabbccddeeff00112233445566778899"
    told = {"purpose": "change", "number": 1, "change": "moved", "follows": ROUND_ID}
    await house.round(round_id=change, counts={"invitations": 2}, **told)
    for recipient in ("r1", "r2"):
        identity = invitation_id(change, recipient)
        await house.invite(recipient, f"w-{recipient}", round_id=change, invitation_id=identity)
    await house.sender.turn()
    made = await export(house)
    fresh = [letter for letter in made.letters if letter.fresh]
    assert [letter.round.round_id for letter in fresh if letter.paper.address[0] == "Bageri r1"] == [change]
    assert made.left_out["never_told"] == 1
    assert not house.email.accepted


async def test_a_rehearsals_letter_says_that_it_is_one(house: House) -> None:
    await listed(house)
    [letter] = (await export(house, rehearsal=True)).letters
    assert letter.paper.halves[0].rehearsal.startswith("ÖVNING")


async def test_what_stands_on_a_letter_does_not_lie_readable_in_the_ledger(house: House) -> None:
    await listed(house)
    await export(house)
    [row] = await house.messages()
    assert b"Bageri" not in row.body_encrypted


async def test_the_table_opens_in_a_swedish_spreadsheet_and_runs_nothing(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1", name="=HYPERLINK(1)")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    made = table((await export(house)).letters)
    assert made.startswith(b"\xef\xbb\xbf")
    header, row = csv.reader(io.StringIO(made.decode("utf-8-sig")), delimiter=";")
    assert header == list(COLUMNS)
    assert row[0] == "'=HYPERLINK(1)"
    assert row[header.index("last_day")] == "2025-12-05"


async def test_the_command_writes_a_table_and_a_page_for_each(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = {"expires_at": "2099-12-06T00:00:00+01:00"}
    await house.round(**later, counts={"invitations": 2})
    await house.company("w-r1", "r1", name="Bageri r1")
    await house.invite("r1", "w-r1", **later)
    await house.company("w-r2", "r2", street="")
    await house.invite("r2", "w-r2", **later)
    await house.sender.turn()
    for name, key in {"VAULT": VAULT, "INDEX": INDEX, "TOKEN": TOKEN}.items():
        monkeypatch.setenv(f"NARDIALOG_NOTIFIER__{name}_KEY", base64.b64encode(key).decode())
    for _ in range(2):
        assert await asked(house, monkeypatch, "letters", "export", "EX-2", "-o", str(tmp_path / "brev")) == 6
    assert "1 without a letter: the register has no visiting address" in capsys.readouterr().err
    names = sorted(path.name for path in (tmp_path / "brev").iterdir())
    [row] = await house.messages()
    assert names == [f"brev-{row.message_id[:12]}.pdf", "brev.csv"]
    first = pypdfium2.PdfDocument((tmp_path / "brev" / names[0]).read_bytes())[0]
    assert "Bageri r1" in first.get_textpage().get_text_range()
