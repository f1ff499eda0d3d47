"""A new vault key: what lies in the ledger still opens, is encrypted anew, and then needs the old key no more."""

import base64
import json
from collections import Counter

import pytest
from sqlalchemy import text

from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import rotation
from services.notifier.ledger.rotation import ENCRYPTED, renew
from services.runtime.errors import Fault
from services.runtime.sealing import Vault, new_key
from tests.integration.test_history import asked
from tests.integration.test_notices import ask
from tests.notifier_house import VAULT, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]
NEW = new_key()


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


async def some(house: House) -> None:
    """Contacts, messages with bytes and without, a notice that waits."""
    await house.round(counts={"invitations": 3})
    for number in range(3):
        await house.reachable(f"r{number}", f"anna{number}@exempel.test")
    house.email.will(Outcome(State.UNKNOWN, "lost"))
    await house.sender.turn()
    await ask(house)


async def closed(house: House, vault: Vault) -> int:
    """How many values do not open."""
    shut = 0
    async with house.database.transaction() as connection:
        for table, columns in ENCRYPTED.items():
            for column in columns:
                for (value,) in await connection.execute(text(f"SELECT {column.name} FROM {table.name}")):
                    try:
                        assert not value or vault.decrypt(value)
                    except Fault:
                        shut += 1
    return shut


def test_everything_that_is_encrypted_is_known_to_the_rotation() -> None:
    assert {(table.name, column.name) for table, columns in ENCRYPTED.items() for column in columns} >= {
        ("contacts", "address_encrypted"),
        ("messages", "address_encrypted"),
        ("messages", "body_encrypted"),
        ("notices", "path_encrypted"),
    }


async def test_after_a_rotation_the_new_key_opens_everything_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "PAGE", 2)
    await some(house)
    assert await closed(house, Vault(NEW)) > 6
    assert await closed(house, Vault(NEW, VAULT)) == 0
    pages = [page async for page in renew(house.database, Vault(NEW, VAULT))]
    assert sum(page.written for page in pages) > 6
    assert await closed(house, Vault(NEW)) == 0
    assert sum([page.written async for page in renew(house.database, Vault(NEW, VAULT))]) == 0


async def test_the_command_says_what_it_did_and_what_did_not_open(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await some(house)
    monkeypatch.setenv("NARDIALOG_NOTIFIER__VAULT_KEY", text_of(NEW))
    assert await asked(house, monkeypatch, "keys", "rotate") == 6
    monkeypatch.setenv("NARDIALOG_NOTIFIER__OTHER_VAULT_KEYS", json.dumps([text_of(VAULT)]))
    assert await asked(house, monkeypatch, "keys", "rotate") == 0
    assert "0 values" not in capsys.readouterr().out.splitlines()[-1]
    assert await closed(house, Vault(NEW)) == 0


async def test_what_was_written_under_the_old_key_is_sent_again_with_the_same_bytes(house: House) -> None:
    await some(house)
    house.sender = house.new_sender(vault=Vault(NEW, VAULT))
    await house.sender.turn()
    copies = Counter((sent.message_id, sent.body) for sent in house.email.accepted)
    assert sorted(copies.values()) == [1, 1, 1, 2]
