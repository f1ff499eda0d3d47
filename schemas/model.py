"""The dialogue model's shape: versioned data with the board's decision in it, not code.

For each case type and stage it says how much can be influenced, which forms of dialogue fit, who is affected (rings),
how long they get, and by which channel. Every service loads the same file, named by a setting; `default()` is the
proposal that comes with the product. What a file may leave out has its default here, stated beside the field.

`DialogueModel` is a model that can be used; `ModelShape` is one whose parts have the right shape and may still
contradict each other, for whoever wants to hear of all that is wrong (`nardialog model check`).
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas import industries
from schemas.types import type_id_pattern

LADDER: Final = ("none", "inform", "consult", "involve", "collaborate", "empower")
"""How much can be influenced, from silence up (IAP2's ladder)."""
NOTICE: Final = "informationsnotis"
"""The form of information: what is sent where nothing can be influenced."""
DIRECT: Final = "direct"
"""The ring of those whom a case touches directly: they are outside the burden budget."""
ORGANISATIONS: Final = "organisationer"
"""The industry group of business organisations (SNI 94), which hear of every municipality-wide round."""
Influence = Literal["none", "inform", "consult", "involve", "collaborate", "empower"]


class _Part(BaseModel):
    """A part of the model. Unknown members are kept out of the way: a municipality may add notes of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _month_and_day(value: str) -> str:
    month, _, day = value.partition("-")
    date(2024, int(month), int(day))  # a leap year: 02-29 is a day
    return value


MonthDay = Annotated[str, Field(pattern=r"^[0-9]{2}-[0-9]{2}$"), AfterValidator(_month_and_day)]
"""A day of every year, as `06-20`."""
_Date = date
Plenty = Annotated[int, Field(ge=0, le=4000)]


Name = Annotated[str, Field(max_length=200)]
"""What a message can carry: one line of text."""
Id = Annotated[str, Field(max_length=60, pattern=type_id_pattern)]


class Adopted(_Part):
    """Who adopted the model, by which decision, and when; all empty in a proposal."""

    by: str | None = None
    decision: str | None = None
    date: _Date | None = None


PLACES: Final = frozenset({"case", "site", "road", "zone", "detour"})
"""What a ring can be measured from: `case` is every site, road and zone, the others are that role only."""


class Ring(_Part):
    """Whom a stage concerns: within metres of a geometry, or by codes, subscription or earlier participation."""

    id: Name
    geometry: Literal["case", "site", "road", "zone", "detour", "municipality", "any", "subscription", "participants"]
    delivery: Literal["direct", "digest"] = "direct"
    industries: Literal["all", "from_case"] | list[str] = "all"
    buffer_m: Annotated[float, Field(ge=0, le=100_000)] | None = None
    basis: str = "proposal"
    why: str = ""

    @model_validator(mode="after")
    def _distance_where_needed(self) -> "Ring":
        if self.geometry in PLACES and self.buffer_m is None:
            raise ValueError(f"ring {self.id} is measured from a geometry and needs buffer_m")
        return self


class Days(_Part):
    days: Annotated[int, Field(ge=0, le=400)]
    basis: str = "proposal"


class Legal(_Part):
    basis: str
    cite: str
    rule: str = ""
    min_days: Annotated[int, Field(ge=0, le=400)] | None = None
    min_months: Annotated[int, Field(ge=0, le=24)] | None = None
    variant: str | None = None
    """The procedure that it holds for; without one, for all."""


class Reminder(_Part):
    max: int = 1
    days_before_deadline: Annotated[int, Field(ge=0, le=100)]
    channel: Id
    to: str = "no_response"


class Feedback(_Part):
    within_days: Annotated[int, Field(ge=0, le=400)]
    after: Literal["response_closed", "decision"]
    what: str = ""


class Ask(_Part):
    sv: Annotated[str, Field(max_length=300)]
    en: Annotated[str, Field(max_length=300)]


class Stage(_Part):
    id: Id
    sv: Name
    en: Name
    influence: Influence
    forms: list[Id] = []
    rings: list[Ring] = []
    lead: Days
    response: Days
    channel: Annotated[str, Field(max_length=40, pattern=r"^[a-z_+]+$")] = "email"
    elected: Id = "none"
    reminder: Reminder | None = None
    feedback: Feedback | None = None
    legal: list[Legal] = []
    ask: Ask | None = None
    urgent: bool = False
    """Every case in this stage is urgent: it passes the hold, the merge window and the digest, never a stop."""
    individual_authority_exercise: bool | None = None
    """Whether a single party's matter is decided here; without a word, as the case type says, where the stage is about
    one place. What reaches a whole trade (guidelines, charges, plans) is about principles.
    """
    external_status: dict[str, str | list[str]] = {}
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _absent_lists(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class CaseType(_Part):
    id: Id
    sv: Name
    en: Name
    decided_by: str = ""
    individual_authority_exercise: bool = False
    earliest_influence: str = ""
    """The latest stage in which a first invitation is early enough."""
    heard_by_law: str = ""
    invited_voluntarily: str = ""
    stages: list[Stage]

    def is_individual(self, stage: Stage) -> bool:
        """Whether the stage decides a single party's matter: no elected representative has a part in it (RF 12:2)."""
        if stage.individual_authority_exercise is not None:
            return stage.individual_authority_exercise
        one_place = not stage.rings or any(ring.geometry in PLACES | {"participants"} for ring in stage.rings)
        return self.individual_authority_exercise and one_place


class Form(_Part):
    sv: Name
    en: Name
    asks: bool
    iap2: str = ""
    trappa: str = ""
    minutes: Annotated[int, Field(ge=0, le=1000)] = 0
    lead_days: int = 0
    response_days: int = 0
    feedback_days: int | None = None
    attends: str = ""
    seats: int | None = None
    selection: str = ""
    owed_sv: str = ""
    owed_en: str = ""
    contact_roles: Annotated[list[Id], Field(max_length=10)] = []
    """Whom in a company it is for, as contacts say what they are: the first that there is, or else whoever there is."""


class IndustryGroup(_Part):
    sv: str
    en: str
    codes: list[str]
    exclude: list[str] = []


class Digest(_Part):
    """When several rounds come in one message. A day on which nobody works gives way to the next working day."""

    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday"] = "tuesday"
    time: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "08:00"
    """Of the weekly digest and, on each working day, of the daily one; in Swedish wall time."""


class BurdenPolicy(_Part):
    """How much a business may be asked. A quarter of a year is 90 days."""

    basis: str = "proposal"
    max_asks_per_person_per_30_days: Plenty = 2
    max_minutes_per_person_per_90_days: Plenty = 90
    max_asks_per_company_per_30_days: Plenty | None = None
    """Over all of a company's addresses; without a word, as for a person."""
    max_minutes_per_company_per_90_days: Plenty | None = None
    max_reminders_per_stage: Plenty = 1
    max_sms_per_person_per_case_stage: Plenty = 1
    max_sms_segments: Plenty = 2
    merge_window_hours: Plenty = 24
    exempt: list[str] = []
    over_budget: str = ""
    digest: Digest = Digest()
    quiet_hours: dict[str, str] = {}
    any_hour: list[str] = []
    """Stages, as `case_type.stage`, whose messages leave in quiet hours too."""
    holiday_rule: str = ""


class Period(_Part):
    """A time of every year, first and last day included; it may run over New Year."""

    sv: str
    en: str
    first: MonthDay
    last: MonthDay

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        at = day.isoformat()[5:]
        return self.first <= at <= self.last if self.first <= self.last else at >= self.first or at <= self.last


class Seasons(_Part):
    """When people are away: an answering time of which at least `share` lies there gets `extend_days` more."""

    periods: list[Period] = [
        Period(sv="sommaren", en="the summer", first="06-20", last="08-15"),
        Period(sv="jul och nyår", en="Christmas and New Year", first="12-20", last="01-07"),
    ]
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    extend_days: Annotated[int, Field(ge=0, le=60)] = 14
    unless_urgent: bool = True


class LateComers(_Part):
    """What must be left of a round's answering time for somebody who turns up while it is open: both hold."""

    min_share_left: Annotated[float, Field(ge=0, le=1)] = 0.25
    min_days_left: Annotated[int, Field(ge=0, le=400)] = 5


class ExpectedReach(_Part):
    """How many recipients a round is expected to have; a backtest points at the others."""

    least: Plenty = 3
    most: Plenty = 300


class Retention(_Part):
    """How long what a round was derived from can be found by its hashes, so that it can be derived again."""

    replay_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    decision: str = ""


class ModelShape(_Part):
    """The whole model of one municipality, each part of the right shape."""

    about: str = ""
    model_version: str
    status: Literal["proposal", "adopted", "retired"] = "proposal"
    adopted: Adopted = Adopted()
    municipality: str
    sni_version: str
    basis: dict[str, str] = {}
    units: dict[str, str] = {}
    influence_levels: list[Influence] = list(LADDER)
    rules: dict[str, str] = {}
    elected_roles: dict[str, str] = {}
    """What each role is; without any, whatever a stage names is taken."""
    channels: dict[str, str] = {}
    burden_policy: BurdenPolicy = BurdenPolicy()
    seasons: Seasons = Seasons()
    late_comers: LateComers = LateComers()
    information_days: Annotated[int, Field(ge=0, le=400)] = 14
    """How long information without a date of its own is news."""
    expected_reach: ExpectedReach = ExpectedReach()
    retention: Retention = Retention()
    industry_groups: dict[str, IndustryGroup]
    forms: dict[str, Form]
    case_types: Annotated[list[CaseType], Field(min_length=1)]
    content_hash: str = ""
    """Of the file's canonical JSON: rounds carry it, so that any decision can be recomputed."""

    @property
    def sni(self) -> str:
        """The classification of the model's codes: `2025` or `2007`."""
        return self.sni_version.partition(".")[0]

    def case_type(self, case_type: str) -> CaseType | None:
        """The case type of that id, or None."""
        return next((item for item in self.case_types if item.id == case_type), None)

    def stage(self, case_type: str, stage: str) -> Stage | None:
        """The stage of a case type, or None."""
        found = self.case_type(case_type)
        return next((item for item in found.stages if item.id == stage), None) if found else None


@dataclass(frozen=True)
class Flaw:
    """Why a model cannot be used: where (a JSON pointer), what, and what to do."""

    pointer: str
    code: str
    what: str
    remedy: str


def flaws(model: ModelShape) -> Iterator[Flaw]:
    """What makes a well-shaped model unusable: some stage could not be planned or matched."""
    if model.sni not in industries.VERSIONS:
        what = f"sni_version is {model.sni_version[:20]}, which there is not"
        yield Flaw("/sni_version", "sni_version", what, f"write one of: {', '.join(industries.VERSIONS)}")
        return
    if NOTICE not in model.forms or model.forms[NOTICE].asks:
        what = f"there is no form {NOTICE} that informs and does not ask: nothing could be sent where nothing is asked"
        yield Flaw("/forms", "no_notice", what, f"add {NOTICE} with asks: false")
    for name, group in model.industry_groups.items():
        at = f"/industry_groups/{name}"
        yield from _unknown_codes(group.codes, model.sni, f"{at}/codes", f"industry group {name}")
        yield from _unknown_codes(group.exclude, model.sni, f"{at}/exclude", f"industry group {name}")
    for i, case_type in enumerate(model.case_types):
        where = f"/case_types/{i}"
        if case_type.id in [other.id for other in model.case_types[:i]]:
            yield Flaw(f"{where}/id", "duplicate_id", f"case type {case_type.id} is there twice", "keep one of them")
        for j, stage in enumerate(case_type.stages):
            yield from _flaws_of(model, case_type, j, stage, f"{where}/stages/{j}")


def _flaws_of(model: ModelShape, case_type: CaseType, number: int, stage: Stage, at: str) -> Iterator[Flaw]:
    name = f"{case_type.id}/{stage.id}"
    if stage.id in [other.id for other in case_type.stages[:number]]:
        yield Flaw(f"{at}/id", "duplicate_id", f"stage {name} is there twice", "keep one of them")
    if unknown := [form for form in stage.forms if form not in model.forms]:
        what = f"{name} names unknown forms: {', '.join(unknown)}"
        yield Flaw(f"{at}/forms", "unknown_form", what, f"use some of: {', '.join(model.forms)}")
    if stage.influence != "none" and not stage.forms:
        what = f"{name} has influence {stage.influence} but no form"
        yield Flaw(f"{at}/forms", "no_form", what, "name a form, or set influence to none")
    for i, ring in enumerate(stage.rings):
        if isinstance(ring.industries, list):
            named = f"{name} in ring {ring.id}"
            yield from _unknown_industries(ring.industries, model, f"{at}/rings/{i}/industries", named)


def _unknown_industries(names: list[str], model: ModelShape, at: str, where: str) -> Iterator[Flaw]:
    groups = model.industry_groups
    for i, name in enumerate(names):
        if name in groups:
            continue
        if re.fullmatch(r"[A-Za-z]|[A-Za-z]?[0-9. ]+", name):
            yield from _unknown_codes([name], model.sni, at, where, first=i)
            continue
        near = difflib.get_close_matches(name, groups, 1, 0.5)
        remedy = f"write {near[0]}, if that is meant" if near else f"name one of: {', '.join(groups)}"
        yield Flaw(f"{at}/{i}", "unknown_group", f"{where} names {name[:60]}, which is no industry group", remedy)


def _unknown_codes(codes: list[str], version: str, at: str, where: str, first: int = 0) -> Iterator[Flaw]:
    for i, code in enumerate(codes, first):
        try:
            industries.parse(code, version)
        except industries.UnknownCode as error:
            near = ", ".join(industries.written(other) for other in error.nearest)
            remedy = f"write one of: {near}" if near else f"write a code of SNI {version}"
            yield Flaw(f"{at}/{i}", "unknown_code", f"{where}: {code[:12]}: {error}", remedy)


class DialogueModel(ModelShape):
    """The whole model of one municipality, ready to be used."""

    @model_validator(mode="after")
    def _usable(self) -> "DialogueModel":
        if found := list(flaws(self)):
            raise ValueError("; ".join(flaw.what for flaw in found))
        return self


def canonical(content: Any) -> bytes:
    """JSON in its one form: what the content hash is over."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def parse(data: bytes) -> DialogueModel:
    """A model from its JSON. Raises pydantic's ValidationError, naming the place."""
    content = json.loads(data)
    return DialogueModel.model_validate({**content, "content_hash": content_hash(content)})


def content_hash(content: Any) -> str:
    """A model's name by its content: 32 hexadecimal digits."""
    return hashlib.sha256(canonical(content)).hexdigest()[:32]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a model file. Members that it does not know are a municipality's own."""
    schema = ModelShape.model_json_schema()
    del schema["properties"]["content_hash"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:nardialog:dialogue-model",
        **schema,
    }


def load(path: Path) -> DialogueModel:
    """The model in a file."""
    return parse(path.read_bytes())


def default_file() -> bytes:
    """The file of the proposal that comes with the product."""
    return files("schemas").joinpath("data/dialogue-model.json").read_bytes()


@cache
def default() -> DialogueModel:
    """The proposal that comes with the product."""
    return parse(default_file())
