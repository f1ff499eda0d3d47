"""The `nardialog` command, assembled lazily: a service's modules are imported when its command runs.

Exit codes: 0 ok, 1 failed, 2 usage, 3 check not met, 5 broker or service unreachable, 6 partly done, 130 interrupted.
"""

import asyncio
import base64
import json
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(
    name="nardialog",
    help="Tells businesses early that a municipal case affects them, and invites them to the right dialogue.",
    version="0.1.0",
    help_format="plaintext",
)
app.command(
    "services.matcher.commands:match",
    name="match",
    help="Match cases against a register, without a broker.",
)
app.command(
    "services.matcher.commands:companies",
    name="companies",
    help="The company register.",
)
app.command(
    "services.notifier.commands:deliveries",
    name="deliveries",
    help="What became of messages.",
)
app.command(
    "services.notifier.commands:sending",
    name="sending",
    help="Pause and resume all sending.",
)
topics = App(name="topics", help="The topics on the broker.")
keys = App(name="keys", help="Keys of an installation.")
app.command(topics)
app.command(keys)

Json = Annotated[bool, Parameter(name="--json", negative="")]


@app.command
def run(service: Literal["matcher", "notifier"]) -> int:
    """Run one service against the settings' broker and databases."""
    return asyncio.run(_run(service))


async def _run(service: str) -> int:
    from services.runtime import logs
    from services.runtime.clock import SystemClock
    from services.runtime.settings import load

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if service == "matcher":
        from services.matcher.app import serve as serve_matcher
        from services.matcher.settings import MatcherSettings

        matcher = load(MatcherSettings)
        logs.configure(matcher.log, service)
        await serve_matcher(matcher, SystemClock(), stop)
    else:
        from services.notifier.commands import serve as serve_notifier
        from services.notifier.settings import NotifierSettings

        notifier = load(NotifierSettings)
        logs.configure(notifier.log, service)
        await serve_notifier(notifier, SystemClock(), stop)
    return 0


@topics.command
def create() -> int:
    """Create every topic and its dead letters, with partitions, compaction and retention; tell what differs."""
    from services.runtime.settings import ServiceSettings, load
    from services.runtime.topic_admin import TopicAdmin

    kafka = load(ServiceSettings).kafka
    from schemas.topics import ALL_TOPICS

    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        report = admin.create(ALL_TOPICS, kafka.partitions, kafka.replication)
    print(f"created {len(report.created)}, existed {len(report.existed)}, differ {len(report.differ)}")
    for problem in report.differ:
        print(problem, file=sys.stderr)
    return 3 if report.differ else 0


@topics.command
def check() -> int:
    """Say which topics are missing or differ from what they should be; exit 3 if any."""
    from schemas.topics import ALL_TOPICS
    from services.runtime.settings import ServiceSettings, load
    from services.runtime.topic_admin import TopicAdmin

    kafka = load(ServiceSettings).kafka
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        problems = admin.check(ALL_TOPICS, kafka.partitions)
    for problem in problems:
        print(problem)
    return 3 if problems else 0


@app.command
def lag(*, max_: Annotated[int | None, Parameter(name="--max")] = None, json_: Json = False) -> int:
    """Records that each group has not handled yet, per topic and partition; exit 3 above --max."""
    from services.runtime.settings import ServiceSettings, load
    from services.runtime.topic_admin import TopicAdmin

    kafka = load(ServiceSettings).kafka
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        rows = admin.lag()
    if json_:
        fields = ("group", "topic", "partition", "committed", "end", "lag", "lost")
        print(json.dumps([{field: getattr(row, field) for field in fields} for row in rows]))
    else:
        for row in rows:
            committed = "–" if row.committed is None else row.committed
            print(
                row.group,
                row.topic,
                row.partition,
                committed,
                row.end,
                row.lag,
                row.lost,
                sep="\t",
            )
    return 3 if max_ is not None and any(row.lag > max_ for row in rows) else 0


@keys.command
def new() -> None:
    """Print fresh keys of an installation as environment lines. Keep them secret; RECIPIENT_KEY is never rotated."""
    from services.runtime.sealing import key_pair, new_key

    private, public = (base64.b64encode(key).decode() for key in key_pair())
    print(f"NARDIALOG_INSTALLATION__RECIPIENT_KEY={base64.b64encode(new_key()).decode()}")
    print("NARDIALOG_INSTALLATION__SEAL_KEY_VERSION=k1")
    print(f"NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY={public}")
    print(f"NARDIALOG_NOTIFIER__PRIVATE_KEYS='{json.dumps({'k1': private})}'")
    for name in ("VAULT_KEY", "INDEX_KEY", "TOKEN_KEY"):
        print(f"NARDIALOG_NOTIFIER__{name}={base64.b64encode(new_key()).decode()}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: an error of ours is a sentence and an exit code, never a traceback."""
    from services.runtime.errors import ServiceError, Transient

    try:
        code = app(arguments, result_action="return_value")
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        print(
            f"{error.name} is not installed: install nardialog[all], or the extra of this service",
            file=sys.stderr,
        )
        sys.exit(1)
    except ServiceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(5 if isinstance(error, Transient) else 1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
