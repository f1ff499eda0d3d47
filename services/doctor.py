"""`nardialog doctor`: is everything there that an installation stands on, and if not, what is to be done?

It asks each service for what that one needs, the broker for its topics, and holds the services' settings against one
another, which no service can do alone. Nothing is changed, made or sent.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from services.runtime.terminal import NOT_MET, OK, show

if TYPE_CHECKING:  # help must not wait for the services
    from services.runtime.checks import Check
    from services.runtime.settings import KafkaSettings, ServiceSettings
    from services.runtime.store.checks import Ends

Service = Literal["matcher", "notifier", "portal"]
SERVICES: Final[tuple[Service, ...]] = ("matcher", "notifier", "portal")
Json = Annotated[bool, Parameter(name="--json", negative="")]


def doctor(*services: Service, json_: Json = False) -> int:
    """Is everything there that Närdialog stands on? Says what is missing and what to do. Exit 3 if something is.

    Parameters
    ----------
    services
        Only what these services need, for a machine that runs some of them.
    json_
        One JSON object a line.
    """
    found = asyncio.run(_everything(services or SERVICES))
    show(("check", "state", "words"), [(check.name, check.state, check.words) for check in found], as_json=json_)
    return NOT_MET if any(check.state == "failed" for check in found) else OK


@dataclass
class _Settings:
    """What could be read of the environment, by service."""

    read: "dict[str, ServiceSettings]" = field(default_factory=dict)
    checks: "list[Check]" = field(default_factory=list)

    def of(self, service: str) -> Any:
        return self.read[service]


async def _everything(services: tuple[Service, ...]) -> "list[Check]":
    settings = _settings(services)
    broker, ends = await asyncio.to_thread(_broker, settings)
    found = [*settings.checks, *broker]
    for service in services:
        if service in settings.read:
            try:
                found += await _service(service, settings.of(service), ends)
            except ModuleNotFoundError as error:
                found.append(_not_installed(service, error))
    return [*found, *_together(settings, services)]


def _settings(services: tuple[Service, ...]) -> _Settings:
    """All that are installed are read, whatever was asked for: a misspelt name is found by the one that it is for."""
    from services.runtime.checks import Check
    from services.runtime.errors import Fault
    from services.runtime.settings import load

    found, wrong = _Settings(), set()
    for service, name in (("ops", "Ops"), *((service, service.title()) for service in SERVICES)):
        try:
            model = getattr(import_module(f"services.{service}.settings"), f"{name}Settings")
            found.read[service] = load(model)
        except ModuleNotFoundError as error:
            if service in services:
                found.checks.append(_not_installed(service, error))
        except Fault as error:
            wrong |= set(str(error).split("; "))
    found.checks += [Check("settings", "failed", words) for words in sorted(wrong)]
    if not wrong:
        found.checks.insert(0, Check("settings", "ok", f"of {', '.join(s for s in services if s in found.read)}"))
    return found


def _not_installed(service: str, error: ModuleNotFoundError) -> "Check":
    from services.runtime.checks import Check

    words = f"{error.name} is not installed: ask where the {service} runs, or install nardialog[{service}]"
    return Check(service, "note", words)


def _broker(settings: _Settings) -> "tuple[list[Check], Ends | None]":
    from schemas.topics import ALL_TOPICS, CASES, DIALOGUES
    from services.runtime.checks import Check
    from services.runtime.errors import ServiceError
    from services.runtime.topic_admin import TopicAdmin

    if "ops" not in settings.read:
        return [Check("kafka", "unknown", "settings must be right first")], None
    kafka: KafkaSettings = settings.of("ops").kafka
    wanted = [replace(topic, name=kafka.topic(topic)) for topic in ALL_TOPICS]
    try:
        with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
            problems = admin.check(wanted, kafka.partitions)
            ends = admin.ends([topic.name for topic in wanted])
    except ServiceError as error:
        return [Check("kafka", "failed", str(error)), Check("topics", "unknown", "Kafka must answer first")], None
    found = [Check("kafka", "ok", ",".join(kafka.bootstrap))]
    found += [Check("topics", "failed", str(problem)) for problem in problems] or [
        Check("topics", "ok", f"{len(wanted)}, as they should be")
    ]
    count = Counter(topic for topic, _ in ends)
    cases, dialogues = (count[kafka.topic(topic)] for topic in (CASES, DIALOGUES))
    if cases and dialogues and cases != dialogues:
        words = f"cases has {cases} partitions and dialogues {dialogues}: one instance must hold both halves of a case"
        found.append(Check("pairs", "failed", words))
    return found, ends


async def _service(service: Service, settings: Any, ends: "Ends | None") -> "list[Check]":
    if service == "matcher":
        from services.matcher.checks import checks as of_matcher

        return of_matcher(settings)
    if service == "notifier":
        from services.notifier.checks import checks as of_notifier

        return await of_notifier(settings, ends)
    from services.portal.checks import checks as of_portal

    return await of_portal(settings, ends)


def _together(settings: _Settings, services: tuple[Service, ...]) -> "list[Check]":
    """What one service says of another, where both are asked about."""
    pairs: dict[frozenset[str], Callable[[_Settings], list[Check]]] = {
        frozenset({"matcher", "notifier"}): _seals_open,
        frozenset({"notifier", "portal"}): _links_open,
    }
    asked = settings.read.keys() & set(services)
    return [check for pair, look in pairs.items() if pair <= asked for check in look(settings)]


def _seals_open(settings: _Settings) -> "list[Check]":
    """The notifier can open what is sealed to the installation's public key."""
    from services.runtime.checks import Check
    from services.runtime.errors import Fault
    from services.runtime.sealing import decode_key, public_key

    installation = settings.of("matcher").installation
    try:
        openers = settings.of("notifier").notifier.openers()
        sealed_to = decode_key(installation.seal_public_key or "", "NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY")
    except Fault:
        return []  # said already, where it is missing
    version = installation.seal_key_version
    if version not in openers:
        words = f"NARDIALOG_NOTIFIER__PRIVATE_KEYS has no {version}, which contacts are sealed to: add it"
        return [Check("seal and private key", "failed", words)]
    if public_key(openers[version]) != sealed_to:
        words = f"NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY is not that of the notifier's private key {version}"
        return [Check("seal and private key", "failed", f"{words}: no contact can be opened")]
    return [Check("seal and private key", "ok", f"the notifier opens what is sealed ({version})")]


def _links_open(settings: _Settings) -> "list[Check]":
    """The portal takes the links that the notifier makes, at the address where they lead."""
    from services.runtime.checks import Check
    from services.runtime.errors import Fault

    notifier, portal = settings.of("notifier").notifier, settings.of("portal").portal
    found = []
    if notifier.portal_url != portal.base_url:
        words = f"links lead to {notifier.portal_url} (NARDIALOG_NOTIFIER__PORTAL_URL), the portal is {portal.base_url}"
        found.append(Check("links", "failed", f"{words} (NARDIALOG_PORTAL__BASE_URL): make them one"))
    try:
        token_keys: tuple[bytes, ...] = portal.keys()
        verified = notifier.key("token_key") in token_keys
    except Fault:
        return found  # said already, where it is missing
    if not verified:
        words = "NARDIALOG_PORTAL__TOKEN_KEYS lacks the notifier's NARDIALOG_NOTIFIER__TOKEN_KEY: no link would open"
        found.append(Check("links", "failed", words))
    return found or [Check("links", "ok", f"lead to {portal.base_url}, and the portal takes them")]
