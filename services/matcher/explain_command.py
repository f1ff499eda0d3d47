"""`nardialog explain`: why a workplace was invited, or why not, from the topics or from files.

The answer is data and goes to stdout. Exit codes: 0 answered, whatever the answer is; 1 no such case, or a file that
cannot be read; 2 usage; 5 broker unreachable.
"""

import asyncio
import json as json_text
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from services.matcher.case_formats import Format
from services.runtime.terminal import OK, failed, printable, say, usage

if TYPE_CHECKING:  # a command's help must not wait for numpy and shapely
    from datetime import datetime

    from schemas.case import Case
    from schemas.delivery import Delivery
    from schemas.invitation import Reason
    from schemas.suppression import Suppression
    from services.matcher.case_formats.reading import Told
    from services.matcher.explain import Explanation, Rule
    from services.matcher.near import Missed
    from services.matcher.published import Published
    from services.matcher.published import Told as ToldOf
    from services.matcher.register.reading import Asked
    from services.matcher.settings import MatcherSettings

Flag = Annotated[bool, Parameter(negative="")]


def explain(
    case: str,
    workplace: str | None = None,
    /,
    *,
    near: Flag = False,
    stage: str | None = None,
    register: Path | None = None,
    cases: Path | None = None,
    subscriptions: Path | None = None,
    dialogues: Path | None = None,
    model: Path | None = None,
    register_mapping: str | None = None,
    case_mapping: Path | None = None,
    case_format: Format | None = None,
    crs: str | None = None,
    json: Flag = False,
) -> int:
    """Why was a workplace invited to a case, or why not? With --near: who was left out near the limit.

    From the topics, with what became of the messages; or from files, without a broker, with --register and --cases.

    Parameters
    ----------
    case
        The case's key, municipality/source/case id, or its id where only one case has it.
    workplace
        The workplace's id in the register.
    near
        Instead of one workplace: those not invited near the limit, nearest first, each with the rule that it missed.
    stage
        A stage that the case was in, instead of the present one; its latest occurrence.
    register
        A company register file, instead of the topic.
    cases
        A case file, instead of the topic.
    subscriptions
        With files: who follows what, JSON Lines.
    dialogues
        With files: what officials decided, JSON Lines.
    model
        The dialogue model; without it, NARDIALOG_MODEL__FILE or the one that comes with the product.
    register_mapping, case_mapping, case_format, crs
        With files: as `nardialog match` has them.
    json
        Print one JSON object.
    """
    if near == (workplace is not None):
        return usage("say which workplace, or --near for all that were left out near the limit")
    of_files = (subscriptions, dialogues, register_mapping, case_mapping, case_format, crs)
    if (register is None) != (cases is None) or (cases is None and any(of_files)):
        return usage("give both --register and --cases, or neither to ask the topics; all else of files goes with them")
    from services.matcher.case_formats.reading import Told
    from services.matcher.commands import text_of
    from services.matcher.register.reading import Asked
    from services.matcher.register.source import Unreadable
    from services.matcher.settings import MatcherSettings
    from services.runtime import logs
    from services.runtime.installation import ModelSettings
    from services.runtime.settings import load

    settings = load(MatcherSettings)
    if model is not None:
        settings = settings.model_copy(update={"model": ModelSettings(file=model)})
    try:
        if register is not None and cases is not None:
            files = _Files(
                register, cases, subscriptions, dialogues, Asked(register_mapping, crs),
                Told(case_format, None if case_mapping is None else text_of(case_mapping)),
            )  # fmt: skip
            facts = _from_files(case, workplace, files, settings, stage)
        else:
            logs.configure(settings.log, "explain")
            facts = asyncio.run(from_topics(case, workplace, settings, stage))
    except Unreadable as error:
        return failed(str(error))
    if workplace is None:
        _show_near(facts, json)
    else:
        show_one(facts, workplace, json)
    return OK


class Facts:
    """A case and what it led to: whatever an explanation is made of."""

    def __init__(self, **known: Any) -> None:
        self.case = known["case"]
        self.model = known["model"]
        self.companies = known["companies"]
        self.round = known["round"]
        self.invitations = known["invitations"]
        """By recipient."""
        self.listed = known.get("listed", {})
        self.subscribers = known["subscribers"]
        self.applicant = known["applicant"]
        self.told: ToldOf | None = known.get("told")

    def explained(self, workplace: str) -> "Explanation":
        from services.matcher.explain import explain

        company = self.companies.get(workplace)
        return explain(
            self.case, workplace, company, self.model, round_=self.round,
            invitation=self.invitations.get(company.recipient_id) if company else None,
            applicant=self.applicant, listed=self.listed, subscribers=self.subscribers,
        )  # fmt: skip


@dataclass(frozen=True)
class _Files:
    """The files that are asked instead of the topics."""

    register: Path
    cases: Path
    subscriptions: Path | None
    dialogues: Path | None
    asked: "Asked"
    told: "Told"


def _from_files(
    asked: str, workplace: str | None, given: _Files, settings: "MatcherSettings", stage: str | None
) -> Facts:
    from schemas import applicant
    from services.matcher import files
    from services.matcher.dialogue.working_days import local_day
    from services.matcher.register import reading
    from services.matcher.register.checks import Rules
    from services.matcher.workplaces import snapshot
    from services.runtime.clock import SystemClock

    model, key = settings.model.load(), settings.installation.key_or_demo()
    anywhere, today = settings.matcher.allow_outside_sweden, local_day(SystemClock().now())
    case = files.case_of(given.cases, asked, model, today, anywhere=anywhere, told=given.told, stage=stage)
    read = reading.read(given.register, Rules(key, anywhere=anywhere), given.asked)
    follows = files.subscriptions(given.subscriptions) if given.subscriptions else files.Read()
    decisions = files.dialogues(given.dialogues) if given.dialogues else files.Decisions()
    if refused := read.report.refused + len(follows.refused) + len(decisions.refused):
        say(f"{refused} row(s) beside the cases are refused; `nardialog match` names them")
    mine = (r for r in read.report.refusals if workplace and r.values.get("workplace_id") == workplace)
    for refusal in mine:
        say(f"{given.register.name}: {read.report.row_word} {refusal.line}: {refusal.reason}: {refusal.detail}")
    derived = files.derived_of(
        case, snapshot(read.companies.values()), model, today, key=key, limits=settings.matcher.limits(),
        subscribers=follows.subscribers, dialogue=decisions.dialogues.get(case.key),
    )  # fmt: skip
    dialogue = decisions.dialogues.get(case.key)
    return Facts(
        case=case, model=model, companies=read.companies, round=derived.round,
        invitations={item.recipient_id: item for item in derived.invitations}, subscribers=follows.subscribers,
        listed=dialogue.listed(derived.round.round_id) if dialogue else {},
        applicant=applicant.of(case, key),
    )  # fmt: skip


async def from_topics(
    asked: str, workplace: str | None, settings: "MatcherSettings", stage: str | None = None
) -> Facts:
    """Everything that the topics say of a case and a workplace; of all workplaces where none is named. Of an earlier
    stage, the case is the version that its round was derived from. Raises `Permanent` for a stage that led to no round.
    """
    from schemas import applicant
    from services.matcher.published import Published
    from services.matcher.rounds import round_of

    model = settings.model.load()
    known = Published(
        settings.kafka, model, anywhere=settings.matcher.allow_outside_sweden, workplace=workplace,
        history=None if stage is None else asked,
    )  # fmt: skip
    await known.read()
    case = known.case(asked)
    if stage is not None:
        case = _as_of(stage, case.key, known)
    id_ = round_of(case, model)
    dialogue, company = known.dialogues.get(case.key), known.companies.rows.get(workplace or "")
    return Facts(
        case=case, model=model, companies=known.companies.rows, round=known.rounds.get(id_),
        invitations={m.recipient_id: m.invitation for m in known.members.of_rounds([id_])},
        listed=dialogue.listed(id_) if dialogue else {}, subscribers=known.subscriptions.snapshot(),
        applicant=applicant.of(case, settings.installation.key_or_demo()),
        told=await known.told(company.recipient_id) if company else None,
    )  # fmt: skip


def _as_of(stage: str, key: str, known: "Published") -> "Case":
    """The case as it was in a stage."""
    from services.matcher.replay import case_of
    from services.matcher.steps import STAGES
    from services.runtime.errors import Permanent

    rounds = [item for item in known.rounds.of_case(key) if item.purpose in STAGES]
    of_stage = max((item for item in rounds if item.stage == stage), key=lambda item: item.occurrence, default=None)
    if of_stage is None:
        stages = ", ".join(sorted({item.stage for item in rounds})) or "none"
        raise Permanent(f"{key}: no round is known of the stage {stage}; known: {stages}")
    case = case_of(of_stage, known.versions.of(key))
    if case is None:
        raise Permanent(f"{key}: no version of the case up to {of_stage.basis.case_version} is kept for {stage}")
    return case


def show_one(facts: Facts, workplace: str, as_json: bool) -> None:
    """The answer on stdout."""
    found = facts.explained(workplace)
    invitation_id = found.invitation.invitation_id if found.invitation else None
    deliveries = facts.told.of(invitation_id) if facts.told else []
    stops = facts.told.stops(facts.case, found.round.round_id if found.round else None) if facts.told else []
    if as_json:
        print(json_text.dumps(_as_json(found, deliveries, stops, facts.told is not None), ensure_ascii=False))
        return
    company, round_ = found.company, found.round
    name = ", ".join(part for part in ((company.name, company.street) if company else ()) if part)
    state = f"round {round_.state.value}{f' ({round_.reason})' if round_.reason else ''}" if round_ else "no round"
    _line(f"{found.case_key}, stage {found.stage}: {state}")
    _line(f"{found.workplace_id}{f' {name}' if name else ''}: {found.said}")
    for reason in found.reasons:
        _line(f"  because {in_words(reason)}")
    for rule in found.rules:
        _line(f"  ring {_rule(rule)}")
    for note in (*found.notes, *map(_delivery, deliveries), *map(_stop, stops)):
        _line(f"  {note}")


def _show_near(facts: Facts, as_json: bool) -> None:
    from services.matcher.near import near
    from services.matcher.workplaces import snapshot

    invited = {place.workplace_id for item in facts.invitations.values() for place in item.workplaces}
    found = near(facts.case, snapshot(facts.companies.values()), facts.model, invited, facts.explained)
    if as_json:
        missed = [_missed_json(item) for item in found.missed]
        print(json_text.dumps({"case": facts.case.key, "missed": missed, "more": found.more}, ensure_ascii=False))
        return
    for item in found.missed:
        print(
            *(printable(text) for text in (item.workplace_id, f"{item.metres:.1f}", item.answer, item.said)), sep="\t"
        )
    say(f"{len(found.missed)} not invited near the limit" + (f", and {found.more} more" if found.more else ""))


def _missed_json(item: "Missed") -> dict[str, Any]:
    return {"workplace_id": item.workplace_id, "distance_m": item.metres, "answer": item.answer, "said": item.said}


def _as_json(
    found: "Explanation", deliveries: "list[Delivery]", stops: "list[Suppression]", asked: bool
) -> dict[str, Any]:
    round_, invitation = found.round, found.invitation
    told: dict[str, Any] = {}
    if asked:
        told = {
            "deliveries": [
                item.model_dump(mode="json", include=_OF_DELIVERY, exclude_none=True) for item in deliveries
            ],
            "suppressions": [item.model_dump(mode="json", include=_OF_STOP, exclude_none=True) for item in stops],
        }
    return {
        "case": found.case_key,
        "stage": found.stage,
        "workplace_id": found.workplace_id,
        "invited": found.invited,
        "answer": found.answer,
        "said": found.said,
        "round": round_.model_dump(mode="json", include=_OF_ROUND, exclude_none=True) if round_ else None,
        "invitation_id": invitation.invitation_id if invitation else None,
        "reasons": [reason.model_dump(mode="json", exclude_none=True) for reason in found.reasons],
        "rules": [_rule_json(rule) for rule in found.rules],
        "notes": list(found.notes),
        **told,
    }


_OF_ROUND = {
    "round_id", "state", "reason", "detail", "set_hash", "model_version", "model_hash", "register_version",
    "register_date", "opened_at", "expires_at",
}  # fmt: skip
_OF_DELIVERY = {"state", "code", "detail", "channel", "kind", "message_id", "at"}
_OF_STOP = {"kind", "scope", "lifted", "reason", "at"}


def _rule_json(rule: "Rule") -> dict[str, Any]:
    return {
        "ring": rule.ring, "geometry": rule.geometry, "buffer_m": rule.buffer_m, "digest": rule.digest,
        "place": rule.place, "distance_m": rule.metres, "beyond_m": rule.beyond_m, "role": rule.role,
        "industries": "all" if rule.headings is None else list(rule.headings), "concerned": rule.concerned,
        "fits": rule.fits,
    }  # fmt: skip


def in_words(reason: "Reason") -> str:
    """Why somebody is invited, as a sentence without its beginning."""
    from schemas import industries
    from services.matcher.explain import metres

    ring = f" (ring {reason.ring})" if reason.ring else ""
    why = f": {reason.why}" if reason.why else ""
    code = industries.written(reason.code) if reason.code else ""
    return {
        "distance": f"it is {metres(reason.distance_m)} from the {reason.role}, within {metres(reason.buffer_m)}{ring}",
        "industry": f"its code {code} (SNI {reason.version}) {_lies(reason)}{ring}",
        "municipality": f"the case concerns the whole municipality{ring}",
        "subscription": f"it follows {reason.area or 'such cases'}",
        "named": "the case names it",
        "participant": "it answered an earlier round",
        "added": f"{reason.by or 'an official'} added it{why}",
    }[reason.kind]


def _lies(reason: "Reason") -> str:
    from schemas import industries

    heading = industries.written(reason.heading or "")
    if reason.translated is None:
        return f"lies under {heading}"
    share = "wholly" if reason.translated == "full" else "in part"
    return f"was translated, and lies {share} under {heading} of SNI {industries.other(reason.version or '2025')}"


def _rule(rule: "Rule") -> str:
    from services.matcher.explain import metres

    where = {
        "inside": f"inside, at {metres(rule.metres)} from the {rule.role}" if rule.role else "in the municipality",
        "outside": f"outside by {metres(rule.beyond_m)}, at {metres(rule.metres)} from the {rule.role}",
        "no_place": "the register has no place for it",
        "no_such_geometry": f"the case has no geometry for it ({rule.geometry})",
        "elsewhere": "another municipality",
        "everywhere": "wherever it is",
    }[rule.place]
    reach = f" {metres(rule.buffer_m)}" if rule.buffer_m is not None else ""
    codes = "all industries" if rule.headings is None else "industry concerned" if rule.concerned else "other industry"
    return f"{rule.ring}{reach}{', digest only' if rule.digest else ''}: {where}; {codes}"


def _delivery(item: "Delivery") -> str:
    said = {"not_reachable": "no address", "suppressed": "not sent, stopped", "gone": "not sent, gone"}
    words = said.get(item.state.value, item.state.value.replace("_", " "))
    code = f" ({item.code})" if item.code not in ("ok", "accepted") else ""
    kind = "" if item.kind == "first" else f"{item.kind}: "
    return f"{kind}{words} {_moment(item.at)}{f' by {item.channel}' if item.channel else ''}{code}"


def _stop(item: "Suppression") -> str:
    said = {"stop": "said stop", "bounce": "its address bounced", "complaint": "complained", "erased": "was erased"}
    words = said.get(item.kind, f"the round was {item.kind}")
    return f"{words} {_moment(item.at)} ({item.scope}){'; lifted since' if item.lifted else ''}"


def _moment(at: "datetime") -> str:
    from services.matcher.dialogue.working_days import ZONE

    return f"{at.astimezone(ZONE):%-d %b %Y %H:%M}"


def _line(text: str) -> None:
    print(printable(text))
