"""A dialogue model as rows to read: its case types, a type's stages, everything of one stage."""

from collections.abc import Iterator
from typing import Final

from schemas import industries
from schemas.model import CaseType, DialogueModel, Legal, Ring, Stage

TYPE_COLUMNS: Final = ("case_type", "name", "stages", "asks_in", "early_until", "decided_by")
STAGE_COLUMNS: Final = (
    "stage", "influence", "forms", "rings", "lead", "answer", "reminder", "channel", "elected", "feedback", "law",
)  # fmt: skip
SHORT_COLUMNS: Final = ("stage", "influence", "forms", "rings", "lead/answer", "elected")
FACT_COLUMNS: Final = ("what", "is")


def types(model: DialogueModel) -> Iterator[tuple[object, ...]]:
    """One row a case type."""
    for item in model.case_types:
        asking = [stage.id for stage in item.stages if stage.ask is not None]
        yield (
            item.id, item.sv, len(item.stages), ", ".join(asking), item.earliest_influence or None,
            item.decided_by or None,
        )  # fmt: skip


def stages(case_type: CaseType) -> Iterator[tuple[object, ...]]:
    """One row a stage; `*` is the latest in which a first invitation is early enough."""
    for item in case_type.stages:
        yield (
            f"{item.id}{'*' if item.id == case_type.earliest_influence else ''}",
            item.influence,
            ", ".join(item.forms) or None,
            "; ".join(ring(one) for one in item.rings) or None,
            item.lead.days or None,
            item.response.days or None,
            reminder(item),
            item.channel,
            item.elected,
            feedback(item),
            "; ".join(law(one) for one in item.legal) or None,
        )


def short(case_type: CaseType) -> Iterator[tuple[object, ...]]:
    """The same, as much of it as a terminal is wide."""
    for item in case_type.stages:
        star = "*" if item.id == case_type.earliest_influence else ""
        forms, rings = ", ".join(item.forms) or None, "; ".join(ring(one) for one in item.rings) or None
        days = f"{item.lead.days}/{item.response.days}"
        yield f"{item.id}{star}", item.influence, forms, rings, days, item.elected


def facts(case_type: CaseType, stage: Stage, model: DialogueModel) -> Iterator[tuple[str, object]]:
    """Everything that the model says of one stage."""
    yield "case type", f"{case_type.id}: {case_type.sv} / {case_type.en}"
    yield "stage", f"{stage.id}: {stage.sv} / {stage.en}"
    yield "influence", stage.influence
    yield "forms", ", ".join(f"{form} ({model.forms[form].minutes} min)" for form in stage.forms) or None
    if stage.ask is not None:
        yield "question", stage.ask.sv
        yield "question, English", stage.ask.en
    for one in stage.rings:
        yield f"ring {one.id}", f"{ring(one)}{f': {one.why}' if one.why else ''}"
        if isinstance(one.industries, list):
            yield f"industries of {one.id}", codes(one.industries, model)
    yield "days to prepare", stage.lead.days
    yield "days to answer", stage.response.days
    for item in stage.legal:
        yield f"law ({item.basis})", f"{law(item)}{f': {item.rule}' if item.rule else ''}"
    yield "reminder", reminder(stage)
    yield "feedback", feedback(stage)
    yield "channel", f"{stage.channel}: {model.channels.get(stage.channel, '')}".removesuffix(": ")
    yield "elected", f"{stage.elected}: {model.elected_roles.get(stage.elected, '')}".removesuffix(": ")
    yield "a single party's matter", "yes" if case_type.is_individual(stage) else "no"
    if stage.note:
        yield "note", stage.note


def ring(item: Ring) -> str:
    """A ring in a few words."""
    place = f"{item.buffer_m:g} m" if item.buffer_m is not None else item.geometry
    around = " around the detour" if item.geometry == "detour" else ""
    whom = item.industries if isinstance(item.industries, str) else " + ".join(item.industries)
    return f"{place}{around} {whom}{' (digest)' if item.delivery == 'digest' else ''}"


def codes(names: list[str], model: DialogueModel) -> str:
    """Groups and codes written out."""
    groups = model.industry_groups
    return "; ".join(
        f"{name}: {', '.join(map(industries.written, groups[name].codes))}"
        + (f" without {', '.join(map(industries.written, groups[name].exclude))}" if groups[name].exclude else "")
        if name in groups
        else industries.label(industries.parse(name, model.sni), model.sni)
        for name in names
    )


def law(item: Legal) -> str:
    """A section and its floor."""
    floor = f" ≥ {item.min_months} months" if item.min_months else f" ≥ {item.min_days} days" if item.min_days else ""
    return f"{item.cite}{floor}{f' ({item.variant})' if item.variant else ''}"


def reminder(stage: Stage) -> str | None:
    """When and how people are reminded."""
    found = stage.reminder
    return f"{found.days_before_deadline} days before, {found.channel}" if found and found.max else None


def feedback(stage: Stage) -> str | None:
    """When people are owed an account."""
    found = stage.feedback
    after = {"response_closed": "after the last day to answer", "decision": "after the decision"}
    return f"within {found.within_days} days {after[found.after]}" if found else None
