"""From what is known of a message to its bytes. No ledger, no clock: only what is personal is opened here."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from schemas.company import Company
from schemas.invitation import Invitation
from services.notifier.composing import Asked, Composer, DigestItem, Draft
from services.notifier.ledger.messages import Message
from services.notifier.ledger.notices import NoticeRow
from services.notifier.policy.digest import MOST_ITEMS, gathered
from services.notifier.sifting import Facts
from services.runtime.sealing import Vault


class Writer:
    """Has a composer write each kind of message. A `rehearsal` is said in every one."""

    def __init__(self, composer: Composer, vault: Vault, *, rehearsal: bool = False) -> None:
        self._composer = composer
        self._vault = vault
        self._rehearsal = rehearsal

    @property
    def version(self) -> str:
        """Of the words and templates."""
        return self._composer.version

    def write(self, message: Message, facts: Facts, companies: Mapping[str, Company], now: datetime) -> bytes:
        """The bytes of a message that has none yet."""
        draft = self._draft(message, facts, now)
        if message.is_notice:
            return self._composer.notice(draft, self._asked(facts.notices[message.message_id], message))
        if message.is_digest:
            return self._digest(draft, facts.items[message.message_id], facts, companies)
        compose = self._composer.remind if message.is_reminder else self._composer.compose
        return compose(draft, facts.rounds[message.round_id], _invitations(message, facts), companies)

    def _draft(self, message: Message, facts: Facts, now: datetime) -> Draft:
        return Draft(
            message.message_id,
            message.number,
            message.channel,
            message.language,
            self._vault.decrypt(message.address_encrypted).decode(),
            now,
            facts.told.get(message.message_id),
            introduce=message.address_index not in facts.introduced,
            rehearsal=self._rehearsal,
        )

    def _asked(self, row: NoticeRow, message: Message) -> Asked:
        path = self._vault.decrypt(row.path_encrypted).decode() if row.path_encrypted is not None else None
        return Asked(row.kind, row.parameters, path, row.about_number, row.round_, message.expires_at)

    def _digest(
        self, draft: Draft, carried: Sequence[Message], facts: Facts, companies: Mapping[str, Company]
    ) -> bytes:
        items = [DigestItem(facts.rounds[item.round_id], _invitations(item, facts)) for item in carried]
        items.sort(key=lambda item: (item.round_.respond_by or date.max, item.round_.round_id))
        draft = replace(draft, gathered=gathered(item.waits for item in carried))
        return self._composer.digest(draft, items[:MOST_ITEMS], len(items[MOST_ITEMS:]), companies)


def _invitations(message: Message, facts: Facts) -> list[Invitation]:
    return [link.invitation() for link in facts.live(message)]
