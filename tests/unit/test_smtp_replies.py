"""Every row of the reply table, and that the table has an answer for everything."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.port import State
from services.notifier.channels.smtp_replies import Phase, broken_off, outcome_of

ROWS: list[tuple[Phase, int, str, State, str, str]] = [
    # phase, code, text, state, our code, flags: s(uppress), after so many; a(larm); w(ait), for so many tries
    ("done", 250, "2.0.0 Ok: queued as 4XyZ12", State.SENT, "accepted", ""),
    ("done", 250, "OK", State.SENT, "accepted", ""),
    ("connect", 421, "too busy", State.NOT_SENT, "service_unavailable", ""),
    ("connect", 554, "5.7.1 no service for you", State.NOT_SENT, "relay_refuses", "a"),
    ("connect", 450, "later", State.NOT_SENT, "service_unavailable", ""),
    ("ehlo", 454, "4.7.0 TLS not available", State.NOT_SENT, "service_unavailable", ""),
    ("ehlo", 550, "bad name", State.NOT_SENT, "relay_refuses", "a"),
    ("auth", 454, "4.7.0 temporary authentication failure", State.NOT_SENT, "login_unavailable", ""),
    ("auth", 535, "5.7.8 credentials invalid", State.NOT_SENT, "credentials", "a"),
    ("auth", 538, "5.7.11 encryption required", State.NOT_SENT, "credentials", "a"),
    ("mail", 530, "5.7.0 Must issue a STARTTLS command first", State.NOT_SENT, "credentials", "a"),
    ("mail", 421, "4.3.2 shutting down", State.NOT_SENT, "service_unavailable", ""),
    ("rcpt", 421, "4.7.0 too many connections", State.NOT_SENT, "too_fast", "w"),
    ("done", 421, "4.3.0 closing", State.NOT_SENT, "service_unavailable", ""),
    ("rcpt", 450, "4.7.28 unusual rate", State.NOT_SENT, "too_fast", "w"),
    ("rcpt", 450, "4.7.1 rate limit exceeded", State.NOT_SENT, "too_fast", "w"),
    ("rcpt", 451, "4.7.1 try again in 5 minutes", State.RETRY, "greylisted", "w"),
    ("rcpt", 450, "4.7.1 <x@exempel.example>: Recipient address rejected: Greylisted", State.RETRY, "greylisted", "w"),
    ("rcpt", 450, "Greylisting in action", State.RETRY, "greylisted", "w"),
    ("rcpt", 450, "4.2.0 gray-listed", State.RETRY, "greylisted", "w"),
    ("rcpt", 452, "4.2.2 over quota", State.RETRY, "mailbox_full", "s3"),
    ("rcpt", 552, "5.2.2 mailbox full", State.RETRY, "mailbox_full", "s3"),
    ("done", 552, "5.2.2 mailbox full", State.RETRY, "mailbox_full", "s3"),
    ("rcpt", 552, "exceeded storage allocation", State.RETRY, "mailbox_full", "s3"),
    ("mail", 452, "4.3.1 insufficient storage", State.RETRY, "try_later", ""),
    ("done", 451, "4.3.0 local error", State.RETRY, "try_later", ""),
    ("rcpt", 450, "4.4.1 no answer from host", State.RETRY, "try_later", ""),
    ("rcpt", 450, "", State.RETRY, "try_later", ""),
    ("rcpt", 550, "5.1.1 <x@exempel.example>: user unknown", State.FAILED, "no_such_address", "s"),
    ("rcpt", 550, "#5.1.1 user unknown", State.FAILED, "no_such_address", "s"),
    ("rcpt", 550, "5.1.2 no such host", State.FAILED, "no_such_address", "s"),
    ("rcpt", 501, "5.1.3 bad address syntax", State.FAILED, "no_such_address", "s"),
    ("rcpt", 551, "5.1.6 has moved", State.FAILED, "no_such_address", "s"),
    ("rcpt", 556, "5.1.10 null MX", State.FAILED, "no_such_address", "s"),
    ("done", 550, "5.1.1 user unknown", State.FAILED, "no_such_address", "s"),
    ("mail", 550, "5.1.1 user unknown", State.NOT_SENT, "sender_refused", "a"),
    ("mail", 550, "no", State.NOT_SENT, "sender_refused", "a"),
    ("rcpt", 550, "5.1.8 sender domain not found", State.NOT_SENT, "sender_refused", "a"),
    ("rcpt", 550, "5.2.1 disabled", State.FAILED, "mailbox_disabled", "s"),
    ("rcpt", 553, "5.6.7 needs SMTPUTF8", State.FAILED, "needs_smtputf8", ""),
    ("mail", 552, "5.3.4 too big", State.FAILED, "too_big", "a"),
    ("mail", 552, "message size exceeds", State.FAILED, "too_big", "a"),
    ("done", 552, "too much mail data", State.FAILED, "too_big", "a"),
    ("done", 554, "5.6.0 bad content", State.FAILED, "content", "a"),
    ("rcpt", 555, "parameters not recognized", State.FAILED, "protocol", "a"),
    ("done", 500, "Line too long", State.FAILED, "protocol", "a"),
    ("data", 503, "5.5.1 need RCPT", State.FAILED, "protocol", "a"),
    ("done", 550, "5.7.1 blocked content", State.RETRY, "policy", "aw2"),
    ("done", 550, "5.7.26 unauthenticated", State.RETRY, "policy", "aw2"),
    ("rcpt", 550, "5.7.515 access denied", State.RETRY, "policy", "aw2"),
    ("rcpt", 554, "relay access denied", State.RETRY, "policy", "aw2"),
    ("done", 550, "rejected", State.RETRY, "policy", "aw2"),
    ("rcpt", 550, "blocked using zen.dnsbl.example", State.RETRY, "policy", "aw2"),
    ("rcpt", 553, "sorry, your relay is listed at rbl.example", State.RETRY, "policy", "aw2"),
    ("rcpt", 550, "message rejected because of SPF policy", State.RETRY, "policy", "aw2"),
    ("rcpt", 550, "<relay@block.example>: user unknown", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.4.1 Recipient address rejected: Access denied", State.FAILED, "refused", "s2"),
    ("rcpt", 554, "5.4.6 routing loop", State.FAILED, "their_system", ""),
    ("rcpt", 550, "mailbox unavailable", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.1.0 address rejected", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.2.0 mailbox problem", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.1.0 rejected: sender is listed", State.RETRY, "policy", "aw2"),
    ("rcpt", 550, "5.0.0 no", State.FAILED, "refused", "s2"),
    ("rcpt", 554, "5.0.0 no", State.RETRY, "policy", "aw2"),
    ("done", 550, "5.0.0 rejected", State.RETRY, "policy", "aw2"),
    ("rcpt", 452, "4.0.0 too many messages", State.NOT_SENT, "too_fast", "w"),
    ("rcpt", 556, "domain does not accept mail", State.FAILED, "no_such_address", "s"),
    ("rcpt", 550, "5.4.4 host not found", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.4.310 no such domain", State.FAILED, "refused", "s2"),
    ("rcpt", 550, "5.2.1 <x@exempel.example> is receiving mail at a rate that", State.RETRY, "try_later", ""),
    ("rcpt", 550, "5.2.1 is receiving mail too quickly", State.RETRY, "try_later", ""),
    ("mail", 503, "5.5.1 authentication required", State.NOT_SENT, "relay_refuses", "a"),
    ("mail", 502, "not now", State.NOT_SENT, "relay_refuses", "a"),
    ("mail", 555, "parameters not recognized", State.FAILED, "protocol", "a"),
    ("rcpt", 550, "5.1.1.9 is a host, not a status", State.FAILED, "refused", "s2"),
    ("mail", -1, "", State.NOT_SENT, "unreadable_answer", "a"),
    ("data", 250, "what?", State.NOT_SENT, "unreadable_answer", "a"),
    ("done", -1, "", State.UNKNOWN, "unreadable_answer", ""),
    ("done", 354, "go on", State.UNKNOWN, "unreadable_answer", ""),
]


@pytest.mark.parametrize(("phase", "code", "text", "state", "word", "flags"), ROWS)
def test_each_row(phase: Phase, code: int, text: str, state: State, word: str, flags: str) -> None:
    """FC-032, FC-033, FC-034: what is about us suppresses nobody, with or without an enhanced status."""
    outcome = outcome_of(phase, code, text)
    seen = "s" * outcome.suppress + (f"s{outcome.suppress_after}" if outcome.suppress_after else "")
    seen += "a" * outcome.alarm + "w" * (outcome.retry_after is not None) + str(outcome.most_tries or "")
    assert (outcome.state, outcome.code, seen) == (state, word, flags)


@pytest.mark.parametrize(
    ("code", "text", "detail"),
    [
        (550, "5.1.1 <x@exempel.example> unknown", "5.1.1"),
        (550, "5.7.515 no", "5.7.515"),
        (550, "x@exempel.example unknown", "550"),
    ],
)
def test_detail_is_the_status_or_the_number_and_never_the_text(code: int, text: str, detail: str) -> None:
    assert outcome_of("rcpt", code, text).detail == detail


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("2.0.0 Ok: queued as 4XyZ12b", "4XyZ12b"),
        ("OK id=1rAbCd-0001Xy-2Z", "1rAbCd-0001Xy-2Z"),
        ("2.0.0 Ok: queued as anna@exempel.example", ""),
        ("2.6.0 <a@exempel.example> Queued mail for delivery", ""),
    ],
)
def test_the_relays_queue_id_is_kept_and_no_address(text: str, reference: str) -> None:
    assert outcome_of("done", 250, text).provider_ref == reference


@given(st.sampled_from(get_args(Phase)), st.integers(-1, 999), st.text(max_size=60))
def test_every_reply_has_an_outcome_and_only_a_2xx_at_the_end_is_sent(phase: Phase, code: int, text: str) -> None:
    outcome = outcome_of(phase, code, text)
    assert (outcome.state is State.SENT) == (phase == "done" and code // 100 == 2)


@given(st.sampled_from(get_args(Phase)), st.integers(400, 599), st.text(max_size=60))
def test_only_a_refusal_with_the_recipient_named_suppresses(phase: Phase, code: int, text: str) -> None:
    outcome = outcome_of(phase, code, text)
    assert not outcome.suppress or (outcome.state is State.FAILED and phase in ("rcpt", "data", "done"))


@pytest.mark.parametrize("phase", get_args(Phase))
def test_broken_off_is_unknown_only_after_the_end_of_the_data(phase: Phase) -> None:
    expected = State.UNKNOWN if phase == "done" else State.NOT_SENT
    assert broken_off(phase, "connection_lost").state is expected
