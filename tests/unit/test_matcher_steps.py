"""The matcher over time: versions, decisions and imports in any order, cut off anywhere, end as if done once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.dialogue import DIALOGUE_CHANGED, Decision, Dialogue
from schemas.envelope import HELD, Envelope
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.invitation import INVITATION_CHANGED, Invitation, InvitationState
from schemas.round import ROUND_CHANGED, Outcome, Purpose, Round, RoundState
from schemas.topics import CASES, COMPANIES, DIALOGUES, INVITATIONS, ROUNDS, Topic
from schemas.types import Basis, Event
from services.matcher.holds import Limits
from services.matcher.release import Decided, Policy
from services.matcher.rounds import derive
from services.matcher.steps import STAGES
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.rounds import RoundTable
from services.runtime.errors import Transient
from services.runtime.records import Record
from tests.matcher_cases import content
from tests.matcher_offline import MODEL, NOW, Process, quiet
from tests.topics_offline import Log

DAY = date(2026, 11, 25)
NAMES = ("W1", "W2", "W3")
quiet_logs = quiet


class Town:
    """What happens, one thing after the other, and a matcher that lives through it."""

    def __init__(self, policy: Policy = "auto") -> None:
        self.log = Log()
        self.policy: Policy = policy
        self.process = Process(self.log, policy)
        self.kills = 0
        self.at = NOW
        """What the events say of their time."""
        self.version = 0
        self.imports = 0
        self.decided: list[Decision] = []
        self.last = Happening()

    async def do(self, happening: "Happening") -> None:
        """Something happens. A matcher that is killed at it starts again, and reads it again."""
        record = self.written(happening)
        try:
            await self._read(record)
        except Transient:
            self.kills += 1
            self.log.breaks_after = None
            self.process = Process(self.log, self.policy)
            await self.process.rematch()
            await self._read(record)

    async def _read(self, record: Record | None) -> None:
        if record is None:
            await self.process.rematch()
        else:
            await self.process.matcher.handle([record])

    def written(self, happening: "Happening") -> Record | None:
        if happening.kind == "import":
            self._import(happening.names)
            return None
        if happening.kind in WORDS:
            return self._decide(happening)
        if happening.kind == "case":
            self.version += 1
            self.last = happening
        return self._write(CASES, self.case(self.last, self.version), CASE_CHANGED, edited=self.last.edited)

    def case(self, happening: "Happening", version: int) -> Case:
        changes = {
            "version": version, "named": list(happening.names) or ["nobody"], "title": happening.title,
            "stage": happening.stage, "state": happening.state, "geometries": [], "respond_by": "2027-01-15",
            "occurrence": happening.occurrence,
        }  # fmt: skip
        return Case.model_validate(content() | changes)

    def _import(self, names: Sequence[str]) -> None:
        self.imports += 1
        for name in NAMES:
            status = "active" if name in names else "closed"
            row = Company(
                municipality="0162", workplace_id=name, recipient_id=recipient_id(name, DEMO_RECIPIENT_KEY),
                name=name, lon=18.03, lat=59.4, status=status, import_number=self.imports,
            )  # fmt: skip
            self._write(COMPANIES, row, COMPANY_CHANGED, key=name)
        marker = ImportCompleted(
            municipality="0162", import_id=f"i{self.imports}", import_number=self.imports, source="register",
            partition=0, partitions=1, rows=3, content_hash=f"{self.imports:032x}", completed_at=NOW,
        )  # fmt: skip
        self._write(COMPANIES, marker, IMPORT_COMPLETED, key=f"{MARKER_PREFIX}0")

    def _decide(self, happening: "Happening") -> Record | None:
        kind, afterwards = happening.kind, happening.kind.endswith("_feedback")
        purposes = {Purpose.FEEDBACK} if afterwards else STAGES
        asked = [r for r in self.process.rounds.of_case("0162/prov/A") if r.purpose in purposes]
        if not asked:
            return None
        newest = max(asked, key=lambda r: (r.basis.order, r.number, r.state is not RoundState.CLOSED))
        self.decided.append(
            Decision(
                number=len(self.decided) + 1, kind=kind.removesuffix("_feedback"), round_id=newest.round_id, at=self.at,
                by="ops", set_hash=newest.set_hash if happening.right else "0" * 32,
                outcome=Outcome(taken=happening.title) if kind == "feedback" else None,
                correction=happening.title if kind == "correct" else "",
            )
        )  # fmt: skip
        dialogue = Dialogue(municipality="0162", source="prov", case_id="A", decisions=self.decided)
        return self._write(DIALOGUES, dialogue, DIALOGUE_CHANGED)

    def _write(self, topic: Topic, event: Event, kind: str, *, key: str | None = None, edited: bool = False) -> Record:
        marks = {HELD: "edited"} if edited else {}
        headers = Envelope(id="x", source="prov", type=kind, time=self.at, extensions=marks).headers()
        name = key or str(getattr(event, "key", ""))
        return self.log.append(topic.name, name, event.model_dump_json(exclude_none=True).encode(), headers)

    @property
    def state(self) -> tuple[dict[str, Round], dict[str, tuple[bool, int, bytes]]]:
        """What a new process would know: each round, and each member's standing."""
        rounds, members = RoundTable(), MembershipTable()
        asyncio.run(rounds.apply([r for r in self.log.records if r.topic == ROUNDS.name]))
        asyncio.run(members.apply([r for r in self.log.records if r.topic == INVITATIONS.name]))
        known = {r.round_id: r for r in rounds.of_case("0162/prov/A")}
        standing = {m.invitation_id: (m.live, m.revision, m.fingerprint) for m in members.of_rounds(known)}
        return known, standing

    def live(self, round_id: str) -> dict[str, list[str]]:
        members = self.process.members.of_rounds([round_id])
        return {m.recipient_id: [w.workplace_id for w in m.invitation.workplaces] for m in members if m.live}


@dataclass(frozen=True)
class Happening:
    """One thing that happens: a version of the case, the same again, a decision, an import."""

    kind: str = "case"
    names: tuple[str, ...] = NAMES
    title: str = "Titel"
    stage: str = "projektering"
    occurrence: int = 1
    state: str = "open"
    edited: bool = False
    right: bool = True


WORDS = ("release", "undo", "remind", "feedback", "correct", "undo_feedback", "release_feedback")
IMPORT = Happening("import")
HAPPENINGS = st.builds(
    Happening,
    kind=st.sampled_from(["case", "case", "case", "resent", "release", "import", *WORDS]),
    names=st.lists(st.sampled_from(NAMES), unique=True, min_size=1).map(lambda names: tuple(sorted(names))),
    title=st.sampled_from(["Titel", "Rättad titel"]),
    stage=st.sampled_from(["projektering", "projektering", "ta_plan"]),
    occurrence=st.sampled_from([1, 1, 2]),
    state=st.sampled_from(["open", "open", "open", "withdrawn", "closed"]),
    edited=st.booleans(),
    right=st.booleans(),
)
LIVES = st.lists(HAPPENINGS, min_size=1, max_size=7)
POLICIES = st.sampled_from(["auto", "review"])


def lived(happenings: Sequence[Happening], policy: Policy = "auto", kill: tuple[int, int] | None = None) -> Town:
    """A town where all that happened. `kill` says at which happening, after how many records."""

    async def live() -> Town:
        town = Town(policy)
        await town.do(IMPORT)
        for i, happening in enumerate(happenings):
            town.log.breaks_after = kill[1] if kill and kill[0] == i else None
            if happening.kind == "resent" and town.version == 0:
                continue
            await town.do(happening)
            town.log.breaks_after = None
        return town

    return asyncio.run(live())


@given(LIVES, POLICIES)
@settings(max_examples=80, deadline=None)
def test_step_by_step_ends_where_the_last_state_derived_at_once_ends(lives: list[Happening], policy: Policy) -> None:
    town = lived(lives, policy)
    process = town.process
    case = process.cases.get("0162/prov/A")
    if case is None:
        return
    dialogue = process.dialogues.get(case.key)
    basis = Basis(case_version=case.version, decision=len(town.decided), import_number=town.imports)
    decided = Decided(dialogue, policy, process.cases.edited(case))
    wanted = derive(
        case, process.register.snapshot(), MODEL, DAY, basis, key=DEMO_RECIPIENT_KEY,
        limits=Limits(outside=True), decided=decided,
    )  # fmt: skip
    found = process.rounds.get(wanted.round.round_id)
    assert found is not None
    assert (found.state, found.reason, found.set_hash) == (
        wanted.round.state, wanted.round.reason, wanted.round.set_hash,
    )  # fmt: skip
    if found.state is RoundState.OPEN:
        expected = {i.recipient_id: [w.workplace_id for w in i.workplaces] for i in wanted.invitations}
        assert town.live(found.round_id) == expected
    for other in process.rounds.of_case(case.key):
        assert other.state is not RoundState.MATCHING
        if other.state in (RoundState.WITHDRAWN, RoundState.CLOSED) and other.purpose in STAGES:
            assert town.live(other.round_id) == {}
        if other.round_id != found.round_id and other.purpose in STAGES:
            assert other.state in (RoundState.WITHDRAWN, RoundState.CLOSED)
    assert town.log.dead == []


ONE, TWO, ALL = ("W1",), ("W1", "W2"), NAMES
FULL_LIVES: dict[str, list[Happening]] = {
    "revised, withdrawn, reopened smaller, withdrawn": [
        Happening(names=ALL),
        Happening(names=ONE),
        Happening(names=TWO, title="Rättad titel"),
        Happening(names=TWO, state="withdrawn"),
        Happening(names=ONE),
        Happening(names=ONE, state="withdrawn"),
    ],
    "undone, released, another set, undone again": [
        Happening(names=TWO),
        Happening("undo"),
        Happening("release"),
        Happening(names=ALL),
        Happening("release"),
        Happening("undo"),
        IMPORT,
    ],
    "what came of it is told, taken back, told again; what was wrong too": [
        Happening(names=TWO),
        Happening("correct"),
        Happening(names=ONE),
        Happening("feedback"),
        Happening("undo_feedback"),
        Happening(names=TWO, stage="ta_plan"),
        Happening("release_feedback"),
        Happening("remind"),
        Happening(names=TWO, stage="ta_plan", state="closed"),
    ],
    "stages back and forth, then withdrawn": [
        Happening(names=TWO),
        Happening(names=ALL, stage="ta_plan"),
        Happening(names=ONE),
        Happening(names=TWO, occurrence=2),
        Happening("import", ONE),
        Happening(names=TWO, occurrence=2, state="withdrawn"),
    ],
}


@pytest.mark.parametrize("name", FULL_LIVES)
def test_killed_at_every_single_record_it_ends_the_same_with_the_same_ids_and_revisions(name: str) -> None:
    lives = FULL_LIVES[name]
    whole = lived(lives)
    for at in range(len(lives)):
        for after in range(50):
            killed = lived(lives, kill=(at, after))
            assert killed.state == whole.state, (at, after)
            said = {(i.invitation_id, i.revision) for i in killed.log.invitations()}
            assert len(said) == len(killed.log.invitations()) == len(whole.log.invitations()), (at, after)
            if not killed.kills:
                break
        else:
            raise AssertionError("more records than were killed at")


@given(LIVES, POLICIES, st.data())
@settings(max_examples=60, deadline=None)
def test_killed_anywhere_and_started_again_it_ends_the_same(
    lives: list[Happening], policy: Policy, data: st.DataObject
) -> None:
    whole = lived(lives, policy)
    at = data.draw(st.integers(0, len(lives) - 1))
    killed = lived(lives, policy, (at, data.draw(st.integers(0, 8))))
    assert killed.state == whole.state


@given(LIVES, POLICIES)
@settings(max_examples=50, deadline=None)
def test_looking_again_changes_nothing_and_nothing_said_goes_backwards(lives: list[Happening], policy: Policy) -> None:
    town = lived(lives, policy)
    before = len(town.log.records)
    asyncio.run(town.process.rematch())
    town.process = Process(town.log, policy)
    asyncio.run(town.process.rematch())
    assert len(town.log.records) == before
    last: dict[str, Basis] = {}
    for item in town.log.rounds():
        assert item.round_id not in last or item.basis.order >= last[item.round_id].order
        last[item.round_id] = item.basis


def story(town: Town, since: int = 0) -> list[str]:
    """What was published, in order, as words."""
    rounds, told = {}, []
    for record in town.log.records[since:]:
        if record.topic == ROUNDS.name:
            item = Round.model_validate_json(record.value or b"")
            rounds[item.round_id] = item
            what = item.change or (item.stage if item.purpose in STAGES else item.purpose.value)
            told.append(f"{what} {item.state}" + (f" {item.reason}" if item.reason else ""))
        elif record.topic == INVITATIONS.name:
            one = Invitation.model_validate_json(record.value or b"")
            name = one.workplaces[0].workplace_id
            told.append(f"{name} {one.state} {one.revision}")
    return told


def then(before: Sequence[Happening], *last: Happening, policy: Policy = "auto") -> list[str]:
    """What the last happenings led to, after the others."""
    since = len(lived(before, policy).log.records)
    return [line for line in story(lived([*before, *last], policy), since) if line]


OPENED = [Happening(names=("W1", "W2"))]


def test_a_first_round_is_matching_then_its_invitations_then_open() -> None:
    lines = then([], *OPENED)
    assert (lines[0], sorted(lines[1:3]), lines[3]) == (
        "projektering matching", ["W1 issued 1", "W2 issued 1"], "projektering open",
    )  # fmt: skip


def test_a_corrected_title_invites_nobody_anew_and_is_shown() -> None:
    assert then(OPENED, Happening(names=("W1", "W2"), title="Rättad titel")) == ["projektering open"]


def test_only_the_difference_is_said_and_those_removed_are_told_after_it() -> None:
    assert then(OPENED, Happening(names=("W2", "W3"))) == [
        "projektering matching", "W3 issued 1", "W1 revoked 2", "projektering open",
        "not_affected matching", "W1 issued 1", "not_affected open",
    ]  # fmt: skip


def test_who_comes_back_is_issued_again_with_the_next_revision() -> None:
    assert then([*OPENED, Happening(names=("W2",))], OPENED[0]) == [
        "projektering matching", "W1 issued 3", "projektering open",
    ]  # fmt: skip


def test_withdrawn_comes_first_then_all_are_told_then_taken_back() -> None:
    lines = then(OPENED, Happening(names=("W1", "W2"), state="withdrawn"))
    assert [line for line in lines if not line.startswith("W")] == [
        "projektering withdrawn withdrawn", "withdrawn matching", "withdrawn open",
    ]  # fmt: skip
    assert sorted(lines[2:4]) == ["W1 issued 1", "W2 issued 1"]
    assert sorted(lines[5:]) == ["W1 revoked 2", "W2 revoked 2"]


def test_what_has_ended_is_not_told_of_again_at_an_import() -> None:
    assert then([*OPENED, Happening(names=("W1",), state="withdrawn")], IMPORT) == []


def test_a_newer_stage_closes_takes_back_and_tells_nobody() -> None:
    lines = then(OPENED, Happening(names=(), stage="ta_plan"))
    assert lines[0] == "projektering closed newer_stage"
    assert sorted(lines[1:3]) == ["W1 revoked 2", "W2 revoked 2"]
    assert lines[3:] == ["ta_plan matching", "ta_plan open"]


def test_a_second_occurrence_is_a_round_of_its_own() -> None:
    town = lived([*OPENED, Happening(names=("W1",), occurrence=2)])
    ids = {r.occurrence: r.round_id for r in town.log.rounds()}
    assert len(set(ids.values())) == 2
    assert list(town.live(ids[2]).values()) == [["W1"]]


def test_undone_tells_once_and_what_is_released_again_tells_nobody_and_ends_the_telling() -> None:
    undone = [*OPENED, Happening("undo")]
    lines = then(OPENED, Happening("undo"))
    assert lines[:2] == ["projektering held undone", "undone matching"]
    assert sorted(lines[2:4]) == ["W1 issued 1", "W2 issued 1"]
    assert lines[4:] == ["undone open"]
    assert then(undone, IMPORT) == ["projektering held undone"]
    assert then(undone, Happening("release")) == [
        "projektering matching", "projektering open", "undone closed superseded",
    ]  # fmt: skip


def test_who_was_told_that_it_is_undone_is_not_told_again_that_it_is_withdrawn() -> None:
    lines = then([*OPENED, Happening("undo")], Happening(names=("W1", "W2"), state="withdrawn"))
    assert "withdrawn open" not in lines
    assert sorted(lines[1:]) == ["W1 revoked 2", "W2 revoked 2"]


def test_who_was_removed_and_told_is_not_told_again_but_the_others_are() -> None:
    lines = then([*OPENED, Happening(names=("W2",))], Happening(names=("W2",), state="withdrawn"))
    assert [line for line in lines if line.endswith("issued 1")] == ["W2 issued 1"]


def test_who_came_back_after_being_told_is_told_when_it_is_withdrawn() -> None:
    lines = then([*OPENED, Happening(names=("W2",)), OPENED[0]], Happening(names=("W1", "W2"), state="withdrawn"))
    assert sorted(line for line in lines if line.endswith("issued 1")) == ["W1 issued 1", "W2 issued 1"]


def test_a_round_that_never_opened_tells_nobody() -> None:
    assert then(OPENED, Happening("undo"), policy="review") == ["projektering held undone"]
    withdrawn = Happening(names=("W1", "W2"), state="withdrawn")
    assert then(OPENED, withdrawn, policy="review") == ["projektering withdrawn withdrawn"]


def test_a_change_never_asks_goes_the_same_way_and_ends_by_itself() -> None:
    town = lived([*OPENED, Happening(names=("W1", "W2"), state="withdrawn")])
    change = next(r for r in town.log.rounds() if r.change and r.state is RoundState.OPEN)
    asked = next(r for r in town.log.rounds() if r.purpose is Purpose.ASK)
    assert change.plan is not None
    assert asked.plan is not None
    assert (change.plan.asks, change.plan.channel, change.plan.reminder) == (False, asked.plan.channel, None)
    assert (change.purpose, change.follows, change.number) == (Purpose.CHANGE, asked.round_id, 1)
    assert (change.respond_by, change.expires_at, change.counts.invitations) == (None, NOW + timedelta(days=14), 2)
    told = [i for i in town.log.invitations() if i.round_id == change.round_id]
    assert {i.state for i in told} == {InvitationState.ISSUED}
    assert {i.purpose for i in told} == {Purpose.CHANGE}


def test_a_lower_version_is_ignored_and_the_same_again_leads_to_nothing() -> None:
    assert then(OPENED, Happening("resent")) == []
    town = lived([*OPENED, Happening(names=("W2",))])

    async def old() -> list[str]:
        before = len(town.log.records)
        record = town._write(CASES, town.case(OPENED[0], 1), CASE_CHANGED)
        await town.process.matcher.handle([record])
        return story(town, before)

    assert asyncio.run(old()) == []


def test_of_two_decisions_taken_at_once_the_last_one_stands() -> None:
    async def live() -> tuple[list[str], list[str]]:
        town = Town("review")
        await town.do(IMPORT)
        await town.do(OPENED[0])
        await town.do(Happening("release"))
        town.decided.clear()
        before = len(town.log.records)
        await town.do(Happening("undo"))  # somebody else's first decision too
        undone = story(town, before)
        town.decided.clear()
        before = len(town.log.records)
        await town.do(Happening("release"))
        town.decided.clear()
        await town.do(Happening("release"))
        return undone, story(town, before)

    undone, released = asyncio.run(live())
    assert undone[0] == "projektering held undone"
    assert released == ["projektering matching", "projektering open", "undone closed superseded"]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("happened", "opened"),
    [
        (NOW - 2 * HOUR, NOW - 2 * HOUR),
        (NOW - 24 * HOUR, NOW - 24 * HOUR),
        (NOW - 25 * HOUR, NOW),  # nobody gets less time for our delay
        (NOW + HOUR, NOW),  # a producer's clock
    ],
)
def test_a_round_opens_when_it_happened_and_now_where_that_is_long_ago(happened: datetime, opened: datetime) -> None:
    async def live() -> Town:
        town = Town()
        await town.do(IMPORT)
        town.at = happened
        await town.do(OPENED[0])
        town.at = NOW
        await town.do(Happening(names=("W1", "W2"), title="Rättad titel"))
        return town

    assert {r.opened_at for r in asyncio.run(live()).log.rounds()} == {opened}


def test_a_round_that_was_held_opens_when_it_was_released() -> None:
    async def live() -> Town:
        town = Town("review")
        town.at = NOW - 20 * HOUR
        await town.do(IMPORT)
        await town.do(OPENED[0])
        town.at = NOW - HOUR
        await town.do(Happening("release"))
        return town

    last = asyncio.run(live()).log.rounds()[-1]
    assert (last.state, last.opened_at) == (RoundState.OPEN, NOW - HOUR)


def test_a_revision_that_two_instances_said_in_different_words_is_said_again() -> None:
    town = lived(OPENED)
    ours = next(i for i in town.log.invitations() if i.workplaces[0].workplace_id == "W1")
    theirs = ours.model_copy(update={"respond_by": date(2027, 1, 14)})

    async def contradicted() -> list[str]:
        town._write(INVITATIONS, theirs, INVITATION_CHANGED, key=ours.case_key)
        before = len(town.log.records)
        await town.do(IMPORT)
        await town.do(IMPORT)
        return story(town, before)

    told = asyncio.run(contradicted())
    assert told == ["projektering matching", "W1 revised 2", "projektering open", "projektering open"]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_state_that_another_instance_wrote_over_ours_is_written_over_again(version: int) -> None:
    town = lived([*OPENED, Happening(names=("W1", "W2"), title="Rättad titel")])
    newest = town.log.rounds()[-1]
    old = next(r for r in town.log.rounds() if r.basis.case_version == 1)
    late = old if version == 1 else newest.model_copy(update={"state": RoundState.MATCHING})

    async def overwritten() -> None:
        town._write(ROUNDS, late, ROUND_CHANGED, key=late.round_id)
        await town.process.rematch()
        await town.process.rematch()

    asyncio.run(overwritten())
    assert town.log.rounds()[-2:] == [late, newest]


FEEDBACK, CORRECTION = (
    Happening("feedback", title="Vi flyttar lastzonen."),
    Happening("correct", title="Dagen är den 9."),
)


def test_what_came_of_it_is_told_by_a_round_of_its_own_to_those_who_were_asked() -> None:
    lines = then(OPENED, FEEDBACK)
    assert (lines[:2], sorted(lines[2:4]), lines[4:]) == (
        ["projektering open", "feedback matching"], ["W1 issued 1", "W2 issued 1"], ["feedback open"],
    )  # fmt: skip
    [found] = [r for r in lived([*OPENED, FEEDBACK]).process.rounds.of_case("0162/prov/A") if r.purpose == "feedback"]
    assert found.texts.outcome == Outcome(taken="Vi flyttar lastzonen.")
    assert found.plan is not None
    assert (found.plan.asks, found.plan.feedback_by, found.remind_at, found.respond_by) == (False, None, None, None)


def test_whoever_was_asked_in_a_stage_that_has_ended_is_told_what_came_of_it() -> None:
    ended = [*OPENED, Happening(names=("W3",), stage="ta_plan")]
    told = then(ended, Happening(names=("W3",), stage="ta_plan", state="closed"), FEEDBACK)
    assert [line for line in told if line.startswith("W3")] == ["W3 revoked 2", "W3 issued 1"]


def test_who_was_told_that_it_is_no_longer_about_them_gets_no_feedback_and_yet_a_correction() -> None:
    fewer = [*OPENED, Happening(names=("W2",))]
    assert [line for line in then(fewer, FEEDBACK) if "issued" in line] == ["W2 issued 1"]
    assert sorted(line for line in then(fewer, CORRECTION) if "issued" in line) == ["W1 issued 1", "W2 issued 1"]


def test_a_feedback_that_is_taken_back_is_held_and_goes_out_when_it_is_released() -> None:
    told = [*OPENED, FEEDBACK]
    assert then(told, Happening("undo_feedback")) == ["projektering open", "feedback held undone"]
    again = then([*told, Happening("undo_feedback")], Happening("release_feedback"))
    assert again == ["projektering open", "feedback matching", "feedback open"]


def test_a_second_feedback_is_a_round_of_its_own() -> None:
    town = lived([*OPENED, FEEDBACK, FEEDBACK])
    told = [r for r in town.process.rounds.of_case("0162/prov/A") if r.purpose == "feedback"]
    assert [item.number for item in told] == [1, 2]


def test_nothing_came_of_what_was_withdrawn_and_nobody_was_told_wrong_by_what_never_opened() -> None:
    withdrawn = [*OPENED, Happening(names=("W1", "W2"), state="withdrawn")]
    assert then(withdrawn, FEEDBACK, CORRECTION) == []
    assert set(then([Happening(names=("W1",), edited=True)], FEEDBACK, CORRECTION)) == {"projektering held edited"}


def test_after_a_correction_a_withdrawal_is_told_all_the_same() -> None:
    lines = then([*OPENED, CORRECTION], Happening(names=("W1", "W2"), state="withdrawn"))
    assert "withdrawn open" in lines


def test_a_feedback_can_be_corrected_too() -> None:
    town = lived([*OPENED, FEEDBACK])
    [told] = [r for r in town.process.rounds.of_case("0162/prov/A") if r.purpose is Purpose.FEEDBACK]
    decision = Decision(number=2, kind="correct", round_id=told.round_id, at=NOW, by="ops", correction="Fel.")
    town.decided.append(decision)
    dialogue = Dialogue(municipality="0162", source="prov", case_id="A", decisions=town.decided)
    asyncio.run(town._read(town._write(DIALOGUES, dialogue, DIALOGUE_CHANGED)))
    corrected = next(r for r in town.process.rounds.of_case("0162/prov/A") if r.change == "corrected")
    assert (corrected.follows, corrected.texts.correction, corrected.counts.invitations) == (told.round_id, "Fel.", 2)


def test_an_official_may_have_those_reminded_now_who_would_be_later_and_those_whom_the_plan_does_not_remind() -> None:
    [planned] = lived(OPENED).process.rounds.of_case("0162/prov/A")
    [ordered] = lived([*OPENED, Happening("remind")]).process.rounds.of_case("0162/prov/A")
    assert planned.remind_at is not None
    assert ordered.remind_at == NOW < planned.remind_at
    assert then(OPENED, Happening("remind")) == ["projektering open"]
