"""The mail by which a person's SMS reaches those who answer for the case."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

from services.rendering.message import MailHeaders
from services.rendering.sms_answer import sms_answer

HEADERS = MailHeaders(
    message_id="m1@kommun.example",
    date=datetime(2027, 2, 1, 9, tzinfo=UTC),
    from_name="Exempel kommun",
    from_address="naringsliv@kommun.example",
    to_address="anna@kommun.example",
)


def test_it_holds_the_number_the_words_and_the_case_and_says_that_a_machine_sent_it() -> None:
    raw = sms_answer("+46701740605", "Nej, vi öppnar 7", [("Stockholmsvägen", "KS 2025/1")], HEADERS, "X-Mark")
    mail = message_from_bytes(raw, policy=policy.default)
    text = mail.get_content().replace("\r\n", "\n")
    assert "+46701740605 har svarat per SMS:\n\nNej, vi öppnar 7\n" in text
    assert "Stockholmsvägen" in mail["Subject"]
    assert "Ärende: Stockholmsvägen KS 2025/1\n" in text
    assert (mail["To"], mail["Auto-Submitted"], mail["X-Mark"]) == (
        "anna@kommun.example",
        "auto-generated",
        "m1@kommun.example",
    )
    assert raw == sms_answer("+46701740605", "Nej, vi öppnar 7", [("Stockholmsvägen", "KS 2025/1")], HEADERS, "X-Mark")


def test_fc_039_neither_words_nor_a_title_make_a_header() -> None:
    """FC-039."""
    raw = sms_answer(
        "+46701740605", "hej\r\nBcc: alla@exempel.example", [("Mörby\r\nBcc: alla@exempel.example", "")], HEADERS, "X"
    )
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Svar per SMS från ett företag: Mörby Bcc: alla@exempel.example"
    hidden = "=?utf-8?q?=0ABcc:_alla=40x.example?="
    mail = message_from_bytes(sms_answer("+46701740605", "hej", [(hidden, "")], HEADERS, "X"), policy=policy.default)
    assert (mail["Bcc"], mail["Subject"]) == (None, f"Svar per SMS från ett företag: {hidden}")


def test_the_cases_of_a_digest_are_listed_for_nobody_knows_which_is_meant() -> None:
    cases = [("Stockholmsvägen", "KS 2025/1"), ("Ny taxa", "")]
    mail = message_from_bytes(sms_answer("+46701740605", "Ja", cases, HEADERS, "X"), policy=policy.default)
    text = mail.get_content().replace("\r\n", "\n")
    assert mail["Subject"] == "Svar per SMS från ett företag: 2 ärenden"
    assert "Ärende: ett av dessa 2:\n - Stockholmsvägen KS 2025/1\n - Ny taxa\n" in text
    assert "Case: one of the 2 above\n" in text
    none = message_from_bytes(sms_answer("+46701740605", "Ja", [], HEADERS, "X"), policy=policy.default)
    assert "Ärende: framgår inte\n" in none.get_content().replace("\r\n", "\n")
