"""Subscribing, by the owner of an address alone: ask, confirm behind a mailed link, see one's own list, remove, undo.

The portal never keeps an address. What was typed is sealed to the notifier at once, in the notice that carries the
link and in the contact that waits for confirmation; the subscriber is known by a keyed hash. A link is 128 random bits
of which only the SHA-256 digest is kept. What the page says does not depend on whether an address is known.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.identity import contact_id, derived, subscriber_id
from schemas.notice import CONFIRM, MAGIC_LINK, NOTICE_REQUESTED, Notice, SealedNotice
from schemas.subscription import SUBSCRIPTION_CHANGED, SubscribedArea, Subscription
from schemas.topics import CONTACTS, NOTICES, Topic
from schemas.topics import SUBSCRIPTIONS as TOPIC
from schemas.types import RecipientId
from services.portal.portal import SOURCE, Portal
from services.portal.store.tables import LINKS, REMOVED, SUBSCRIBERS, SUBSCRIPTIONS
from services.portal.wishes import Wish
from services.rendering.dates import Lang
from services.runtime.errors import Fault
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing
from services.runtime.sealing import Seal
from services.runtime.store.database import micros, moment_of, upsert

CONFIRM_LIVES: Final = timedelta(hours=48)
LIST_LIVES: Final = timedelta(hours=24)
AGAIN_AFTER: Final = timedelta(seconds=60)
A_DAY: Final = timedelta(days=1)
MOST_A_DAY: Final = 5
"""Mails that one address can be made to receive by typing it in."""
CONTACT_SOURCE: Final = "portal"
ROLE: Final = "subscriber"


class Link(StrEnum):
    """What a mailed link opens."""

    CONFIRM = "confirm"
    LIST = "list"


@dataclass(frozen=True)
class Pending:
    """A subscription that waits for its owner, or was confirmed."""

    subscription: Subscription
    confirmed: bool


@dataclass(frozen=True)
class Own:
    """A subscriber's own list."""

    recipient_id: RecipientId
    subscriptions: tuple[Subscription, ...]
    removed: tuple[Subscription, ...]


class Subscribers:
    """The transactions. Each writes its events with its rows, through the outbox, unless said otherwise."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    @property
    def available(self) -> bool:
        """Whether there is a key to seal addresses with; without one nobody can subscribe."""
        return self._portal.settings.installation.seal() is not None

    async def ask(self, wish: Wish, lang: Lang) -> None:
        """Sends the mail with the link, unless that address has had enough of them."""
        now, recipient = self._portal.clock.now(), self._recipient(wish.indexed)
        subscription = self._subscription(wish, recipient, lang, now)
        contact = self._contact(wish.email, recipient, lang)
        words = {"area": subscription.area.label, "industries": "; ".join(wish.industries)[:200]}
        async with self._portal.database.transaction() as connection:
            if await self._enough(connection, recipient, now):
                return
            token = await _link(connection, Link.CONFIRM, recipient, now, now + CONFIRM_LIVES, subscription, contact)
            notice = self._notice(CONFIRM, recipient, wish.email, f"/bekrafta/{token}", words, lang, now, CONFIRM_LIVES)
            await self._portal.outbox.put(connection, [notice])
        self._portal.wake()

    async def pending(self, token: str) -> Pending | None:
        """What a confirmation link is about, or None for a link that is wrong or too old."""
        async with self._portal.database.transaction() as connection:
            row = await _open(connection, token, Link.CONFIRM, self._portal.clock.now())
        return Pending(_subscription(row.subscription), row.used_at is not None) if row else None

    async def confirm(self, token: str) -> Pending | None:
        """The owner pressed the button: from now on the matcher invites. Pressing twice is once."""
        now = self._portal.clock.now()
        async with self._portal.database.transaction() as connection:
            row = await _open(connection, token, Link.CONFIRM, now, lock=True)
            if row is None:
                return None
            subscription = _subscription(row.subscription).model_copy(update={"confirmed_at": now})
            if row.used_at is None:
                contact = Contact.model_validate_json(row.contact)
                await _mark_used(connection, row.digest, now)
                await upsert(connection, SUBSCRIBERS, [{"recipient_id": row.recipient_id, "contact": row.contact}])
                await self._portal.outbox.put(connection, [self._told(contact, now), self._followed(subscription, now)])
        self._portal.wake()
        return Pending(subscription, True)

    async def ask_for_list(self, address: str, indexed: str, lang: Lang) -> None:
        """Mails a link to the list of an address that follows something, or did a moment ago; to others nothing."""
        now, recipient = self._portal.clock.now(), self._recipient(indexed)
        async with self._portal.database.transaction() as connection:
            known = await connection.scalar(
                select(SUBSCRIBERS.c.contact).where(SUBSCRIBERS.c.recipient_id == recipient)
            )
            if known is None or await self._enough(connection, recipient, now):
                return
            token = await _link(connection, Link.LIST, recipient, now, now + LIST_LIVES)
            notice = self._notice(MAGIC_LINK, recipient, address, f"/mina/{token}", {}, lang, now, LIST_LIVES)
            await self._portal.outbox.put(connection, [notice])
        self._portal.wake()

    async def own(self, token: str) -> Own | None:
        """The list behind a link, or None for a link that is wrong or too old."""
        async with self._portal.database.transaction() as connection:
            return await self._list(connection, token)

    async def remove(self, token: str, subscription_id: str) -> bool:
        """Ends one of one's own subscriptions; returns once the broker has it. The last one takes the address along."""
        async with self._portal.database.transaction() as connection:
            mine = await self._list(connection, token)
            found = _named(mine.subscriptions, subscription_id) if mine else None
            if mine is None or found is None:
                return False
            kept = {
                "subscription_id": subscription_id,
                "recipient_id": mine.recipient_id,
                "body": found.model_dump_json(exclude_none=True),
                "removed_at": micros(self._portal.clock.now()),
            }
            await upsert(connection, REMOVED, [kept])
        records = [Outgoing(self._portal.topic(TOPIC), subscription_id, None)]
        if len(mine.subscriptions) == 1:
            records.append(Outgoing(self._portal.topic(CONTACTS), self._contact_id(mine.recipient_id), None))
        await self._portal.publish(records)
        await self._portal.tables.caught_up()
        return True

    async def undo(self, token: str, subscription_id: str) -> bool:
        """Takes a removal back; returns once the broker has it."""
        now = self._portal.clock.now()
        async with self._portal.database.transaction() as connection:
            mine = await self._list(connection, token)
            found = _named(mine.removed, subscription_id) if mine else None
            if mine is None or found is None:
                return False
            contact = await connection.scalar(
                select(SUBSCRIBERS.c.contact).where(SUBSCRIBERS.c.recipient_id == mine.recipient_id)
            )
        records = [self._followed(found, now)]
        if contact is not None:
            records.insert(0, self._told(Contact.model_validate_json(contact), now))
        await self._portal.publish(records)
        await self._portal.tables.caught_up()
        return True

    async def forget(self) -> int:
        """Deletes links that no longer open, and what is kept of subscribers who follow nothing; returns how many."""
        now = self._portal.clock.now()
        async with self._portal.database.transaction() as connection:
            gone = await connection.execute(delete(LINKS).where(LINKS.c.expires_at < micros(now - A_DAY)))
            await connection.execute(delete(REMOVED).where(REMOVED.c.removed_at < micros(now - A_DAY)))
            areas = select(SUBSCRIPTIONS.c.recipient_id).where(SUBSCRIPTIONS.c.case_key.is_(None))
            active = areas.union(select(REMOVED.c.recipient_id))
            waiting = select(LINKS.c.recipient_id)
            left = await connection.execute(
                delete(SUBSCRIBERS).where(
                    SUBSCRIBERS.c.recipient_id.not_in(active), SUBSCRIBERS.c.recipient_id.not_in(waiting)
                )
            )
            return gone.rowcount + left.rowcount

    async def _list(self, connection: AsyncConnection, token: str) -> Own | None:
        row = await _open(connection, token, Link.LIST, self._portal.clock.now())
        return await _own(connection, row.recipient_id) if row else None

    async def _enough(self, connection: AsyncConnection, recipient: str, now: datetime) -> bool:
        made = select(func.count(), func.max(LINKS.c.created_at)).where(
            LINKS.c.recipient_id == recipient, LINKS.c.created_at > micros(now - A_DAY)
        )
        count, last = (await connection.execute(made)).one()
        return count >= MOST_A_DAY or (last is not None and moment_of(last) > now - AGAIN_AFTER)

    def _recipient(self, indexed: str) -> RecipientId:
        return subscriber_id(indexed, self._portal.settings.installation.key_or_demo())

    def _subscription(self, wish: Wish, recipient: str, lang: Lang, now: datetime) -> Subscription:
        codes = [item.code for item in wish.codes]
        return Subscription(
            municipality=self._portal.settings.portal.municipality,
            subscription_id=derived("subscription", recipient, _identity(wish.area), *codes),
            recipient_id=recipient,
            area=wish.area,
            industries=list(wish.codes),
            frequency=wish.frequency,
            language=lang,
            confirmed_at=now,
        )

    def _contact(self, address: str, recipient: str, lang: Lang) -> Contact:
        sealed = self._seal().seal(Address(address=address).model_dump_json().encode())
        return Contact(
            municipality=self._portal.settings.portal.municipality,
            contact_id=self._contact_id(recipient),
            source=CONTACT_SOURCE,
            recipient_id=recipient,
            role=ROLE,
            channel="email",
            language=lang,
            sealed=sealed,
        )

    def _contact_id(self, recipient: str) -> str:
        return contact_id(CONTACT_SOURCE, recipient, None, ROLE, "email")

    def _seal(self) -> Seal:
        seal = self._portal.settings.installation.seal()
        if seal is None:
            raise Fault("set NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY: without it no address can be taken")
        return seal

    def _notice(
        self,
        kind: str,
        recipient: str,
        address: str,
        path: str,
        parameters: dict[str, str],
        lang: Lang,
        now: datetime,
        lives: timedelta,
    ) -> Outgoing:
        inside = SealedNotice(address=address, path=path).model_dump_json().encode()
        event = Notice(
            municipality=self._portal.settings.portal.municipality,
            notice_id=derived("notice", kind, path),
            kind=kind,
            recipient_id=recipient,
            language=lang,
            sealed=self._seal().seal(inside),
            parameters={name: value for name, value in parameters.items() if value},
            at=now,
            expires_at=now + lives,
        )
        return self._event(NOTICES, recipient, event, NOTICE_REQUESTED, event.notice_id, now)

    def _told(self, contact: Contact, now: datetime) -> Outgoing:
        key = contact.contact_id
        return self._event(CONTACTS, key, contact, CONTACT_CHANGED, derived("told", key, str(now)), now)

    def _followed(self, subscription: Subscription, now: datetime) -> Outgoing:
        key = subscription.subscription_id
        identity = derived("followed", key, str(now))
        return self._event(TOPIC, key, subscription, SUBSCRIPTION_CHANGED, identity, now)

    def _event(self, topic: Topic, key: str, event: Any, type: str, identity: str, now: datetime) -> Outgoing:
        return outgoing(self._portal.topic(topic), key, event, type=type, id=identity, source=SOURCE, time=now)


def _identity(area: SubscribedArea) -> str:
    """What makes two wishes one. Members that came later stand here only where they say something: ids stay."""
    return area.model_dump_json(exclude={name for name in ("geometry", "exclude") if not getattr(area, name)})


async def _link(
    connection: AsyncConnection,
    purpose: Link,
    recipient: str,
    now: datetime,
    expires: datetime,
    subscription: Subscription | None = None,
    contact: Contact | None = None,
) -> str:
    """A fresh token of 22 characters, of which the digest is kept."""
    token = secrets.token_urlsafe(16)
    row = {
        "digest": _digest(token),
        "purpose": purpose.value,
        "recipient_id": recipient,
        "subscription": subscription.model_dump_json(exclude_none=True) if subscription else None,
        "contact": contact.model_dump_json(exclude_none=True) if contact else None,
        "created_at": micros(now),
        "expires_at": micros(expires),
    }
    await connection.execute(insert(LINKS), [row])
    return token


async def _open(connection: AsyncConnection, token: str, purpose: Link, now: datetime, *, lock: bool = False) -> Any:
    statement = select(LINKS).where(
        LINKS.c.digest == _digest(token), LINKS.c.purpose == purpose.value, LINKS.c.expires_at > micros(now)
    )
    return (await connection.execute(statement.with_for_update() if lock else statement)).one_or_none()


async def _mark_used(connection: AsyncConnection, digest: str, now: datetime) -> None:
    """A confirmation that was used keeps no address, not even sealed."""
    used = {"used_at": micros(now), "contact": None}
    await connection.execute(update(LINKS).where(LINKS.c.digest == digest).values(used))


async def _own(connection: AsyncConnection, recipient: str) -> Own:
    live = select(SUBSCRIPTIONS.c.body).where(
        SUBSCRIPTIONS.c.recipient_id == recipient, SUBSCRIPTIONS.c.case_key.is_(None)
    )
    gone = select(REMOVED.c.body).where(REMOVED.c.recipient_id == recipient)
    bodies = (await connection.execute(live.order_by(SUBSCRIPTIONS.c.subscription_id))).scalars()
    subscriptions = tuple(_subscription(body) for body in bodies)
    known = {item.subscription_id for item in subscriptions}
    removed = tuple(_subscription(body) for body in (await connection.execute(gone)).scalars())
    left = tuple(item for item in removed if item.subscription_id not in known)
    return Own(RecipientId(recipient), subscriptions, left)


def _named(subscriptions: tuple[Subscription, ...], subscription_id: str) -> Subscription | None:
    return next((item for item in subscriptions if item.subscription_id == subscription_id), None)


def _subscription(body: str) -> Subscription:
    return Subscription.model_validate_json(body, extra="ignore")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
