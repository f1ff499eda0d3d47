"""What two dialogue models say differently, in the words of `model show`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas import industries
from schemas.model import DialogueModel, IndustryGroup
from services.matcher.dialogue import model_table

NOT_THERE: Final = "–"
RING: Final = "ring "
GROUP: Final = "group "
CODES: Final = "codes of one only"
EXCLUDED: Final = "exclude of one only"


@dataclass(frozen=True)
class Difference:
    """One thing that they say differently: where, what, and what each says."""

    where: str
    what: str
    a: str
    b: str


def differences(a: DialogueModel, b: DialogueModel) -> list[Difference]:
    """Stages in the order of the second model, then groups, then the limits for a company."""
    return [*_stages(a, b), *_groups(a, b), *_policies(a, b)]


def _stages(a: DialogueModel, b: DialogueModel) -> Iterator[Difference]:
    known = dict.fromkeys((t.id, s.id) for model in (b, a) for t in model.case_types for s in t.stages)
    for of in known:
        was, now = _stage(a, *of), _stage(b, *of)
        for what in dict.fromkeys([*now, *was]):
            if was.get(what) != now.get(what):
                yield Difference("/".join(of), what, was.get(what) or NOT_THERE, now.get(what) or NOT_THERE)


def _stage(model: DialogueModel, case_type: str, stage: str) -> dict[str, str]:
    found, one = model.case_type(case_type), model.stage(case_type, stage)
    if found is None or one is None:
        return {}
    rings: dict[str, str] = {}
    for ring in one.rings:
        name = f"{RING}{ring.id}"
        rings[name] = "; ".join([*([rings[name]] if name in rings else []), model_table.ring(ring)])
    return {
        "influence": one.influence,
        "forms": ", ".join(one.forms),
        **rings,
        "lead": f"{one.lead.days} d",
        "answer": f"{one.response.days} d",
        "reminder": model_table.reminder(one) or "",
        "channel": one.channel,
        "elected": one.elected,
        "feedback": model_table.feedback(one) or "",
        "law": "; ".join(map(model_table.law, one.legal)),
    }


def _groups(a: DialogueModel, b: DialogueModel) -> Iterator[Difference]:
    for name in dict.fromkeys([*b.industry_groups, *a.industry_groups]):
        was, now = a.industry_groups.get(name), b.industry_groups.get(name)
        for of, what in (("codes", CODES), ("exclude", EXCLUDED)):
            before, after = _codes(was, of), _codes(now, of)
            if before != after:
                only_a = [code for code in before if code not in after]
                only_b = [code for code in after if code not in before]
                yield Difference(f"{GROUP}{name}", what, _written(only_a), _written(only_b))


def _codes(group: IndustryGroup | None, what: str) -> list[str]:
    return list(getattr(group, what)) if group is not None else []


def _written(codes: list[str]) -> str:
    return ", ".join(map(industries.written, codes)) or NOT_THERE


def _policies(a: DialogueModel, b: DialogueModel) -> Iterator[Difference]:
    for part in ("burden_policy", "seasons", "late_comers", "expected_reach"):
        was, now = getattr(a, part).model_dump(mode="json"), getattr(b, part).model_dump(mode="json")
        for what, value in now.items():
            if was[what] != value:
                yield Difference(part, what, str(was[what]), str(value))
