"""`nardialog dlq edit` on a real Kafka: what is sent in a letter's place, what is not, and what is told of it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from schemas.case import CASE_CHANGED, Case
from schemas.envelope import Envelope, decode
from services.runtime.local_kafka import LocalKafka
from tests.integration.conftest import Run
from tests.integration.letters import bury, everything
from tests.matcher_cases import content

HEADERS = [
    (name, text.encode()) for name, text in Envelope(id="42", source="prov", type=CASE_CHANGED).headers().items()
]
BOW_TIE = [[[18.03, 59.40], [18.04, 59.41], [18.04, 59.40], [18.03, 59.41], [18.03, 59.40]]]
SQUARE = [[[18.03, 59.40], [18.04, 59.40], [18.04, 59.41], [18.03, 59.41], [18.03, 59.40]]]


def broken(**changes: Any) -> bytes:
    """A case whose area crosses itself, as a case system might send it."""
    polygon = {"role": "site", "geometry": {"type": "Polygon", "coordinates": BOW_TIE}}
    return json.dumps(content(geometries=[polygon], **changes)).encode()


def bury_case(kafka: LocalKafka, topic: str, value: bytes, **options: Any) -> str:
    return bury(kafka, topic, value, reason="invalid_polygon", headers=HEADERS, **options)


MEND = f"/geometries/0/geometry/coordinates={json.dumps(SQUARE)}"


def test_a_mended_case_goes_to_its_topic_under_its_own_key_and_asks_to_be_held(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury_case(kafka, names["cases"], broken())
    code, _, err = run("dlq", "edit", "--yes", "--by", "berit", "--set", MEND, address)
    assert code == 0, err
    assert "nardialog case list --held" in err
    (sent,) = everything(kafka, names["cases"])
    envelope = decode(sent.headers)
    case = Case.model_validate_json(sent.value)
    assert (sent.key, case.key) == (b"0162/prov/A", "0162/prov/A")
    assert envelope.extensions == {"nardialogheld": "edited"}
    assert (envelope.source, envelope.type) == ("prov", CASE_CHANGED)
    assert dict(sent.headers)["dlq_replays"] == b"1"
    assert run("dlq", "list")[1] == ""
    (listed,) = (json.loads(line) for line in run("dlq", "list", "--all", "--json")[1].splitlines())
    assert (listed["outcome"], listed["by"]) == ("edited", "berit")
    assert listed["sent_as"] == f"{sent.topic}/{sent.partition}/{sent.offset}"
    assert "was edited by berit" in run("dlq", "edit", "--yes", "--set", "/title=x", address)[2]


def test_a_dry_run_shows_the_difference_and_sends_nothing(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    address = bury_case(kafka, names["cases"], broken())
    code, out, _ = run("dlq", "edit", "--dry-run", "--set", MEND, "--set", "/title=Ny titel", address)
    assert code == 0
    assert '-  "title": "Titel",' in out
    assert '+  "title": "Ny titel",' in out
    assert "header ce_nardialogheld: edited" in out
    told = json.loads(run("dlq", "edit", "--dry-run", "--json", "--set", MEND, address)[1])
    assert (told["topic"], told["complaints"], told["key"]) == (names["cases"], [], "0162/prov/A")
    assert everything(kafka, names["cases"]) == []
    assert len(everything(kafka, names["cases.dlq"])) == 1


def test_what_would_be_dead_lettered_again_is_not_sent_unless_it_is_insisted_on(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury_case(kafka, names["cases"], broken())
    code, _, err = run("dlq", "edit", "--yes", "--set", "/title=Ny", "--set", "/stage=nosuch", address)
    assert code == 3
    assert "error: /stage: unknown_stage" in err
    assert "error: /geometries/0/geometry" in err
    assert everything(kafka, names["cases"]) == []
    assert run("dlq", "list")[1].startswith(address)
    assert run("dlq", "edit", "--yes", "--force", "--set", "/title=Ny", address)[0] == 0
    assert len(everything(kafka, names["cases"])) == 1


def test_what_is_confidential_is_not_sent_however_it_is_insisted_on(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury_case(kafka, names["cases"], broken())
    code, out, err = run("dlq", "edit", "--yes", "--force", "--set", "/confidential=true", address)
    assert (code, out) == (1, "")
    assert "confidential cases are not taken" in err
    assert everything(kafka, names["cases"]) == []


def test_a_correction_of_a_version_that_was_overtaken_is_told_before_it_is_sent_in_vain(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    first = bury_case(kafka, names["cases"], broken(version=3))
    second = bury_case(kafka, names["cases"], broken(version=2))
    assert run("dlq", "edit", "--yes", "--set", MEND, first)[0] == 0
    code, _, err = run("dlq", "edit", "--yes", "--set", MEND, second)
    assert code == 3
    assert "version 3 was taken already" in err
    assert run("dlq", "edit", "--yes", "--set", MEND, "--set", "/version=4", second)[0] == 0


def test_a_whole_new_value_comes_from_a_file_for_a_letter_that_is_no_json(
    kafka: LocalKafka, names: dict[str, str], run: Run, tmp_path: Path
) -> None:
    address = bury_case(kafka, names["cases"], b'{"title": \xff')
    file = tmp_path / "case.json"
    file.write_text(json.dumps(content()))
    assert run("dlq", "edit", "--yes", "--set", "/title=x", address)[0] == 2
    assert run("dlq", "edit", "--yes", "--file", str(tmp_path / "nosuch"), address)[0] == 1
    assert run("dlq", "edit", "--yes", "--file", str(file), address)[0] == 0
    (sent,) = everything(kafka, names["cases"])
    assert json.loads(sent.value) == content()


def test_what_may_not_be_edited_says_what_to_do_instead(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    sealed = bury(kafka, names["contacts"], b'{"sealed": "c2VjcmV0"}')
    dropped = bury(kafka, names["cases"], b"", reason="confidential")
    unchanged = bury_case(kafka, names["cases"], broken())
    for address, said in ((sealed, "is sealed"), (dropped, "no value"), (unchanged, "nothing is changed")):
        code, out, err = run("dlq", "edit", "--yes", "--set", "/title=Titel", address)
        assert (code, said in err, "c2VjcmV0" in out + err) == (1, True, False), address
    assert run("dlq", "edit", "--yes", unchanged)[0] == 2
    assert run("dlq", "edit", "--set", "/title=x", unchanged)[0] == 2


def test_at_a_terminal_the_letter_opens_in_the_persons_editor_and_is_sent_after_a_yes(
    kafka: LocalKafka, names: dict[str, str], topic_prefix: str, tmp_path: Path
) -> None:
    address = bury_case(kafka, names["cases"], broken())
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import json, sys\n"
        "case = json.load(open(sys.argv[1]))\n"
        "first = case['title'] == 'Titel'\n"  # at first a slip remains, which is told; then it is mended
        f"case |= {{'title': 'En'}} if first else {json.loads(MEND_AS_CASE)!r}\n"
        "json.dump(case, open(sys.argv[1], 'w'))\n"
    )
    environment = {
        "NARDIALOG_KAFKA__BOOTSTRAP": json.dumps([kafka.bootstrap]), "NARDIALOG_KAFKA__TOPIC_PREFIX": topic_prefix,
        "EDITOR": f"{sys.executable} {editor}", "PATH": "/usr/bin:/bin", "USER": "berit",
    }  # fmt: skip
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "services.cli", "dlq", "edit", address]
    running = subprocess.Popen(command, env=environment, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    for question in ("Go on editing?", "Send it to"):
        said = ""
        while question not in said:
            said += os.read(ours, 4096).decode(errors="ignore")
        os.write(ours, b"y\n")
    assert running.wait(60) == 0
    os.close(ours)
    (sent,) = everything(kafka, names["cases"])
    assert json.loads(sent.value)["geometries"][0]["geometry"]["coordinates"] == SQUARE


MEND_AS_CASE = json.dumps({"geometries": [{"role": "site", "geometry": {"type": "Polygon", "coordinates": SQUARE}}]})
