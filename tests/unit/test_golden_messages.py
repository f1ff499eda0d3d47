"""Sample messages are what tests/golden holds; and `preview-message` shows them."""

import json
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from services import cli
from services.rendering import samples
from services.rendering.digest import render_digest
from services.rendering.mail import render
from services.rendering.notices import render_notice
from tests.golden_messages import FOLDER, messages
from tests.matcher_cases import content

MESSAGES = dict(messages())


def test_every_sample_has_its_golden_file_and_no_other_is_there() -> None:
    assert sorted(MESSAGES) == sorted(file.name for file in FOLDER.iterdir())


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_sample_message_is_its_golden_file(name: str) -> None:
    assert (FOLDER / name).read_bytes() == MESSAGES[name], "looked at? python -m tests.golden_messages writes it"


def shown(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, bytes, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["preview-message", *arguments])
    out, err = capfdbinary.readouterr()
    return int(end.value.code or 0), out, err.decode()


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARDIALOG_NOTIFIER__SENDER_NAME", "Danderyds kommun")


@pytest.mark.parametrize("kind", ["first", "reminder", "digest", "feedback", "change", "notice"])
def test_any_kind_is_shown_in_any_shape_that_it_has(capfdbinary: pytest.CaptureFixture[bytes], kind: str) -> None:
    for shape in ("text", "html", "eml", "sms"):
        code, out, _ = shown(capfdbinary, kind, "--shape", shape)
        assert code == 0
        assert b"Danderyds" in out
    mail = message_from_bytes(shown(capfdbinary, kind, "--shape", "eml")[1], policy=default)
    assert mail.defects == []


def test_a_given_cases_message_is_shown_in_a_form_of_dialogue(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    meeting = {"place": "Torget", "start": "2030-11-28T08:00:00+01:00"}
    case = content("road") | {"title": "Torget byggs om", "meeting": meeting}
    file, out = tmp_path / "case.json", tmp_path / "mail.html"
    file.write_text(json.dumps(case), "utf-8")
    code, sms, _ = shown(capfdbinary, "first", "--case", str(file), "--form", "platsvandring", "--shape", "sms")
    assert (code, b"platsvandring 28/11 kl 08.00: Torget byggs om." in sms) == (0, True)
    code, printed, _ = shown(capfdbinary, "reminder", "--case", str(file), "--shape", "html", "--output", str(out))
    assert (code, printed) == (0, b"")
    assert "Torget byggs om" in out.read_text("utf-8")
    assert b"BEGIN:VALARM" in shown(capfdbinary, "first", "--case", str(file), "--shape", "ics")[1]


def test_what_cannot_be_shown_is_said(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    code, _, said = shown(capfdbinary, "notice", "--shape", "ics")
    assert (code, "this message has none" in said) == (2, True)
    code, _, said = shown(capfdbinary, "first", "--form", "frga")
    assert (code, "not in the model; use one of" in said) == (2, True)
    (tmp_path / "empty.json").write_text("")
    code, _, said = shown(capfdbinary, "first", "--case", str(tmp_path / "empty.json"))
    assert (code, "holds no case" in said) == (1, True)


def test_unfit_words_are_found_out_by_a_preview(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sv.toml").write_text("[mail]\nasks = 1\n")
    monkeypatch.setenv("NARDIALOG_NOTIFIER__TEMPLATES_FOLDER", str(tmp_path))
    code, _, said = shown(capfdbinary, "first")
    assert (code, "sv.toml:2: mail.asks is no text" in said) == (1, True)


def test_no_sample_is_larger_than_a_mail_may_be_or_has_a_long_line_or_fetches_anything() -> None:
    """FC-044, FC-037: clients cut off what is beyond 100 kB; a line over 998 octets may be broken by any relay."""
    mails = [render(samples.letter_about(samples.round_of(kind), kind)) for kind in (*samples.ROUNDS, "reminder")]
    mails.append(render_digest(samples.digest_about(samples.rounds_of_digest() * 4, more=3)))
    mails += [render_notice(samples.notice_about(kind)) for kind in samples.NOTICES]
    for mail in mails:
        assert len(mail.html.encode()) <= 60_000
        assert len(mail.subject) <= 65
        assert max(len(line.encode()) for line in mail.html.splitlines()) <= 998
        assert all(len(line) <= 78 or line.startswith("https://") for line in mail.text.splitlines())
        for fetched in ("<img", "<link", "url(", "@import", "src=", "<script"):
            assert fetched not in mail.html
