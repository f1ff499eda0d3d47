"""The dialogue model's shape: versioned data with the board's decision in it, not code.

For each case type and stage it says how much can be influenced, which forms of dialogue fit, who is affected (rings),
how long they get, and by which channel. Every service loads the same file, named by a setting; `default()` is the
proposal that comes with the product.
"""

import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Part(BaseModel):
    """A part of the model. Unknown members are kept out of the way: a municipality may add notes of its own."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Ring(_Part):
    """Whom a stage concerns: within metres of a geometry, or by codes, subscription or earlier participation."""

    id: str
    geometry: Literal["case", "detour", "municipality", "any", "subscription", "participants"]
    delivery: Literal["direct", "digest"] = "direct"
    industries: Literal["all", "from_case"] | list[str] = "all"
    buffer_m: float | None = None
    why: str = ""

    @model_validator(mode="after")
    def _distance_where_needed(self) -> "Ring":
        if self.geometry in ("case", "detour") and self.buffer_m is None:
            raise ValueError(f"ring {self.id} is measured from a geometry and needs buffer_m")
        return self


class Days(_Part):
    days: Annotated[int, Field(ge=0, le=400)]
    basis: str = "proposal"


class Legal(_Part):
    basis: str
    cite: str
    rule: str = ""
    min_days: int | None = None
    min_months: int | None = None
    variant: str | None = None


class Reminder(_Part):
    max: int = 1
    days_before_deadline: int
    channel: str
    to: str = "no_response"


class Feedback(_Part):
    within_days: int
    after: Literal["response_closed", "decision"]
    what: str = ""


class Ask(_Part):
    sv: str
    en: str


class Stage(_Part):
    id: str
    sv: str
    en: str
    influence: Literal["none", "inform", "consult", "involve", "collaborate", "empower"]
    forms: list[str] = []
    rings: list[Ring] = []
    lead: Days
    response: Days
    channel: str = "email"
    elected: str = "none"
    reminder: Reminder | None = None
    feedback: Feedback | None = None
    legal: list[Legal] = []
    ask: Ask | None = None

    @model_validator(mode="before")
    @classmethod
    def _absent_lists(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class CaseType(_Part):
    id: str
    sv: str
    en: str
    decided_by: str = ""
    individual_authority_exercise: bool = False
    earliest_influence: str = ""
    stages: list[Stage]


class Form(_Part):
    sv: str
    en: str
    asks: bool
    minutes: int = 0
    lead_days: int = 0
    response_days: int = 0
    feedback_days: int | None = None
    owed_sv: str = ""
    owed_en: str = ""


class IndustryGroup(_Part):
    sv: str
    en: str
    codes: list[str]
    exclude: list[str] = []


class BurdenPolicy(_Part):
    max_asks_per_person_per_30_days: int = 2
    max_sms_segments: int = 2
    merge_window_hours: int = 24


class DialogueModel(_Part):
    """The whole model of one municipality."""

    model_version: str
    municipality: str
    sni_version: str
    industry_groups: dict[str, IndustryGroup]
    forms: dict[str, Form]
    case_types: list[CaseType]
    burden_policy: BurdenPolicy = BurdenPolicy()
    content_hash: str = ""
    """Of the file's canonical JSON: rounds carry it, so that any decision can be recomputed."""

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> "DialogueModel":
        for case_type in self.case_types:
            for stage in case_type.stages:
                where = f"{case_type.id}/{stage.id}"
                if unknown := [form for form in stage.forms if form not in self.forms]:
                    raise ValueError(f"{where} names unknown forms: {', '.join(unknown)}")
                if stage.influence != "none" and not stage.forms:
                    raise ValueError(f"{where} has influence {stage.influence} but no form")
        return self

    def case_type(self, case_type: str) -> CaseType | None:
        """The case type of that id, or None."""
        return next((item for item in self.case_types if item.id == case_type), None)

    def stage(self, case_type: str, stage: str) -> Stage | None:
        """The stage of a case type, or None."""
        found = self.case_type(case_type)
        return next((item for item in found.stages if item.id == stage), None) if found else None


def parse(data: bytes) -> DialogueModel:
    """A model from its JSON. Raises pydantic's ValidationError, naming the place."""
    content = json.loads(data)
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return DialogueModel.model_validate({**content, "content_hash": hashlib.sha256(canonical).hexdigest()[:32]})


def load(path: Path) -> DialogueModel:
    """The model in a file."""
    return parse(path.read_bytes())


@cache
def default() -> DialogueModel:
    """The proposal that comes with the product."""
    return parse(files("schemas").joinpath("data/dialogue-model.json").read_bytes())
