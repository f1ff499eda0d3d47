"""The `nardialog` command, assembled lazily: a service's modules are imported when its command runs, so that
`--help` answers at once and one missing extra takes away only its own commands.

Exit codes: 0 ok, 1 failed, 2 usage, 3 check not met, 5 broker or service unreachable, 6 partly done, 130 interrupted.
"""

import base64
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cyclopts import App

app = App(
    name="nardialog",
    help="Tells businesses early that a municipal case affects them, and invites them to the right dialogue.",
    version="0.1.0",
    help_format="plaintext",
    help_formatter="plain",
)
if find_spec("services.demo.commands"):
    app.command("services.demo.commands:demo", name="demo", help="Everything, embedded, with invented companies.")
app.command("services.matcher.commands:match", name="match", help="Match cases against a register, without a broker.")
app.command("services.matcher.explain_command:explain", name="explain", help="Why was a workplace invited, or why not?")
app.command("services.matcher.replay_command:replay", name="replay", help="Compute a published round again.")
app.command("services.matcher.register.commands:companies", name="companies", help="The company register.")
app.command("services.matcher.model_commands:model", name="model", help="The dialogue model: check, read, try another.")
app.command("services.case_preview:case", name="case", help="Cases: check, preview, send in, import, release.")
app.command("services.portal.api_key_commands:api_keys", name="api-keys", help="Keys of case systems for the API.")
app.command("services.ops.commands:topics", name="topics", help="The topics on the broker.")
app.command("services.ops.lag_command:lag", name="lag", help="Records that each group has not handled yet.")
app.command("services.ops.dlq_commands:dlq", name="dlq", help="Dead letters: what could not be handled, and why.")
app.command("services.notifier.delivery_commands:deliveries", name="deliveries", help="What became of messages.")
app.command("services.notifier.letter_commands:letters", name="letters", help="Letters to whom nothing else reaches.")
app.command("services.notifier.sending_commands:sending", name="sending", help="Pause and resume all sending.")
app.command(
    "services.notifier.suppression_commands:suppressions", name="suppressions", help="Whom nothing is sent to, and why."
)
app.command("services.notifier.provider_commands:providers", name="providers", help="Who sends, and what SMS cost.")
app.command("services.preview_message:preview_message", name="preview-message", help="What a message would say.")
app.command("services.doctor:doctor", name="doctor", help="Is everything there that Närdialog stands on?")
schemas = App(name="schemas", help="The contract of the events.")
keys = App(name="keys", help="Keys of an installation.")
app.command(schemas)
app.command(keys)

EXTRAS = {
    "match": "matcher", "explain": "matcher", "replay": "matcher", "companies": "matcher", "model": "matcher",
    "case": "portal", "api-keys": "portal",
    "deliveries": "notifier", "sending": "notifier", "suppressions": "notifier", "providers": "notifier",
    "letters": "letters", "demo": "all", "preview-message": "all",
}  # fmt: skip
"""Which extra a command needs, beyond the base."""


@app.command
def run(service: Literal["all", "matcher", "notifier", "portal", "ops"]) -> int:
    """Run one service, or all of them, against the settings' broker and databases."""
    from services import processes

    return processes.run(service)


@schemas.command
def export(folder: Path, /) -> None:
    """Write the JSON Schema of every event into a folder; print the files' names."""
    from schemas.export import write

    folder.mkdir(parents=True, exist_ok=True)
    for path in write(folder):
        print(path)


keys.command("services.notifier.key_commands:rotate", name="rotate")


@keys.command
def new() -> None:
    """Print fresh keys of an installation as environment lines. Keep them secret; RECIPIENT_KEY is never rotated."""
    from services.runtime.sealing import key_pair, new_key

    private, public = (base64.b64encode(key).decode() for key in key_pair())
    print(f"NARDIALOG_INSTALLATION__RECIPIENT_KEY={base64.b64encode(new_key()).decode()}")
    print("NARDIALOG_INSTALLATION__SEAL_KEY_VERSION=k1")
    print(f"NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY={public}")
    print(f"NARDIALOG_NOTIFIER__PRIVATE_KEYS='{json.dumps({'k1': private})}'")
    token = base64.b64encode(new_key()).decode()
    for name, key in (("VAULT_KEY", new_key()), ("INDEX_KEY", new_key())):
        print(f"NARDIALOG_NOTIFIER__{name}={base64.b64encode(key).decode()}")
    print(f"NARDIALOG_NOTIFIER__TOKEN_KEY={token}")
    print(f"NARDIALOG_PORTAL__TOKEN_KEYS={token}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: what goes wrong is a sentence and an exit code; a traceback only with --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        code = app(given, result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `nardialog lag | head`: the reader has had enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        sentence, code = _said(error, given)
        from services.runtime.terminal import printable

        print(f"error: {printable(sentence, keep=chr(10))}", file=sys.stderr)
        sys.exit(code)
    sys.exit(code if isinstance(code, int) else 0)


def _said(error: Exception, arguments: Sequence[str]) -> tuple[str, int]:
    """What a person reads, and the exit code. Of an error nobody foresaw only its kind: its text may quote data."""
    from services.runtime.errors import ServiceError, Transient

    if isinstance(error, ServiceError):
        return str(error), 5 if isinstance(error, Transient) else 1
    if isinstance(error, ModuleNotFoundError):
        command = arguments[0] if arguments else ""
        extra = EXTRAS.get(command) or (arguments[1] if command == "run" and len(arguments) > 1 else "all")
        return f"{error.name} is not installed: install nardialog[{extra}]", 1
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", 1
    return f"{type(error).__name__}, which should not happen; run it again with --debug and report what it prints", 1


if __name__ == "__main__":
    main()
