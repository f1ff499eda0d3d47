"""deploy/ run as it stands: the commands of the compose file and of the units as plain processes of another user.

No container engine and no systemd: what they would do to a process is done by hand (environment files, environment,
user, an empty working folder, SIGTERM), and the addresses are those of the servers that the test started. The compose
file's run on a broker with the compose file's settings, the units' on one that knows users and asks for their rights.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from schemas.case import CASE_CHANGED, Case
from schemas.topics import CASES, CONTACTS, ROUNDS
from services.notifier.channels.smtp_sink import SmtpSink
from services.processes import PREPARE
from services.runtime.broker import Broker
from services.runtime.child_process import spawn
from services.runtime.local_kafka import LocalKafka, free_ports
from services.runtime.parsing import outgoing
from services.runtime.settings import KafkaSettings
from services.runtime.topic_admin import TopicAdmin
from tests.deployment import DEPLOY, Program, composed, environment_file, grant, kafka_settings, rights, units
from tests.other_user import Nardialog, nardialog
from tests.postgres_server import AS_NOBODY, PostgresServer

PATIENCE: Final = 180
LINK: Final = re.compile(r"/i/[\w-]{22}")
USERS: Final = ("admin", "matcher", "notifier", "portal", "register", "cases", "ops")
REGISTER: Final = (
    "workplace_id,organisation,name,lon,lat,sni,sni_version,status,municipality,email\n"
    "EX-1,EXO-1,Exempelbageriet,18.05,59.40,56110,2025,active,0162,info@bageri.example\n"
)


class OtherSettings(LocalKafka):
    """A broker with some settings of its own; `{port}` and `{controller}` stand for its ports."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._settings = settings

    def _write_properties(self) -> None:
        super()._write_properties()
        with (self.folder / "server.properties").open("a") as file:
            for name, value in self._settings.items():
                put = value.replace("{port}", str(self._port)).replace("{controller}", str(self._controller_port))
                file.write(f"{name}={put}\n")


@pytest.fixture(scope="module")
def plain_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with OtherSettings(tmp_path_factory.mktemp("kafka"), kafka_settings()) as broker:
        yield broker


@pytest.fixture(scope="module")
def guarded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """Users with passwords, and nothing is allowed but what kafka-acls.txt allows."""
    login = f'username="admin" password="{password("admin")}"'
    names = "".join(f' user_{name}="{password(name)}"' for name in USERS)
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    settings = {
        "listeners": "SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": "SASL_PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} {login}{names};",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",  # anonymous is the controller alone: clients have names
    }
    with OtherSettings(tmp_path_factory.mktemp("kafka"), settings) as broker:
        with TopicAdmin(broker.bootstrap, login_as("admin", broker).client()) as admin:
            grant(admin, rights())
        yield broker


def password(user: str) -> str:
    return f"of-{user}"


def login_as(user: str, broker: LocalKafka) -> KafkaSettings:
    return KafkaSettings(
        bootstrap=(broker.bootstrap,),
        protocol="SASL_PLAINTEXT",
        mechanism="PLAIN",
        username=user,
        password=SecretStr(password(user)),
    )


class Installation:
    """One broker, one database, one relay, and the programs of one way to deploy."""

    def __init__(
        self,
        program: Nardialog,
        kafka: LocalKafka,
        databases: Mapping[str, str],
        relay: SmtpSink,
        folder: Path,
        *,
        users: bool,
    ) -> None:
        self._program = program
        self.kafka = kafka
        self.relay = relay
        self.folder = folder
        self._databases = databases
        self.users = users
        (self.web_port,) = free_ports(1)
        self._keys = environment_file(self.command("keys", "new", environment={}))
        self.running: dict[str, tuple[subprocess.Popen[bytes], int, Program]] = {}

    def environment(self, program: Program, user: str) -> dict[str, str]:
        """What an engine or systemd would give this program: its files' settings, then its own, at our addresses."""
        installation, notifier, portal = (
            {name: value for name, value in self._keys.items() if section in name}
            for section in ("INSTALLATION", "NOTIFIER", "PORTAL")
        )
        secrets = {"matcher.env": installation, "notifier.env": notifier, "portal.env": portal | installation}
        own = [secrets.get(Path(file).name, {}) for file in program.files]
        found = {**environment_file((DEPLOY / "env.example").read_text()), **program.environment}
        return {**found, **{name: value for part in own for name, value in part.items()}, **self._addresses(user)}

    def _addresses(self, user: str) -> dict[str, str]:
        found = {
            "NARDIALOG_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "NARDIALOG_NOTIFIER__DATABASE": self._databases["notifier"],
            "NARDIALOG_PORTAL__DATABASE": self._databases["portal"],
            "NARDIALOG_PORTAL__PORT": str(self.web_port),
            "NARDIALOG_NOTIFIER__SMTP__HOST": self.relay.host,
            "NARDIALOG_NOTIFIER__SMTP__PORT": str(self.relay.port),
            "NARDIALOG_NOTIFIER__SMTP__TLS": "none",
            "NARDIALOG_NOTIFIER__WINDOWS": "always",
            "NARDIALOG_NOTIFIER__HOLD_SECONDS": "0",
        }
        if not self.users:
            return found
        login = {"PROTOCOL": "SASL_PLAINTEXT", "MECHANISM": "PLAIN", "USERNAME": user, "PASSWORD": password(user)}
        return found | {f"NARDIALOG_KAFKA__{name}": value for name, value in login.items()}

    def command(self, *arguments: str, environment: Mapping[str, str]) -> str:
        """Runs a command to its end as the other user; returns its standard output."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*self._program.command, *arguments],
            env=self._around(environment),
            cwd=self._home("command"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            **AS_NOBODY,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def run(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """The same, while our loop goes on: the relay is on it."""
        await asyncio.to_thread(self.command, *arguments, environment=environment)

    def start(self, name: str, program: Program) -> None:
        """Starts a service as the other user, in an empty folder that is its own."""
        (port,) = free_ports(1)
        environment = self.environment(program, name) | {"NARDIALOG_HEALTH__PORT": str(port)}
        process = spawn(
            [*self._program.command, *program.arguments],
            log=self.folder / f"{name}.log",
            env=self._around(environment),
            cwd=self._home(name),
            **AS_NOBODY,
        )
        self.running[name] = (process, port, program)

    async def ready(self) -> None:
        """Returns when every service that runs says so."""
        for name, (process, port, _) in self.running.items():
            await until(lambda process=process, port=port: ended(process) or answers(port, "/readyz") == 200)  # type: ignore[misc]
            assert process.poll() is None, self.said(name)
            assert answers(port, "/healthz") == 200

    async def stop(self) -> dict[str, int | None]:
        """SIGTERM to all, then how each ended; None for one that took longer than its unit or compose file allows."""
        for process, _, _ in self.running.values():
            process.send_signal(signal.SIGTERM)
        codes: dict[str, int | None] = {}
        for name, (process, _, program) in self.running.items():
            try:
                codes[name] = await asyncio.to_thread(process.wait, program.patience)
            except subprocess.TimeoutExpired:
                codes[name] = None
        return codes

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _home(self, name: str) -> Path:
        home = self.folder / name
        if not home.exists():
            home.mkdir()
            if AS_NOBODY and self.users:  # systemd's StateDirectory; a container's is read-only
                shutil.chown(home, AS_NOBODY["user"])
        return home

    def _around(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": os.defpath, **self._program.environment, **environment}


def ended(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is not None


def answers(port: int, path: str) -> int:
    """The status code, or 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - other processes raise no event
            await asyncio.sleep(0.1)


async def publish_case(kafka: KafkaSettings) -> None:
    case = Case.model_validate(
        {
            "municipality": "0162",
            "source": "diariet",
            "case_id": "EX-1",
            "version": 1,
            "title": "Ny taxa för uteservering",
            "case_type": "taxa",
            "stage": "forslag",
            "area": "municipality",
            "industries": [{"code": "56", "version": "2025"}],
            "respond_by": (datetime.now(UTC) + timedelta(days=60)).date(),
            "synthetic": True,
        }
    )
    event = outgoing(CASES.name, case.key, case, type=CASE_CHANGED, id="EX-1-1", source="/test", time=datetime.now(UTC))
    broker = Broker(kafka, service="case-system")
    await broker.connect()
    await broker.publish([event])
    await broker.stop()


def open_folder() -> Iterator[Path]:
    """Open to other users; pytest's own folders may be entered by their owner alone."""
    with tempfile.TemporaryDirectory(prefix="deployment-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


folder = pytest.fixture(open_folder)
shared_folder = pytest.fixture(open_folder, scope="module")


@pytest.fixture(scope="module")
def program(shared_folder: Path) -> Nardialog:
    return nardialog(shared_folder)


@pytest.fixture
def databases(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """One for each service that keeps something."""
    names = {service: f"t{uuid.uuid4().hex[:10]}" for service in ("notifier", "portal")}
    yield {service: postgres.create_database(name) for service, name in names.items()}
    for name in names.values():
        postgres.drop_database(name)


@asynccontextmanager
async def installed(
    program: Nardialog, kafka: LocalKafka, databases: Mapping[str, str], folder: Path, *, users: bool
) -> AsyncIterator[Installation]:
    relay = SmtpSink()
    await relay.start()
    installation = Installation(program, kafka, databases, relay, folder, users=users)
    try:
        yield installation
    finally:
        for process, _, _ in installation.running.values():
            process.kill()
        await relay.stop()


async def a_case_becomes_a_mail(installation: Installation, programs: Mapping[str, Program]) -> None:
    """Topics, services, doctor, register, case, mail, its link, SIGTERM."""
    topics = programs.get("topics", Program(("topics", "create"), {}, PATIENCE))
    await installation.run(*topics.arguments, environment=installation.environment(topics, "ops"))
    for name in PREPARE:
        installation.start(name, programs[name])
    await installation.ready()
    everybody = Program((), {}, PATIENCE, ("matcher.env", "notifier.env", "portal.env"))
    await installation.run("doctor", environment=installation.environment(everybody, "ops"))
    file = installation.folder / "register.csv"
    file.write_text(REGISTER)
    register = Program((), {}, PATIENCE, ("matcher.env",))
    imported = ("companies", "import", str(file), "--json")
    await installation.run(*imported, environment=installation.environment(register, "register"))
    kafka = installation.kafka
    await publish_case(login_as("cases", kafka) if installation.users else KafkaSettings(bootstrap=(kafka.bootstrap,)))
    await until(lambda: bool(installation.relay.accepted) or any(ended(p) for p, _, _ in installation.running.values()))
    assert [mail.recipients for mail in installation.relay.accepted] == [("info@bageri.example",)], [
        installation.said(name) for name in PREPARE
    ]
    text = message_from_bytes(installation.relay.accepted[0].raw, policy=default).get_body(("plain",))
    link = LINK.search(text.get_content() if text else "")
    assert link
    await until(lambda: answers(installation.web_port, link[0]) == 200)
    assert await installation.stop() == dict.fromkeys(PREPARE, 0)
    for name in PREPARE:
        assert "Traceback" not in installation.said(name)


async def test_the_commands_of_the_compose_file_take_a_case_to_a_mail(
    program: Nardialog, plain_kafka: LocalKafka, databases: Mapping[str, str], folder: Path
) -> None:
    async with installed(program, plain_kafka, databases, folder, users=False) as installation:
        await a_case_becomes_a_mail(installation, composed())


async def test_the_units_commands_do_with_exactly_the_rights_that_are_listed(
    program: Nardialog, guarded_kafka: LocalKafka, databases: Mapping[str, str], folder: Path
) -> None:
    async with installed(program, guarded_kafka, databases, folder, users=True) as installation:
        await a_case_becomes_a_mail(installation, units())
    with TopicAdmin(guarded_kafka.bootstrap, login_as("matcher", guarded_kafka).client()) as admin:
        assert admin.ends([ROUNDS.name])
        assert not admin.ends([CONTACTS.name])  # what one may not see does not exist
