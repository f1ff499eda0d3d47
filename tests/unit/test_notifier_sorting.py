"""What a mail that came back is, by its headers and parts alone."""

import base64
import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.port import State
from services.notifier.channels.smtp_replies import outcome_of
from services.notifier.outcomes.reports import Reported
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.outcomes.sorting import (
    FORWARDED,
    About,
    Automatic,
    Complaint,
    Reply,
    Report,
    Sorter,
    StopWanted,
    Unclear,
)
from services.runtime.link_tokens import Purpose, mint
from tests.returned_mails import EXIM, MESSAGE_ID, QMAIL, complaint, mail, report

KEY, OLD, OTHER = b"k" * 32, b"o" * 32, b"x" * 32
PATHS = ReturnPaths("studs@kommun.example", [KEY, OLD])
SORTER = Sorter([KEY, OLD], PATHS)
NUMBER = 2**62 + 17
OURS = About(message_id=MESSAGE_ID)


def said(raw: bytes) -> Reported:
    sorted_ = SORTER.sort(raw)
    assert isinstance(sorted_, Report), sorted_
    return sorted_.reported


# Which message


def test_a_report_is_about_the_message_whose_return_path_it_came_to() -> None:
    found = SORTER.sort(report(to=PATHS.of(NUMBER), envelope_id="f" * 32))
    assert isinstance(found, Report)
    assert found.about == About(number=NUMBER)


def test_or_whose_envelope_id_it_gives_back() -> None:
    found = SORTER.sort(report(envelope_id="f" * 31 + "+65", returned="X: y"))  # xtext, RFC 3461 §4
    assert isinstance(found, Report)
    assert found.about == About(message_id="f" * 31 + "e")


@pytest.mark.parametrize("part", ["text/rfc822-headers", "message/rfc822"])
def test_or_whose_message_id_stands_in_what_it_sends_back(part: str) -> None:
    found = SORTER.sort(report().replace(b"text/rfc822-headers", part.encode()))
    assert isinstance(found, Report)
    assert found.about == OURS


def test_a_return_path_with_a_strangers_proof_names_no_message() -> None:
    forged = ReturnPaths("studs@kommun.example", [OTHER]).of(NUMBER)
    found = SORTER.sort(report(to=forged, returned="X: y"))
    assert isinstance(found, Report)
    assert found.about == About()


@pytest.mark.parametrize("original", ["message/global-headers", "message/global"])
def test_a_report_on_an_address_in_unicode_is_a_report(original: str) -> None:
    """FC-042; RFC 6533: silently taken for a machine's answer, it would leave the address to be written to for ever."""
    raw = report(to=PATHS.of(NUMBER), returned=f"Message-ID: <{MESSAGE_ID}@kommun.example>\r\nTo: åsa@exempel.example")
    raw = raw.replace(b"message/delivery-status", b"message/global-delivery-status")
    raw = raw.replace(b"rfc822; anna@", "utf-8; åsa@".encode()).replace(b"text/rfc822-headers", original.encode())
    found = SORTER.sort(raw)
    assert isinstance(found, Report)
    assert found.about == About(number=NUMBER)
    assert found.reported.outcome is not None
    assert found.reported.outcome.code == "no_such_address"
    without_path = SORTER.sort(raw.replace(PATHS.of(NUMBER).encode(), b"studs@kommun.example"))
    assert isinstance(without_path, Report)
    assert without_path.about == OURS


@pytest.mark.parametrize("kind", ["delivery-status", "global-delivery-status"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_a_report_says_the_same_however_its_fields_are_encoded(kind: str, encoding: str) -> None:
    head, fields, rest = re.split(rb"(?<=delivery-status)\r\n\r\n|(?=--grans\r\nContent-Type: text/rfc822)", report())
    encoded = base64.encodebytes(fields) if encoding == "base64" else quopri.encodestring(fields).replace(b":", b"=3A")
    head = head.replace(b"message/delivery-status", b"message/" + kind.encode())
    wrapped = head + b"\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + encoded + b"\r\n" + rest
    assert SORTER.sort(wrapped) == SORTER.sort(report())


# The table, met in a report


ROWS = [
    # status, diagnostic, code, suppressed at once, after so many, alarm
    ("5.1.1", "smtp; 550 5.1.1 <x@exempel.example>: user unknown", "no_such_address", True, 0, False),
    ("5.0.0", "smtp; 550-5.1.1 The account does not exist. 550 5.1.1 See", "no_such_address", True, 0, False),
    ("5.1.1", "", "no_such_address", True, 0, False),
    ("5.1.1", "X-Postfix; unknown user: anna", "no_such_address", True, 0, False),
    ("5.0.0", "X-Postfix; host mx.exempel.example said: 550 5.1.2 no host", "no_such_address", True, 0, False),
    ("5.1.10", "smtp; 556 5.1.10 null MX", "no_such_address", True, 0, False),
    ("5.2.1", "smtp; 550 5.2.1 disabled", "mailbox_disabled", True, 0, False),
    ("5.2.2", "smtp; 552 5.2.2 mailbox full", "mailbox_full", False, 3, False),
    ("4.2.2", "smtp; 452 4.2.2 over quota", "mailbox_full", False, 3, False),
    ("5.7.1", "smtp; 550 5.7.1 blocked", "policy", False, 0, True),
    ("5.7.26", "smtp; 550 5.7.26 unauthenticated", "policy", False, 0, True),
    ("5.7.515", "smtp; 550 5.7.515 access denied", "policy", False, 0, True),
    ("5.3.4", "smtp; 552 5.3.4 too big", "too_big", False, 0, True),
    ("5.6.0", "smtp; 554 5.6.0 content", "content", False, 0, True),
    ("5.0.0", "smtp; 550 mailbox unavailable", "refused", False, 2, False),
    ("5.0.0", "", "refused", False, 2, False),
    ("", "", "refused", False, 2, False),
    ("4.4.7", "smtp; delivery time expired after 432 hours", "try_later", False, 0, False),
    ("4.4.1", "X-Postfix; connect to mx: Connection timed out", "try_later", False, 0, False),
    ("4.7.1", "smtp; 451 4.7.1 Greylisted", "greylisted", False, 0, False),
]


@pytest.mark.parametrize(("status", "diagnostic", "code", "suppress", "after", "alarm"), ROWS)
def test_each_row_in_a_report(status: str, diagnostic: str, code: str, suppress: bool, after: int, alarm: bool) -> None:
    outcome = said(report(status=status, diagnostic=diagnostic)).outcome
    assert outcome is not None
    assert (outcome.state, outcome.code) == (State.FAILED, code)
    assert (outcome.suppress, outcome.suppress_after, outcome.alarm) == (suppress, after, alarm)
    assert outcome.retry_after is None
    assert "@" not in repr(outcome)


@pytest.mark.parametrize(("status", "diagnostic", "code"), [row[:3] for row in ROWS if row[1].startswith("smtp; 5")])
def test_a_report_says_what_the_reply_would_have_said_at_the_send(status: str, diagnostic: str, code: str) -> None:
    reply = diagnostic.removeprefix("smtp; ").replace("-", " ", 1)
    met = outcome_of("rcpt", int(reply[:3]), reply[4:])
    told = said(report(status=status, diagnostic=diagnostic)).outcome
    assert told is not None
    assert (told.code, told.suppress, told.suppress_after, told.alarm) == (
        met.code, met.suppress, met.suppress_after, met.alarm,
    )  # fmt: skip


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_other_actions_are_no_failure(action: str) -> None:
    assert said(report(action, "4.4.1" if action == "delayed" else "2.0.0")).outcome is None
    assert said(report(action, "4.4.1" if action == "delayed" else "2.0.0")).action == action


def test_one_dead_member_does_not_silence_a_list_that_was_reached() -> None:
    more = "\nFinal-Recipient: rfc822; bo@exempel.example\nAction: delivered\nStatus: 2.1.5\n"
    assert said(report(more=more)) == Reported("delivered", "2.1.5")


@pytest.mark.parametrize("action", ["", "vanished"])
def test_a_report_that_says_nothing_is_looked_at_by_somebody(action: str) -> None:
    assert SORTER.sort(report(action)) == Unclear("report_not_understood")


# Bounces in forms of their own


def test_a_bounce_without_structure_is_known_by_its_words() -> None:
    found = SORTER.sort(mail("failure notice", QMAIL, "Return-Path: <>", sender="MAILER-DAEMON@exempel.example"))
    assert isinstance(found, Report)
    assert found.about == OURS
    assert found.reported.outcome is not None
    assert (found.reported.outcome.code, found.reported.outcome.suppress_after) == ("refused", 2)


@pytest.mark.parametrize(
    ("text", "more"), [(EXIM, "X-Failed-Recipients: anna@exempel.example"), (QMAIL, "Precedence: bulk")]
)
def test_a_postmasters_bounce_is_one_though_it_says_that_a_machine_sent_it(text: str, more: str) -> None:
    """FC-033, FC-038: Exim's plain bounces bear `Auto-Submitted`; ignored, they would leave the address alive."""
    headers = (more, "Auto-Submitted: auto-replied", "Return-Path: <>")
    found = SORTER.sort(mail("Mail delivery failed", text, *headers, sender="Mailer-Daemon@exempel.example"))
    assert isinstance(found, Report)
    assert found.about == OURS
    assert found.reported.outcome is not None
    assert found.reported.outcome.suppress_after == 2


def test_a_postmasters_mail_in_no_known_form_is_looked_at_by_somebody() -> None:
    raw = mail("Meddelande", "Det gick inte.", sender="postmaster@exempel.example")
    assert SORTER.sort(raw) == Unclear("bounce_not_understood")


# Machines


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; owner-email=x",
        "Return-Path: <>",
        "Precedence: bulk",
        "Precedence: auto_reply",
        "X-Auto-Response-Suppress: All",
        "List-Id: <lista.exempel.example>",
        "X-Mail-Autoreply: 1",
        "X-FC-MachineGenerated: true",
    ],
)
def test_fc038_a_machines_answer_is_nobodys(header: str) -> None:
    """FC-038."""
    assert SORTER.sort(mail("Frånvaro", "Jag är på semester.", header)) == Automatic()


@pytest.mark.parametrize(
    "begins",
    [
        "Automatiskt svar",
        "AUTOSVAR",
        "=?utf-8?q?Fr=C3=A5nvaro?=",
        "Automatic reply",
        "Out of Office AutoReply",
        "Out of the office",
        "Automatisk svar",
        "=?iso-8859-1?q?Frav=E6rsmelding?=",
        "Automaattinen vastaus",
        "Abwesenheitsnotiz",
        "=?utf-8?q?R=C3=A9ponse_automatique=C2=A0?=",
    ],
)
def test_fc038_a_machines_answer_is_known_by_its_subject_where_nothing_else_says_so(begins: str) -> None:
    """FC-038: and what a person answers to it is a person's."""
    assert SORTER.sort(mail(f"{begins}: Hej", "Jag är på semester.")) == Automatic()
    assert isinstance(SORTER.sort(mail(f"Re: {begins}: Hej", "Tack.")), Reply)


def test_fc038_a_read_receipt_is_nobodys() -> None:
    """FC-038; RFC 8098."""
    raw = report().replace(b"message/delivery-status", b"message/disposition-notification")
    for said_by_a_machine in (b"Return-Path: <>", b"Auto-Submitted: auto-replied", b"MAILER-DAEMON"):
        raw = raw.replace(said_by_a_machine, b"X: y" if said_by_a_machine != b"MAILER-DAEMON" else b"anna")
    assert SORTER.sort(raw) == Automatic()


def test_a_holiday_notice_that_reads_like_a_bounce_is_none() -> None:
    raw = mail("failure notice", QMAIL, "Auto-Submitted: auto-replied", "Return-Path: <>")
    assert SORTER.sort(raw) == Automatic()


# Complaints


def test_a_complaint_is_about_the_message_that_it_encloses() -> None:
    assert SORTER.sort(complaint(f"Message-ID: <{MESSAGE_ID}@kommun.example>")) == Complaint(OURS)


def test_or_about_the_one_whose_return_path_or_stop_link_it_kept() -> None:
    by_path = complaint("Subject: Hej", f"Original-Mail-From: <{PATHS.of(NUMBER)}>\n")
    link = f"https://dialog.kommun.example/avsluta/{mint(NUMBER, KEY, Purpose.STOP)}"
    for raw in (by_path, complaint(f"List-Unsubscribe: <{link}>")):
        assert SORTER.sort(raw) == Complaint(About(number=NUMBER))


# Stops


@pytest.mark.parametrize("subject", ["avsluta {}", "AVSLUTA  {}", "Re: avsluta {}", "=?utf-8?q?avsluta_{}?="])
@pytest.mark.parametrize("key", [KEY, OLD])
def test_a_stop_by_mail_names_the_message_by_its_links_token(subject: str, key: bytes) -> None:
    token = mint(NUMBER, key, Purpose.STOP)
    raw = mail(subject.format(token.replace("_", "=5F") if "?" in subject else token), "", "Auto-Submitted: yes")
    assert SORTER.sort(raw) == StopWanted(NUMBER)


@pytest.mark.parametrize("token", [mint(NUMBER, OTHER, Purpose.STOP), mint(NUMBER, KEY, Purpose.ANSWER)])
def test_without_our_proof_nothing_is_stopped(token: str) -> None:
    assert SORTER.sort(mail(f"avsluta {token}")) == Unclear("stop_without_proof")


# People


def test_a_person_s_reply_is_about_the_message_that_it_answers() -> None:
    answered = f"References: <a@b.example> <{MESSAGE_ID}@kommun.example>"
    assert SORTER.sort(mail("Re: Hej", "Hej!", answered)) == Reply(OURS)
    assert SORTER.sort(mail("Fråga", "Hej!")) == Reply(About())


def test_a_person_who_sends_a_report_on_is_a_person() -> None:
    inner = report().decode()
    head = 'Content-Type: multipart/mixed; boundary="yttre"'
    body = f"--yttre\r\n\r\nSe detta\r\n--yttre\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--yttre--"
    assert SORTER.sort(mail("Vad är detta?", body, "MIME-Version: 1.0", head)) == Reply(About())


def test_what_we_forwarded_ourselves_is_never_forwarded_again() -> None:
    assert SORTER.sort(mail("Vidare", "Hej", f"{FORWARDED}: x")) == Unclear("loop")


# Anything


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    SORTER.sort(raw)


SAMPLES = [report(), complaint("Message-ID: <x@y>"), mail("avsluta x", QMAIL, "Return-Path: <>")]


@given(st.sampled_from(SAMPLES), st.data())
def test_no_damage_to_a_mail_raises_or_stops_anybody(sample: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sample)))
    damaged = sample[:at] + data.draw(st.binary(max_size=20)) + sample[at + data.draw(st.integers(0, 20)) :]
    assert not isinstance(SORTER.sort(damaged), StopWanted)


def test_a_mail_nested_beyond_reason_is_looked_at_by_somebody() -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000))
    assert SORTER.sort(b"From: a@b.example\r\n" + nested) == Unclear("unreadable")
