"""`nardialog dlq edit`: one dead letter is corrected, shown as a difference, held against the rules, sent as held."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from services.ops.dlq_actions import said_by
from services.ops.options import Flag, Json
from services.runtime.errors import Permanent
from services.runtime.terminal import NOT_MET, OK, agreed, can_ask, failed, printable, say, show, usage

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from schemas.model import DialogueModel
    from services.ops.dead_letters import Letter
    from services.ops.edit_settings import EditSettings
    from services.ops.editing import Plan
    from services.ops.letterbox import Letterbox

STDIN: Final = "-"
RELEASED: Final = "it enters as held: an official looks at it with `nardialog case list --held` and releases it"


def edit(
    address: str,
    /,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    remove: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    file: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    dry_run: Flag = False,
    force: Flag = False,
    by: str | None = None,
    because: str = "",
    yes: Flag = False,
    json_: Json = False,
) -> int:
    """Correct a dead letter of `cases` and send it: its round is held until an official releases it.

    Without --set, --remove or --file the value opens in $VISUAL or $EDITOR. What would be refused again by the rules
    and the dialogue model (NARDIALOG_MODEL__FILE) is not sent: exit 3.

    Parameters
    ----------
    address
        topic/partition/offset, as `dlq list` prints it.
    set_
        /pointer=value, any number of times: the value is JSON, or else text.
    remove
        /pointer, any number of times: takes a member away.
    file
        The whole new value, from a file, or from standard input where it is -.
    dry_run
        Only show the difference, what is wrong with it, and what would be sent.
    force
        Send it although it would be refused again. What is confidential is never sent.
    by
        Who does it; without it, the user of this computer.
    because
        Why, in a few words: kept with the letter.
    yes
        Do not ask. Needed without a terminal.
    json_
        One JSON object a line: what would be sent, then what was.
    """
    by_hand = not (set_ or remove or file)
    if by_hand and not can_ask():
        return usage("say what to change by --set, --remove or --file; an editor needs a terminal")
    if not (dry_run or yes or can_ask()):
        return usage("nobody to ask: add --yes to send it, or --dry-run to see what would be sent")
    from services.ops.dead_letters import Address, BadAddress
    from services.ops.edit_settings import EditSettings
    from services.ops.editing import BadChange
    from services.ops.letterbox import Letterbox
    from services.ops.outcomes import BadAccount, Done
    from services.runtime.clock import SystemClock
    from services.runtime.settings import load

    settings = load(EditSettings)
    try:
        place, said = Address.parse(address), said_by(Done.EDITED, by, because)
        with Letterbox(settings.kafka, SystemClock()) as box:
            desk = _Desk(settings, box, place)
            found = desk.by_hand() if by_hand else desk.changed(file, set_, remove)
            if not found.changes:
                return failed(f"{place}: nothing is changed; `nardialog dlq replay` sends it as it came")
            _tell(found, settings.kafka.topic_prefix, as_json=json_)
            if found.complaints and not force:
                return NOT_MET
            if dry_run:
                return OK
            if not (yes or agreed(f"Send it to {found.posting.topic}?")):
                return failed("nothing was sent")
            sent = box.settle(found.letter, said, found.posting)
    except (BadAddress, BadChange, BadAccount) as error:
        return usage(str(error))
    except Permanent as error:
        return failed(str(error))
    show(("address", "done", "sent_as"), [(str(place), str(Done.EDITED), sent)], as_json=json_)
    say(RELEASED)
    return OK


class _Desk:
    """One letter on the desk: open, of a kind that may be edited, and everything to judge a correction by."""

    def __init__(self, settings: "EditSettings", box: "Letterbox", place: Any) -> None:
        from services.ops.editing import may_edit

        self._box = box
        self._model: DialogueModel = settings.model.load()
        self._anywhere = settings.matcher.allow_outside_sweden
        self._letter: Letter = box.open_letter(place, box.find([place]))
        may_edit(self._letter, settings.kafka.topic_prefix)

    def changed(self, file: str | None, sets: tuple[str, ...], removes: tuple[str, ...]) -> "Plan":
        """The correction that the options ask for."""
        from services.ops.editing import changed

        value = self._letter.record.value or b"" if file is None else _read(file)
        return self._plan(changed(value, sets, removes))

    def by_hand(self) -> "Plan":
        """What a person writes in an editor; what would be refused again may be taken up again."""
        from services.ops.editing import readable

        try:
            text = readable((self._letter.record.value or b"").decode().encode())
        except UnicodeDecodeError:
            raise Permanent(
                f"{self._letter.address}: is not UTF-8 text; write the new value to a file and give it with --file"
            ) from None
        while True:
            text = _edited(text)
            found = self._plan(text.strip().encode())
            if not found.complaints or not found.changes:
                return found
            _complain(found)
            if not agreed("Go on editing?"):
                return found

    def _plan(self, value: bytes) -> "Plan":
        from dataclasses import replace

        from schemas.complaints import Complaint
        from services.ops.editing import known_version, plan

        found = plan(self._letter, value, self._model, anywhere=self._anywhere)
        if found.complaints:
            return found
        records = self._box.records(found.posting.topic)
        known = known_version(self._letter, found.posting.key, records, self._model)
        if found.version > known:
            return found
        stale = Complaint("stale_version", f"version {known} was taken already; give a higher number", "/version")
        return replace(found, complaints=(stale,))


def _read(file: str) -> bytes:
    data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    return data.removeprefix(b"\xef\xbb\xbf").strip()


def _edited(text: str) -> str:
    """What comes back from the person's editor."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    if not command or shutil.which(command[0]) is None:
        raise Permanent("there is no editor: set EDITOR, or say what to change by --set, --remove or --file")
    with TemporaryDirectory(prefix="nardialog-") as folder:
        path = Path(folder) / "letter.json"
        path.write_text(text)
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603 - the person's own editor
        if code:
            raise Permanent(f"the editor ended with {code}; nothing was sent")
        return path.read_text()


def _tell(found: "Plan", prefix: str, *, as_json: bool) -> None:
    """The difference and what would be sent, on stdout; what is wrong, on stderr."""
    posting = found.posting
    key = found.shown_key(prefix) or ""
    headers = {name: (text or b"").decode(errors="backslashreplace") for name, text in posting.headers}
    if as_json:
        told = {
            "address": str(found.letter.address), "topic": posting.topic, "partition": posting.partition, "key": key,
            "key_changes": found.key_changes, "headers": headers, "diff": found.diff(),
            "complaints": [{"code": c.code, "pointer": c.pointer, "detail": c.detail} for c in found.complaints],
        }  # fmt: skip
        print(json.dumps(told, ensure_ascii=False))
        return
    for line in found.diff():
        print(printable(line))
    print(f"to: {printable(posting.topic)}, key {printable(key)}{' (corrected)' if found.key_changes else ''}")
    for name, value in headers.items():
        print(f"header {name}: {printable(value)}")
    _complain(found)


def _complain(found: "Plan") -> None:
    for item in found.complaints:
        say(f"error: {item.pointer or '/'}: {item.code}: {item.detail}")
