"""Writes docs/settings.md and deploy/env.example from the settings models; with --check says whether they are current.

Every setting of every service is named, with its type, default and the meaning that stands under the field in the code;
one without a meaning is an error, so that none is added without.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc, isclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from services.runtime.settings import PREFIX, ServiceSettings

SERVICES = ("matcher", "notifier", "portal", "ops")
COMMANDS = {"matcher": "`companies import`", "ops": "`topics`, `lag`, `dlq`, `doctor`"}
"""What else reads a service's settings."""
SETS = {
    "NARDIALOG_KAFKA__BOOTSTRAP": "127.0.0.1:9092",
    "NARDIALOG_NOTIFIER__DATABASE": "postgresql+asyncpg://nardialog@127.0.0.1:5432/nardialog",
    "NARDIALOG_NOTIFIER__PORTAL_URL": "https://dialog.kommun.example",
    "NARDIALOG_NOTIFIER__SENDER_NAME": "Exempel kommun",
    "NARDIALOG_NOTIFIER__SENDER_EMAIL": "naringsliv@kommun.example",
    "NARDIALOG_NOTIFIER__SMTP__HOST": "relay.kommun.example",
    "NARDIALOG_PORTAL__DATABASE": "postgresql+asyncpg://portal@127.0.0.1:5432/portal",
    "NARDIALOG_PORTAL__BASE_URL": "https://dialog.kommun.example",
    "NARDIALOG_PORTAL__MUNICIPALITY": "0162",
    "NARDIALOG_PORTAL__MUNICIPALITY_NAME": "Exempel kommun",
    "NARDIALOG_PORTAL__CONTACT_PHONE": "08-000 00 00",
    "NARDIALOG_PORTAL__CONTACT_EMAIL": "kontakt@kommun.example",
    "NARDIALOG_PORTAL__PRIVACY_CONTACT": "dataskydd@kommun.example",
}
"""What every installation sets, with an example; the rest of env.example is commented out."""
SETTINGS_HEAD = """\
# Settings

Written by `deploy/settings_reference.py` from the code; a test holds the two together. Settings come from the
environment when a process starts. A name that no service knows is refused, an empty value counts as not set, and the
shell's own rules of quoting apply. `deploy/env.example` has them all to copy from; what every installation sets is not
commented out there. Secrets are made by `nardialog keys new`; a database's address is one where it holds a password.

Besides these, `NARDIALOG_CACHE_DIR` says where the demo keeps Kafka's jars, and `NARDIALOG_NO_PROMPT` makes commands
fail instead of asking.
"""
ENV_HEAD = """\
# Every setting of every service; docs/settings.md says the same as a table. Written by deploy/settings_reference.py.
# What is commented out shows its default. The same file serves a shell (set -a; . FILE; set +a), systemd's
# EnvironmentFile= and a container's env file. Secrets do not belong here: `nardialog keys new` prints them; each
# service has a file of its own for its own secrets, see deploy/README.md.
"""


@dataclass(frozen=True)
class Setting:
    """One environment variable."""

    name: str
    kind: str
    default: str
    secret: bool
    meaning: str

    @property
    def section(self) -> str:
        return self.name.removeprefix(PREFIX).partition("__")[0]


def models() -> Iterator[tuple[str, type[ServiceSettings]]]:
    """The settings models of the services that are there."""
    for service in SERVICES:
        module = f"services.{service}.settings"
        if find_spec(module) is not None:
            for found in vars(import_module(module)).values():
                if isclass(found) and issubclass(found, ServiceSettings) and found.__module__ == module:
                    yield service, found


def settings_of(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[Setting]:
    """All leaves of a model, in the order of the code. Raises `ValueError` for one without a meaning."""
    for field_name, field in model.model_fields.items():
        name = prefix + field_name.upper()
        if (inside := _section(field.annotation)) is not None:
            yield from settings_of(inside, f"{name}__")
            continue
        if not field.description:
            raise ValueError(f"{name} has no meaning: write one under the field {field_name} of {model.__qualname__}")
        secret = _has(field.annotation, SecretStr)
        meaning = " ".join(cleandoc(field.description).split())
        yield Setting(name, _kind(field), "" if secret else _default(field), secret, meaning)


def by_section() -> dict[str, tuple[dict[str, Setting], list[str]]]:
    """Section → its settings by name, and who reads them."""
    sections: dict[str, tuple[dict[str, Setting], list[str]]] = {}
    for service, model in models():
        for setting in settings_of(model):
            settings, readers = sections.setdefault(setting.section, ({}, []))
            settings[setting.name] = setting
            if service not in readers:
                readers.append(service)
    return sections


def settings_page() -> str:
    """docs/settings.md."""
    parts = [SETTINGS_HEAD]
    for section, (settings, readers) in by_section().items():
        parts.append(
            f"\n## {section}\n\nRead by {_who(readers)}.\n\n| name | type | default | meaning |\n|---|---|---|---|\n"
        )
        parts += [
            f"| `{s.name}` | {s.kind.replace('|', chr(92) + '|')} | {f'`{s.default}`' if s.default else '–'} "
            f"| {s.meaning.replace('|', chr(92) + '|')} |\n"
            for s in settings.values()
        ]
    return "".join(parts)


def env_example() -> str:
    """deploy/env.example."""
    parts = [ENV_HEAD]
    for section, (settings, readers) in by_section().items():
        parts.append(f"\n## {section}, read by {', '.join(readers)}\n")
        for setting in settings.values():
            told = f"# {setting.meaning} ({setting.kind})"
            parts += [told.replace("`", "") + "\n", _line(setting)]
    return "".join(parts)


def _line(setting: Setting) -> str:
    if (example := SETS.get(setting.name)) is not None:
        return f"{setting.name}={_quoted(example)}\n"
    return f"#{setting.name}={_quoted(setting.default)}\n"


def _quoted(value: str) -> str:
    return f"'{value}'" if set(value) & set(' "[]{}()$&;<>|*') else value


def _who(readers: list[str]) -> str:
    if set(readers) == {service for service, _ in models()}:
        return "every service and command"
    return ", ".join(f"{reader} and {COMMANDS[reader]}" if reader in COMMANDS else reader for reader in readers)


def _section(annotation: Any) -> type[BaseModel] | None:
    return next((a for a in _alternatives(annotation) if isclass(a) and issubclass(a, BaseModel)), None)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _has(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_has(argument, kind) for argument in get_args(annotation))


def _kind(field: FieldInfo) -> str:
    annotation = next(a for a in _alternatives(field.annotation) if a is not type(None))
    origin = get_origin(annotation)
    if origin is Literal:
        return " | ".join(f"`{value}`" for value in get_args(annotation))
    if isclass(origin) and issubclass(origin, Mapping):
        return "JSON object" + (", secret" if _has(annotation, SecretStr) else "")
    if origin in (tuple, list, frozenset):
        return "list" + (", secret" if _has(annotation, SecretStr) else "")
    names = {bool: "true | false", int: "integer", float: "number", Path: "path", SecretStr: "secret", str: "text"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation))) + _bounds(field)


def _bounds(field: FieldInfo) -> str:
    said = {
        sign: getattr(rule, name)
        for rule in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(rule, name, None) is not None
    }
    return "".join(f", {sign} {limit}" for sign, limit in said.items())


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True) if not field.is_required() else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        return ",".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return json.dumps(value)
    return str(value)


def main(root: Path) -> int:
    """0 when they agree or were written; 1 when --check finds a difference."""
    wanted = {root / "docs/settings.md": settings_page(), root / "deploy/env.example": env_example()}
    if "--check" not in sys.argv:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(root)} is not current: run python {Path(__file__).relative_to(root)}")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
