"""`nardialog replay`: a published round computed again from what was kept, and whether the same set comes out.

Exit codes: 0 the same set; 3 another one; 1 something that it was derived from is not there; 5 broker unreachable.
"""

import asyncio
import json as json_text
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from services.runtime.terminal import NOT_MET, OK, say

if TYPE_CHECKING:  # a command's help must not wait for numpy and shapely
    from schemas.model import DialogueModel
    from schemas.round import Round
    from services.matcher.replay import Replay
    from services.matcher.settings import MatcherSettings
    from services.matcher.workplaces import Snapshot

SHOWN = 20


@dataclass(frozen=True)
class Kept:
    """Files that are named, instead of those that the matcher keeps by their hashes."""

    register: Path | None = None
    model: Path | None = None


def replay(
    case: str,
    /,
    *,
    round_: Annotated[str | None, Parameter(name="--round")] = None,
    register: Path | None = None,
    model: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compute a published round again: does the same set of recipients come out?

    Parameters
    ----------
    case
        The case's key, municipality/source/case id, or its id where only one case has it.
    round_
        The round, where the case has several.
    register
        The register: a file that the matcher kept, or the file of that import; without it, what is kept in
        NARDIALOG_MATCHER__REGISTER_FOLDER under the round's hash.
    model
        The dialogue model; without it, the one that is set or kept under the round's hash.
    json
        Print one JSON object.
    """
    from services.matcher.settings import MatcherSettings
    from services.runtime import logs
    from services.runtime.settings import load

    settings = load(MatcherSettings)
    logs.configure(settings.log, "replay")
    found = asyncio.run(replayed(case, round_, Kept(register, model), settings))
    _show(found, as_json=json)
    return OK if found.same else NOT_MET


async def replayed(asked: str, round_id: str | None, kept: Kept, settings: "MatcherSettings") -> "Replay":
    """A round of a case, computed again. Raises `Permanent` where something is not there."""
    from services.matcher.published import Published
    from services.matcher.replay import case_of, replay
    from services.runtime.errors import Permanent

    known = Published(
        settings.kafka, settings.model.load(), anywhere=settings.matcher.allow_outside_sweden, history=asked
    )
    await known.read(companies=False)
    key = known.case(asked).key
    round_ = _round(known.rounds.of_case(key), key, round_id)
    case = case_of(round_, known.versions.of(key))
    if case is None:
        raise Permanent(f"{key}: no version of the case up to {round_.basis.case_version} is kept for {round_.stage}")
    return replay(
        round_, case, _register(round_, kept.register, settings), _model(round_, kept.model, settings),
        key=settings.installation.key_or_demo(), dialogue=known.dialogues.get(key),
        subscribers=known.subscriptions.snapshot(), members=known.members.of_rounds([round_.round_id]),
    )  # fmt: skip


def _round(rounds: "list[Round]", key: str, round_id: str | None) -> "Round":
    from services.matcher.steps import STAGES
    from services.runtime.errors import Permanent

    matched = [item for item in rounds if item.purpose in STAGES and item.set_hash is not None]
    found = [item for item in matched if round_id is None or item.round_id == round_id]
    if len(found) == 1:
        return found[0]
    ids = ", ".join(f"{item.round_id} ({item.stage}, {item.state.value})" for item in matched) or "none"
    raise Permanent(f"{key}: say --round and one of those that were matched: {ids}")


def _register(round_: "Round", given: Path | None, settings: "MatcherSettings") -> "Snapshot":
    from schemas.topics import COMPANIES
    from services.matcher import register_file
    from services.matcher.register import reading
    from services.matcher.register.checks import Rules
    from services.matcher.register.source import Unreadable
    from services.matcher.workplaces import snapshot
    from services.runtime.errors import Permanent

    version, folder, path = round_.register_version or "", settings.matcher.register_folder, given
    if path is None and folder is not None:
        path = register_file.of_version(folder, settings.kafka.topic(COMPANIES), version)
    if path is None or not path.exists():
        raise Permanent(f"register {version} is not kept here; name its file with --register")
    try:
        if path.suffix == ".register":
            register = register_file.read(path).register
        else:
            rules = Rules(settings.installation.key_or_demo(), anywhere=settings.matcher.allow_outside_sweden)
            register = snapshot(reading.read(path, rules).companies.values())
    except (register_file.Unusable, Unreadable) as error:
        raise Permanent(f"{path.name}: {error}") from None
    if register.register_version != version:
        raise Permanent(f"{path.name} is register {register.register_version}; the round was derived from {version}")
    return register


def _model(round_: "Round", given: Path | None, settings: "MatcherSettings") -> "DialogueModel":
    from services.matcher.keeping import model_of
    from services.runtime.errors import Permanent
    from services.runtime.installation import ModelSettings

    wanted, folder = round_.model_hash or "", settings.matcher.register_folder
    found = (ModelSettings(file=given) if given else settings.model).load()
    if found.content_hash != wanted and given is None and folder is not None and model_of(folder, wanted).exists():
        found = ModelSettings(file=model_of(folder, wanted)).load()
    if found.content_hash != wanted:
        raise Permanent(f"model {wanted} ({round_.model_version}) is not kept here; name its file with --model")
    return found


def _show(found: "Replay", *, as_json: bool) -> None:
    round_, again = found.round, found.again
    if as_json:
        hashes = {"set_hash": round_.set_hash, "again": again.set_hash}
        about = {"case": round_.case_key, "round_id": round_.round_id, "stage": round_.stage, "same": found.same}
        sides = {name: value for name, value in asdict(found).items() if name in ("missing", "new")}
        print(json_text.dumps({**about, **hashes, **sides}, ensure_ascii=False))
        return
    words = "the same set" if found.same else "another set"
    print(
        f"{round_.case_key}, stage {round_.stage}: {words}, {again.counts.invitations} recipient(s), {again.set_hash}"
    )
    if not found.same:
        print(f"published: {round_.counts.invitations} recipient(s), {round_.set_hash}")
    for what, recipients in (("invited, and not found again", found.missing), ("found, and not invited", found.new)):
        for recipient in recipients[:SHOWN]:
            print(f"  {what}: {recipient}")
        if len(recipients) > SHOWN:
            say(f"... and {len(recipients) - SHOWN} more {what}")
