"""A matcher without a broker: topics in memory that break when they are told to, and a process that lives on them."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from schemas import model as dialogue_model
from schemas.identity import DEMO_RECIPIENT_KEY
from schemas.topics import CASES, COMPANIES, DIALOGUES, INVITATIONS, ROUNDS, SUBSCRIPTIONS
from services.matcher.holds import Limits
from services.matcher.release import Policy
from services.matcher.service import Matcher
from services.matcher.tables.cases import CaseTable
from services.matcher.tables.dialogues import DialogueTable
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.register import RegisterTable
from services.matcher.tables.rounds import RoundTable
from services.matcher.tables.subscriptions import SubscriptionTable
from services.runtime.clock import ManualClock
from services.runtime.settings import KafkaSettings
from tests.topics_offline import Log

MODEL = dialogue_model.default()
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of rounds come to be here; their log lines are not looked at."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


class Process:
    """One life of a matcher: its tables are what the log says when it starts."""

    def __init__(self, log: Log, policy: Policy, now: datetime = NOW) -> None:
        self.log, self.clock = log, ManualClock(now)
        self.register, self.cases = RegisterTable(), CaseTable(MODEL, anywhere=True)
        self.dialogues, self.rounds, self.members = DialogueTable(), RoundTable(), MembershipTable()
        self.subscriptions = SubscriptionTable()
        self._applied = 0
        self.matcher = Matcher(
            model=MODEL, key=DEMO_RECIPIENT_KEY, limits=Limits(outside=True), policies={"*": policy},
            kafka=KafkaSettings(), group="matcher", output=log, register=self.register, cases=self.cases,
            dialogues=self.dialogues, rounds=self.rounds, members=self.members,
            subscriptions=self.subscriptions, tables_read=self.read,
            clock=self.clock,
        )  # fmt: skip

    async def read(self) -> None:
        tables = {
            CASES.name: self.cases.apply,
            DIALOGUES.name: self.dialogues.apply,
            COMPANIES.name: self.register.apply,
            SUBSCRIPTIONS.name: self.subscriptions.apply,
            ROUNDS.name: self.rounds.apply,
            INVITATIONS.name: self.members.apply,
        }
        for record in self.log.records[self._applied :]:
            if record.topic in tables:
                await tables[record.topic]([record])
        self._applied = len(self.log.records)

    async def rematch(self) -> None:
        await self.read()
        await self.matcher.rematch(frozenset({0}))
