"""What is wrong with a dialogue model, what contradicts itself, and what nobody could have meant.

An *error* is a model that may not be used: it has the wrong shape, a stage that speaks has no question or no time, a
party's own matter has a role for the elected. A *warning* is what the program does something with that was hardly
meant: a ring that adds nobody, a reminder that never comes. A *note* is what people should know before they adopt it.
Every finding has its place in the file (a JSON pointer, RFC 6901) and what to do. Source: docs/dialogue-model.md.
"""

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from schemas.complaints import of_shape, pointer_to
from schemas.model import LADDER, ORGANISATIONS, CaseType, ModelShape, Stage, flaws
from services.matcher.dialogue.findings import Finding, in_order
from services.matcher.dialogue.leaves import leaves, leaves_of
from services.matcher.dialogue.stage_check import CONSULT, StageCheck

_SHAPE: Final = "see `nardialog model schema`"


def check(data: bytes) -> list[Finding]:
    """Everything that there is to say of a model file, the worst first."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        return [Finding("error", "not_json", "", f"is not JSON: {error}"[:200], "mend the file; a JSON editor helps")]
    if not isinstance(content, dict):
        return [Finding("error", "not_a_model", "", "is not a JSON object", "start from the model that comes along")]
    found = list(_unknown_members(ModelShape, content, ""))
    try:
        model = ModelShape.model_validate(content)
    except ValidationError as error:
        wrong = of_shape(error, data)
        shape = [Finding("error", w.code, w.pointer, _named(content, w.pointer) + w.detail, _SHAPE) for w in wrong]
        return in_order([*shape, *found])
    found += [Finding("error", flaw.code, flaw.pointer, flaw.what, flaw.remedy) for flaw in flaws(model)]
    found += [*_of_groups(model), *_of_organisations(model), *_of_forms(model), *_of_adoption(model)]
    found += _of_any_hour(model)
    for i, case_type in enumerate(model.case_types):
        found += _of_case_type(case_type, f"/case_types/{i}")
        for j, stage in enumerate(case_type.stages):
            found += StageCheck(model, case_type, stage, f"/case_types/{i}/stages/{j}").findings()
    return in_order(found)


def _named(content: Any, pointer: str) -> str:
    """The case type and stage that a pointer leads into, for people: `/case_types/3/stages/1` says little."""
    names, here = [], content
    for part in pointer.split("/")[1:]:
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (LookupError, TypeError, ValueError):
            break
        if isinstance(here, dict) and isinstance(here.get("id"), str):
            names.append(here["id"][:60])
    return f"{'/'.join(names)}: " if names else ""


def _unknown_members(shape: type[BaseModel], content: Any, pointer: str) -> Iterator[Finding]:
    """Members that are nearly ours: a municipality may add members of its own, and may misspell ours."""
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        field = shape.model_fields.get(name)
        at = pointer + pointer_to([name])
        if field is None:
            if near := difflib.get_close_matches(name, set(shape.model_fields) - set(content), 1, 0.8):
                what = "is no member of a model and is not read"
                yield Finding("warning", "misspelt_member", at, what, f"write {near[0]}, if that is meant")
            continue
        if (inner := _model_within(field.annotation)) is None:
            continue
        parts: Iterable[tuple[Any, Any]] = [(None, value)]
        if isinstance(value, list):
            parts = enumerate(value)
        elif _is_mapping(field.annotation) and isinstance(value, dict):
            parts = value.items()
        for key, part in parts:
            yield from _unknown_members(inner, part, at if key is None else at + pointer_to([key]))


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_within(part)) is not None), None)


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _of_groups(model: ModelShape) -> Iterator[Finding]:
    used = {name for case_type in model.case_types for stage in case_type.stages for name in _names(stage)}
    for name, group in model.industry_groups.items():
        at = "/industry_groups" + pointer_to([name])
        if name not in used and name != ORGANISATIONS:
            what = f"industry group {name} is used by no ring"
            yield Finding("warning", "unused_group", at, what, "use it in a ring, or remove it")
        known = leaves(group.codes, model.sni)
        for i, code in enumerate(group.exclude):
            if (excluded := leaves([code], model.sni)) and not excluded & known:
                what = f"group {name} leaves out {code}, which it does not hold"
                yield Finding("warning", "excludes_nothing", f"{at}/exclude/{i}", what, "remove it, or correct it")
        if not leaves_of(group, model.sni):
            what = f"industry group {name} holds no industry at all"
            yield Finding("error" if name in used else "warning", "empty_group", at, what, "name codes, or remove it")


def _of_organisations(model: ModelShape) -> Iterator[Finding]:
    """Rule 10: they answer for those whom only the digest reaches."""
    wide = any(ring.geometry == "municipality" for t in model.case_types for s in t.stages for ring in s.rings)
    if wide and ORGANISATIONS not in model.industry_groups:
        what = f"there is no industry group {ORGANISATIONS}: no organisation hears of municipality-wide rounds"
        yield Finding("warning", "no_organisations", "/industry_groups", what, f"add {ORGANISATIONS} with code 94")


def _names(stage: Stage) -> Iterator[str]:
    for ring in stage.rings:
        if isinstance(ring.industries, list):
            yield from ring.industries


def _of_any_hour(model: ModelShape) -> Iterator[Finding]:
    """A stage that is misspelt here is told of a cut in the morning."""
    stages = [f"{case_type.id}.{stage.id}" for case_type in model.case_types for stage in case_type.stages]
    for i, name in enumerate(model.burden_policy.any_hour):
        if name not in stages:
            near = difflib.get_close_matches(name, stages, 1)
            what = f"there is no stage {name[:120]}"
            remedy = f"write {near[0]}, if that is meant" if near else "write case_type.stage, of stages there are"
            yield Finding("error", "unknown_stage", f"/burden_policy/any_hour/{i}", what, remedy)


def _of_forms(model: ModelShape) -> Iterator[Finding]:
    used = {form for case_type in model.case_types for stage in case_type.stages for form in stage.forms}
    for name in model.forms:
        if name not in used:
            at = "/forms" + pointer_to([name])
            yield Finding("note", "unused_form", at, f"form {name} is offered in no stage", "offer it, or remove it")


def _of_adoption(model: ModelShape) -> Iterator[Finding]:
    missing = [name for name in ("by", "decision", "date") if getattr(model.adopted, name) in (None, "")]
    if model.status == "proposal":
        what = "the model is a proposal: nobody has adopted it"
        yield Finding("note", "not_adopted", "/status", what, "when the board has: fill in adopted, and status")
    elif missing:
        what = f"the model is {model.status}, and adopted does not say {', '.join(missing)}"
        yield Finding("error", "adoption", "/adopted", what, "fill in who, by which decision, and when")
    if model.information_days == 0:
        what = "information without a date of its own expires at once"
        yield Finding("error", "no_expiry", "/information_days", what, "give it some days, as 14")


def _of_case_type(case_type: CaseType, at: str) -> Iterator[Finding]:
    stages = {stage.id: stage for stage in case_type.stages}
    asking = [stage.id for stage in case_type.stages if LADDER.index(stage.influence) >= CONSULT]
    earliest = case_type.earliest_influence
    at = f"{at}/earliest_influence"
    named = f"case type {case_type.id}"
    if not earliest:
        if asking:
            what = f"{named} does not say in which stage a first invitation is early enough"
            yield Finding("error", "no_earliest_influence", at, what, f"name a stage: {', '.join(asking)}")
        else:
            what = f"nothing of {named} can be influenced in any stage"
            yield Finding("warning", "never_asks", at, what, "give an early stage influence, or say why in a note")
    elif earliest not in stages:
        what = f"{named} has no stage {earliest[:60]}"
        yield Finding("error", "unknown_stage", at, what, f"name one of: {', '.join(stages)}")
    elif earliest not in asking:
        what = f"{named} calls {earliest} early enough, where the influence is {stages[earliest].influence}"
        yield Finding("error", "earliest_without_influence", at, what, "name a stage that asks, or raise its influence")
    elif asking[0] != earliest:
        what = f"{named} asks in {asking[0]} already, before {earliest}"
        yield Finding("note", "asks_earlier", at, what, f"name {asking[0]}, if that is early enough")
