"""What providers call us with, in the shapes that they document, with invented values."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.notifier.channels.callbacks import Receipt, Text
from services.notifier.channels.elks46 import Elks46Options
from services.notifier.channels.elks46_callbacks import Elks46Callbacks
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.twilio import TwilioOptions
from services.notifier.channels.twilio_callbacks import SIGNATURE, TwilioCallbacks, signature
from services.notifier.policy.stop_words import WORDS, asks_to_stop

ELKS = Elks46Callbacks(Elks46Options(username="u", password=SecretStr("p"), sender="+46766860000"))
TWILIO = TwilioCallbacks(
    TwilioOptions(account_sid="AC" + "0" * 32, auth_token=SecretStr("12345"), sender="+46766860000")
)
URL = "https://svar.kommun.example/receipts/twilio/AAAA"


def form(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("id=s7ee00000000000000000000000000001&status=delivered&delivered=2027-02-01T09%3A00%3A10.100000", "delivered"),
        ("id=s7ee00000000000000000000000000001&status=sent", "sent"),
        ("id=s7ee00000000000000000000000000001&status=failed", "failed"),
    ],
)
def test_a_receipt_of_46elks_says_what_became_of_the_message(recorded: str, said: str) -> None:
    receipt = ELKS.receipt(form(recorded))
    assert receipt is not None
    assert receipt.said == said
    assert (receipt.failure is not None) == (said == "failed")


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("MessageStatus=queued", Receipt("sent", "queued")),
        ("MessageStatus=sent", Receipt("sent", "sent")),
        ("MessageStatus=delivered", Receipt("delivered", "delivered")),
        (
            "MessageStatus=undelivered&ErrorCode=30005",
            Receipt("failed", "30005", Outcome(State.FAILED, "no_such_address", "30005", suppress=True)),
        ),
        (
            "MessageStatus=undelivered&ErrorCode=30003",
            Receipt("failed", "30003", Outcome(State.FAILED, "unreachable", "30003")),
        ),
        (
            "MessageStatus=failed&ErrorCode=39999",
            Receipt("failed", "39999", Outcome(State.FAILED, "undelivered", "39999")),
        ),
        ("MessageStatus=failed", Receipt("failed", "failed", Outcome(State.FAILED, "undelivered"))),
    ],
)
def test_a_receipt_of_twilio_says_what_became_of_the_message_and_why(recorded: str, expected: Receipt) -> None:
    rest = "AccountSid=AC0&From=%2B46766860000&MessageSid=SM0&SmsSid=SM0&SmsStatus=x&To=%2B46701740605&ApiVersion=1&"
    assert TWILIO.receipt(form(rest + recorded)) == expected


@pytest.mark.parametrize("recorded", ["", "status=paused&id=s1", "status=delivered", "MessageStatus=new"])
def test_what_is_no_receipt_is_taken_for_none(recorded: str) -> None:
    assert ELKS.receipt(form(recorded)) is None
    assert TWILIO.receipt(form(recorded)) is None


def test_a_text_that_somebody_wrote_back_is_read_from_either_provider() -> None:
    elks = (
        "direction=incoming&id=s1&from=%2B46701740605&to=%2B46766860000&created=2027-02-01T09%3A00%3A00&message=Stopp"
    )
    twilio = "MessageSid=SM1&From=%2B46701740605&To=%2B46766860000&Body=Stopp&NumMedia=0&NumSegments=1"
    assert ELKS.text(form(elks)) == Text("s1", "+46701740605", "Stopp")
    assert TWILIO.text(form(twilio)) == Text("SM1", "+46701740605", "Stopp")
    taken_by_twilio = form(twilio.replace("Stopp", "UNSUBSCRIBE") + "&OptOutType=STOP")
    assert TWILIO.text(taken_by_twilio) == Text("SM1", "+46701740605", "STOP")
    assert ELKS.text(form("id=s1&status=delivered")) is None
    assert TWILIO.text(form("MessageStatus=sent&From=%2B46766860000")) is None


def test_twilios_signature_is_the_one_of_its_documentation() -> None:
    asked = form("CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212")
    assert signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", asked) == b"RSOYDt4T1cUTdK1PDd93/VVr8B8="


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=5), st.text(max_size=8))
def test_a_call_is_twilios_only_while_nothing_in_it_was_changed(fields: dict[str, str], other: str) -> None:
    signed = URL + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    mac = base64.b64encode(hmac.new(b"12345", signed.encode(), hashlib.sha1).digest()).decode()
    assert TWILIO.proven(URL, fields, {SIGNATURE: mac})
    assert TWILIO.proven(URL.replace("example/", "example:443/"), fields, {SIGNATURE: mac})
    assert not TWILIO.proven(URL + "A", fields, {SIGNATURE: mac})
    assert not TWILIO.proven(URL, fields | {"Added\x00": other}, {SIGNATURE: mac})
    assert not TWILIO.proven(URL, fields, {})


@pytest.mark.parametrize(
    "text",
    [
        *("STOPP", " stopp ", "Stopp!", "s t o p p", "\u201dSTOP\u201d", "AVSLUTA.", "sluta", "ＳＴＯＰＰ", "S.T.O.P."),
        *("STOPP STOPP", "stopp tack!", "Sluta skicka SMS", "Stop all", "STOPALL", "stop, please", "avregistrera mig"),
        *("UNSUBSCRIBE", "opt-out", "End", "Stopp\u00a0\U0001f64f", "\ufeffstopp\u200b"),
    ],
)
def test_a_stop_is_known_however_it_is_written(text: str) -> None:
    assert asks_to_stop(text)


@pytest.mark.parametrize(
    "text", ["", "Stopp för bygget är fel väg", "nej", "stoppa inte", "Vi kommer", "tack", "nej tack"]
)
def test_what_a_person_answers_is_no_stop(text: str) -> None:
    assert not asks_to_stop(text)


@given(st.text())
def test_a_stop_says_nothing_else(text: str) -> None:
    assert not any(asks_to_stop(f"{word} {text} fel väg") for word in WORDS)
