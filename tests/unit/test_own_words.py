"""A municipality's own words and templates: used in place of ours, and found out at the start when they are unfit."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from schemas.company import EXAMPLE as COMPANY
from schemas.company import Company
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import Invitation
from schemas.model import DialogueModel
from services.notifier.composer import composer_for
from services.notifier.composing import Draft
from services.notifier.own_words import wording_of
from services.notifier.settings import NotifierOptions
from services.rendering import samples
from services.rendering.digest import render_digest
from services.rendering.mail import render
from services.rendering.sms import render_sms
from services.rendering.wording import LANGUAGES, STANDARD, own_tables, own_templates, own_words
from services.runtime.errors import Fault
from services.runtime.installation import ModelSettings

MAIL_HTML, MAIL_TEXT = (own_templates()[f"mail.{kind}.j2"] for kind in ("html", "txt"))
FORMS = ("fraga", "platsvandring")


def folder_of(tmp_path: Path, **files: str) -> Path:
    for name, content in files.items():
        (tmp_path / name.replace("__", ".")).write_text(content, "utf-8")
    return tmp_path


def test_the_words_that_a_municipality_changes_are_its_own_and_the_others_ours(tmp_path: Path) -> None:
    words = '[mail]\nasks = "Hej {recipient}! {municipality} undrar"\n[mail.subject]\nasks = "{title}: vad säger ni?"\n'
    wording = wording_of(folder_of(tmp_path, sv__toml=words))
    letter = samples.letter_about(samples.round_of("first").model_copy(update={"respond_by": None}), "first", wording)
    mail = render(letter)
    assert mail.subject == "Stockholmsvägen byggs om: vad säger ni?"
    assert "Hej Exempelbageriet! Danderyds kommun undrar" in mail.text
    assert "Danderyds kommun asks Exempelbageriet" in mail.text
    assert "VARFÖR FÅR NI DETTA?" in mail.text


def test_words_and_templates_of_one_form_are_used_for_that_form_alone(tmp_path: Path) -> None:
    files = {
        "sv.toml": '[form.fraga.mail]\nwho = "Vem frågar"\n'
        '[form.fraga.sms]\nask = "{who} undrar:{at} {title} {by} {link}"',
        "mail.fraga.txt.j2": MAIL_TEXT.replace("{{ half.invitation }}", "* {{ half.invitation }}"),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, "utf-8")
    wording = wording_of(tmp_path, FORMS)
    mails = {form: render(samples.letter_about(samples.round_of("first", form), "first", wording)) for form in FORMS}
    assert ("VEM FRÅGAR" in mails["fraga"].text, "VEM FRÅGAR" in mails["platsvandring"].text) == (True, False)
    assert ("\n* Svara här" in mails["fraga"].text, "\n* Svara" in mails["platsvandring"].text) == (True, False)
    sms = [
        render_sms(samples.round_of("first", form), sender="D", link="https://x.example/1", wording=wording)
        for form in FORMS
    ]
    assert [text.startswith("D undrar: ") for text in sms] == [True, False]


def test_one_sheet_changes_every_kind_of_mail(tmp_path: Path) -> None:
    wording = wording_of(
        folder_of(tmp_path, sheet__html__j2=own_templates()["sheet.html.j2"].replace("#0b4f8a", "#004225"))
    )
    digest = render_digest(samples.digest_about(samples.rounds_of_digest(), wording))
    mail = render(samples.letter_about(samples.round_of("first"), "first", wording))
    for html in (digest.html, mail.html):
        assert "#004225" in html
        assert "#0b4f8a" not in html


def test_both_languages_have_the_same_words_but_for_subjects_which_are_swedish() -> None:
    shared = {table: words for table, words in own_tables("sv").items() if table in own_tables("en")}
    assert {table: sorted(words) for table, words in shared.items()} == {
        table: sorted(words) for table, words in own_tables("en").items()
    }
    only_swedish = set(own_tables("sv")) - set(own_tables("en"))
    assert all(table.endswith("subject") for table in only_swedish)


def test_our_own_files_put_in_place_of_ours_change_nothing_that_is_sent(tmp_path: Path) -> None:
    for name, content in {**own_templates(), "sv.toml": own_words("sv"), "en.toml": own_words("en")}.items():
        (tmp_path / name).write_text(content, "utf-8")
    forms = ModelSettings().load().forms
    wording = wording_of(tmp_path, forms)
    for kind in (*samples.ROUNDS, "reminder"):
        letter = samples.letter_about(samples.round_of(kind), kind)
        assert render(replace(letter, wording=wording)) == render(letter)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_our_own_words_are_fit_themselves(tmp_path: Path, lang: str) -> None:
    words = own_words("sv" if lang == "sv" else "en")
    (tmp_path / f"{lang}.toml").write_text(words, "utf-8")
    assert wording_of(tmp_path, ModelSettings().load().forms).version


def test_forms_with_words_of_their_own_are_the_models() -> None:
    model: DialogueModel = ModelSettings().load()
    named = {table.split(".")[1] for lang in LANGUAGES for table in own_tables(lang) if table.startswith("form.")}
    assert named
    assert named <= set(model.forms)


UNFIT = [
    ("sv.toml", '[mail]\nasks = "{municipality} undrar"', "sv.toml:2: 'asks' lacks {recipient}. It must have"),
    ("sv.toml", '[mail]\n\nyou = "{vem}"', "sv.toml:3: 'you' has the unknown place {vem}. It has none"),
    ("en.toml", '[mail]\nask = "x"', "en.toml:2: no word 'ask' under [mail]. Did you mean asks"),
    ("sv.toml", '# x\n[male]\nasks = "x"', "sv.toml:2: no heading [male] of ours. Did you mean mail"),
    ("sv.toml", "[mail]\nasks = x", "sv.toml:2: no TOML"),
    ("sv.toml", "[mail]\nyou = 3", "sv.toml:2: mail.you is no text. Put it in quotes"),
    ("sv.toml", '[mail]\nasks = "{municipality.x} {recipient}"', "sv.toml:2: 'asks' has a brace alone or a place"),
    ("sv.toml", '[mail]\nyou = "{"', "sv.toml:2: 'you' has a brace alone"),
    (
        "sv.toml",
        '[sms]\nask = "{who}: {title}{at} – {by}: {link}"',
        "sv.toml:2: 'ask': outside the GSM alphabet: ['–']",
    ),
    ("sv.toml", f'[sms]\nask = "{"x" * 90}{{who}} {{title}}{{at}} {{by}}: {{link}}"', "Shorten it to 47"),
    (
        "sv.toml",
        '[form.frga.mail]\nyou = "er"',
        "sv.toml:1: no form of dialogue 'frga' in the model. Did you mean fraga?",
    ),
    ("mail.html.j2", MAIL_HTML.replace("{{ half.intro }}", "{{ half.intr }}"), "mail.html.j2:8: "),
    ("mail.html.j2", MAIL_HTML.replace("half.intro }}", "half.intro }"), "mail.html.j2:8: unexpected '}'. Correct it."),
    (
        "mail.html.j2",
        MAIL_HTML.replace("{{ half.intro }}", "{{ hlf }}"),
        "mail.html.j2:8: unknown 'hlf'. A template is",
    ),
    ("mail.html.j2", MAIL_HTML.replace("{{ half.intro }}", "<img src=x>"), "mail.html.j2:8: '<img' fetches or runs"),
    (
        "mail.html.j2",
        MAIL_HTML.replace("{{ line }}", ""),
        "mail.html.j2: half.why.lines is missing. Put {{ half.why.lines }}",
    ),
    ("mail.txt.j2", MAIL_TEXT.replace("{{ links.stop_url }}", ""), "mail.txt.j2: links.stop_url is missing."),
    ("mail.frga.txt.j2", MAIL_TEXT, "no form of dialogue 'frga' in the model. Did you mean fraga?"),
    ("digest.txt.j2", own_templates()["digest.txt.j2"].replace("{{ item.url }}", ""), "item.url is missing"),
    ("notice.txt.j2", own_templates()["notice.txt.j2"].replace("{{ url }}", ""), "notice.txt.j2: url is missing"),
    ("mail.txt", "x", "mail.txt: no such file of words or templates. Use one of"),
]


@pytest.mark.parametrize(("name", "content", "said"), UNFIT, ids=[said[:50] for _, _, said in UNFIT])
def test_what_is_unfit_stops_the_start_with_the_file_the_line_and_what_to_do(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(Fault) as caught:
        wording_of(tmp_path, FORMS)
    assert str(caught.value).startswith(f"NARDIALOG_NOTIFIER__TEMPLATES_FOLDER {tmp_path}/{name}")
    assert said in str(caught.value)


def test_a_folder_that_is_not_there_or_not_text_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="make it a folder"):
        wording_of(tmp_path / "none")
    (tmp_path / "sv.toml").write_bytes(b"\xff")
    with pytest.raises(Fault, match="save it as UTF-8"):
        wording_of(tmp_path)


def test_a_line_break_at_the_end_of_a_subject_is_taken_away(tmp_path: Path) -> None:
    """FC-040."""
    words = '[mail.subject]\nasks_by = """{title}: svara senast {day}\n"""\n'
    options = NotifierOptions.model_validate(
        {"templates_folder": folder_of(tmp_path, sv__toml=words), "token_key": "a" * 43 + "="}
    )
    round_ = samples.round_of("first")
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", samples.AT)
    company = Company.model_validate(COMPANY)
    mail = composer_for(options).compose(
        draft, round_, [Invitation.model_validate(INVITATION)], {company.workplace_id: company}
    )
    parsed = message_from_bytes(mail, policy=default)
    assert parsed["Subject"] == "Stockholmsvägen byggs om: svara senast 5 dec"
    assert parsed.defects == []


def test_the_version_is_of_the_content(tmp_path: Path) -> None:
    first = wording_of(folder_of(tmp_path, sv__toml='[mail]\nyou = "er"\n')).version
    assert wording_of(tmp_path).version == first
    assert wording_of(folder_of(tmp_path, sv__toml='[mail]\nyou = "eder"\n')).version != first
    assert len({STANDARD.version, first}) == 2
    assert len(first) <= 32
