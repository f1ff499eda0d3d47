"""`rounds`: one wave of dialogue on one stage of a case: what it is, where it stands, and the words to show.

No geometry travels here: whoever renders needs text, times and the plan only. Nothing leaves before `open`.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from schemas.case import Document, Meeting, Official
from schemas.types import (
    Basis,
    CaseKey,
    Count,
    Day,
    Event,
    Hash,
    Key,
    Line,
    Moment,
    OpenId,
    OurId,
    Question,
    Text,
    Title,
    Value,
)

ROUND_CHANGED: Final = "se.nardialog.round.changed.v1"


CORRECTED: Final = "corrected"
"""Of a change: an official told those who got it what was wrong in an earlier message."""


class RoundState(StrEnum):
    """Where a round stands."""

    HELD = "held"
    """Waits for something named in `reason`: a register, an official's release."""
    SILENT = "silent"
    """The model forbids or does not ask for messages here; `reason` says why."""
    MATCHING = "matching"
    """Invitations are being published; nothing leaves yet."""
    OPEN = "open"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class Purpose(StrEnum):
    """What a round is for."""

    ASK = "ask"
    INFORM = "inform"
    FEEDBACK = "feedback"
    CHANGE = "change"


class Reminder(Value):
    """One reminder to those who have not answered."""

    days_before_deadline: Annotated[int, Field(ge=0, le=100)]
    channel: OpenId


class Deviation(Value):
    """Where a case departs from the dialogue model: in what, and what either says."""

    kind: OpenId
    """`form`, `reach` or `deadline`, which need a reason; `lead` or `weekend`, which are only said."""
    model: Line = ""
    case: Line = ""


class Plan(Value):
    """How the round is carried out, from the dialogue model and the case."""

    primary: OpenId
    forms: Annotated[list[OpenId], Field(max_length=20)]
    asks: bool
    minutes: Count = 0
    """What answering costs a business, in minutes."""
    influence: OpenId
    channel: Annotated[str, Field(max_length=40, pattern=r"^[a-z_+]+$")]
    """`email`, `email+sms`, `email+sms_urgent`, `sms+email` or `sms`."""
    urgent: bool = False
    exempt: bool = False
    """Outside the burden budget."""
    reminder: Reminder | None = None
    feedback_days: Count | None = None
    feedback_after: OpenId | None = None
    """`response_closed` or `decision`."""
    feedback_by: Day | None = None
    """Where the day that it is counted from is known."""
    elected: OpenId | None = None
    """What the elected have to do with it: `none`, `informed`, `may_attend`, `attends` or `chairs`."""
    meeting_from: Day | None = None
    """The first day on which a meeting, or what is announced, leaves people the model's time to prepare."""
    statutory: bool = False
    """A right may hang on a written comment in this stage: the message says so."""
    contact_roles: Annotated[list[OpenId], Field(max_length=10)] = []
    """Roles of contacts, the first that there is gets it; where a company has none of them, whoever there is."""
    any_hour: bool = False
    """Leaves at night and on holidays too: access, water or collection is cut."""
    leave_by: Day | None = None
    """The last day on which a message still gives the time to answer that the law demands."""


class Outcome(Value):
    """What came of the answers, in the municipality's words: a feedback round tells it to those who were asked."""

    said: Text = ""
    """What businesses said."""
    said_en: Text = ""
    taken: Text = ""
    """What the municipality takes with it."""
    taken_en: Text = ""
    not_taken: Text = ""
    """What could not be met, and why."""
    not_taken_en: Text = ""

    @property
    def has_words(self) -> bool:
        """Whether it says anything in Swedish, which everybody reads."""
        return any(text.strip() for text in (self.said, self.taken, self.not_taken))


class Texts(Value):
    """What people read, Swedish and English; an empty English text means that the Swedish one is shown."""

    title: Title
    title_en: Line = ""
    summary: Text = ""
    summary_en: Text = ""
    question: Question = ""
    question_en: Question = ""
    case_type: Line = ""
    case_type_en: Line = ""
    stage: Line = ""
    stage_en: Line = ""
    form: Line = ""
    form_en: Line = ""
    place: Line = ""
    diary_number: Line = ""
    unit: Line = ""
    decision_body: Line = ""
    open_questions: Annotated[list[Text], Field(max_length=20)] = []
    already_decided: Annotated[list[Text], Field(max_length=20)] = []
    urgent_reason: Line = ""
    official: Official | None = None
    meeting: Meeting | None = None
    documents: Annotated[list[Document], Field(max_length=50)] = []
    outcome: Outcome | None = None
    """Of a feedback."""
    correction: Text = ""
    """Of a change that corrects an earlier message: what was wrong, and what is right."""
    correction_en: Text = ""


class Counts(Value):
    """How many the round is for, and how many it leaves out, by stated reason."""

    invitations: Count = 0
    workplaces: Count = 0
    excluded: dict[str, Count] = {}


class Round(Event):
    """One round in full; each event replaces the last."""

    round_id: OurId
    case_key: CaseKey
    case_id: Key
    source: Key
    case_type: OpenId
    stage: OpenId
    occurrence: Annotated[int, Field(ge=1, le=1000)]
    purpose: Purpose
    number: Count = 0
    """Which change or feedback this is, where the purpose is one of these."""
    change: OpenId | None = None
    """Of a change: `withdrawn`, `undone`, `not_affected` (the area or the industries changed), `moved`, `cancelled`,
    `corrected`.
    """
    follows: OurId | None = None
    """Of a change or a feedback: the round whose members it tells, those that the first message reached and nobody
    else.
    """
    state: RoundState
    reason: OpenId | None = None
    detail: Line = ""
    basis: Basis
    plan: Plan | None = None
    deviations: Annotated[list[Deviation], Field(max_length=10)] = []
    deviation_reason: Line = ""
    """Why the case departs from the dialogue model."""
    texts: Texts
    opened_at: Moment | None = None
    not_before: Moment | None = None
    remind_at: Moment | None = None
    respond_by: Day | None = None
    expires_at: Moment | None = None
    event_at: Moment | None = None
    decision_at: Day | None = None
    counts: Counts = Counts()
    set_hash: Hash | None = None
    """Over the recipients and their workplaces (`identity.set_hash`): what a release names."""
    reach_hash: Hash | None = None
    """Over what of the case decides whom it concerns: where it differs, who is new is no late comer."""
    model_version: Line = ""
    model_hash: Hash | None = None
    register_version: Hash | None = None
    register_date: Day | None = None


EXAMPLE: Final = {
    "municipality": "0162",
    "round_id": "00112233445566778899aabbccddeeff",
    "case_key": "0162/exempel/EX-2",
    "case_id": "EX-2",
    "source": "exempel",
    "case_type": "gatuarbete",
    "stage": "projektering",
    "occurrence": 1,
    "purpose": "ask",
    "state": "open",
    "basis": {"case_version": 1, "decision": 0, "import_number": 1, "subscription": 0},
    "plan": {
        "primary": "fraga",
        "forms": ["fraga", "aterringning"],
        "asks": True,
        "minutes": 3,
        "influence": "involve",
        "channel": "email",
        "reminder": {"days_before_deadline": 5, "channel": "email"},
        "feedback_days": 15,
        "feedback_after": "response_closed",
        "elected": "informed",
    },
    "texts": {
        "title": "Stockholmsvägen byggs om",
        "title_en": "Stockholmsvägen is rebuilt",
        "question": "Vilka tider tar ni emot leveranser?",
        "diary_number": "KS 2025/0123",
        "official": {"name": "Anna Exempel", "phone": "08-465 004 00"},
    },
    "opened_at": "2025-11-10T09:00:00+01:00",
    "respond_by": "2025-12-05",
    "expires_at": "2025-12-06T00:00:00+01:00",
    "counts": {"invitations": 42, "workplaces": 58},
    "model_version": "0.1.0",
    "model_hash": "0123456789abcdef0123456789abcdef",
    "register_version": "0123456789abcdef0123456789abcdef",
    "register_date": "2025-11-03",
}
