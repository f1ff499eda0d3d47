"""Settings: one frozen model per service, read from the environment when a service starts and never on import.

What stands under a field is its meaning in docs/settings.md, which is generated from here.
Names are `NARDIALOG_<SECTION>__<FIELD>`. A name that no service knows is refused, because a misspelt setting that is
silently ignored is found in production. Secrets are `SecretStr` and never shown.
"""

import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.topics import Topic
from services.runtime.errors import Fault

PREFIX = "NARDIALOG_"
SECTIONS = frozenset(
    {"KAFKA", "LOG", "HEALTH", "INSTALLATION", "MATCHER", "NOTIFIER", "PORTAL", "OPS", "DEMO", "REGISTER", "MODEL"}
)
PLAIN = frozenset({"CACHE_DIR", "NO_PROMPT"})
"""Names without a section."""


class Section(BaseModel):
    """A group of settings. Frozen; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class KafkaSettings(Section):
    """How the broker is reached, and what topics are made with."""

    bootstrap: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1:9092",)
    """Some of the brokers, `host:port`, separated by commas."""
    topic_prefix: str = ""
    """Begins the name of every topic and group, so that several installations may share a cluster."""
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the broker's listener is spoken to. With `SSL` in it, its certificate is verified, always."""
    ca_file: Path | None = None
    """Trust these authorities (PEM) instead of the system's."""
    certificate_file: Path | None = None
    """Our certificate (PEM), where the broker wants one; together with its key."""
    key_file: Path | None = None
    """The key of our certificate (PEM)."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How we log in, where the protocol begins with `SASL`."""
    username: str | None = None
    """Who we are to the broker; one user per service, with the rights in `deploy/kafka-acls.txt`."""
    password: SecretStr | None = None
    """The password of that user."""
    partitions: int = Field(6, ge=1, le=1000)
    """Partitions of every topic when it is made, and what `topics check` expects: the most instances of a service
    that share the work. It cannot be changed later, since keys would move.
    """
    replication: int = Field(1, ge=1, le=10)
    """Copies of every topic when it is made: 3 on a cluster of three nodes or more."""
    session_timeout_ms: int = Field(10_000, ge=1000, le=300_000)
    """How long an instance may be silent before the others take over its partitions."""
    max_poll_interval_ms: int = Field(300_000, ge=10_000)
    """How long one batch may take before the broker gives the partitions to another instance."""

    @field_validator("bootstrap", mode="before")
    @classmethod
    def _a_list_as_people_write_it(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return json.loads(given) if given.startswith("[") else [part.strip() for part in given.split(",")]

    def topic(self, topic: Topic) -> str:
        """The topic's name on this broker."""
        return self.topic_prefix + topic.name

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, where the protocol has TLS: certificates are verified, always."""
        if "SSL" not in self.protocol:
            return None
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.certificate_file and self.key_file:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context

    def nobody(self, error: Exception) -> str:
        """What is said when no broker answers, or none lets us in."""
        where = ", ".join(self.bootstrap)
        if "Authorization" in type(error).__name__ or "Authentication" in type(error).__name__:
            return (
                f"Kafka at {where} refuses {self.username or 'whoever has no name'} ({type(error).__name__}): see "
                "NARDIALOG_KAFKA__USERNAME and __PASSWORD, and the rights in deploy/kafka-acls.txt"
            )
        return f"no Kafka at {where} ({type(error).__name__}): start it, or set NARDIALOG_KAFKA__BOOTSTRAP"

    def client(self) -> dict[str, Any]:
        """Security keyword arguments as aiokafka and kafka-python both take them."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if (context := self.tls()) is not None:
            arguments["ssl_context"] = context
        if self.protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value() if self.password else None,
            }
        return arguments


class LogSettings(Section):
    """What is logged and how: JSON for machines, lines for people."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["json", "lines"] = "json"
    """`json`: one object a line, for machines; `lines`: for people."""


class HealthSettings(Section):
    """Where /healthz, /readyz and /metrics answer."""

    host: str = "127.0.0.1"
    """The address that these three listen on."""
    port: int | None = Field(None, ge=0, le=65535)
    """The port of one service's process. Without one nothing is opened; 0 picks a free one."""


class ServiceSettings(BaseSettings):
    """What every service has."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore", env_ignore_empty=True
    )
    kafka: KafkaSettings = KafkaSettings()
    log: LogSettings = LogSettings()
    health: HealthSettings = HealthSettings()


S = TypeVar("S", bound=BaseSettings)


def load(model: type[S], environment: Mapping[str, str] | None = None) -> S:
    """The settings of a service from the environment. Raises `Fault` that names what is wrong and what to do."""
    names = os.environ if environment is None else environment
    for name in names:
        upper = name.upper()
        if upper.startswith(PREFIX):
            section = upper.removeprefix(PREFIX).partition("__")[0]
            if section not in SECTIONS and section not in PLAIN:
                raise Fault(f"setting {name} is unknown: sections are {', '.join(sorted(SECTIONS))}")
    try:
        return model()
    except ValidationError as error:
        raise Fault(_said(error)) from None


def _said(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = PREFIX + "__".join(str(part) for part in item["loc"]).upper()
        unknown = item["type"] == "extra_forbidden"
        lines.append(
            f"setting {name} is unknown: see docs/settings.md" if unknown else f"setting {name}: {item['msg']}"
        )
    return "; ".join(lines)
