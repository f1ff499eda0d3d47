"""`nardialog preview-message`: what a message would say. It stands above the services: the matcher says what round a
case leads to, and the notifier with which words it is written.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from services.runtime.terminal import OK, failed, usage

if TYPE_CHECKING:  # help must not wait for the services
    from schemas.model import DialogueModel
    from schemas.round import Round
    from services.notifier.settings import NotifierOptions
    from services.rendering.dates import Lang
    from services.rendering.previews import Asked, Kind

Change = Literal["moved", "cancelled", "withdrawn", "undone", "not_affected", "corrected"]


def preview_message(
    kind: Literal["first", "reminder", "digest", "feedback", "change", "notice"],
    /,
    *,
    shape: Literal["text", "html", "eml", "ics", "sms"] = "text",
    case: Path | None = None,
    form: str = "",
    lang: Literal["sv", "en"] = "sv",
    change: Change = "moved",
    notice: Literal["confirm", "magic_link", "receipt", "stopped"] = "receipt",
    output: Path | None = None,
) -> int:
    """Show what a message says, with the words and templates of the settings: about a sample case, or a given one.

    Nothing is sent, and no address is looked up: recipient, links and reasons are made up.

    Parameters
    ----------
    kind
        What kind of message.
    shape
        The mail's text, its HTML, the whole mail, its calendar file, or the SMS.
    case
        A case file; its first case is shown, as it would open today.
    form
        The form of dialogue, such as fraga or platsvandring; without it, what the model says of the case.
    lang
        The reader's language: of an SMS, and of a mail's subject. The mail itself has both.
    change
        Of a change: what happened.
    notice
        Of a notice: which.
    output
        Write to this file instead of stdout.
    """
    from services.notifier.settings import NotifierSettings
    from services.rendering.previews import preview
    from services.runtime.errors import Fault, Rejected
    from services.runtime.settings import load

    try:
        settings = load(NotifierSettings)
        options, model = settings.notifier, settings.model.load()
        if form and form not in model.forms:
            return usage(f"--form {form}: not in the model; use one of {', '.join(sorted(model.forms))}")
        round_ = _round(case, change if kind == "change" else kind, form, model)
        data = preview(asked_by(options, kind, round_, notice, lang=lang, forms=model.forms), shape)
    except (Fault, Rejected, OSError) as error:
        return failed(str(error))
    if data is None:
        return usage(f"--shape {shape}: this message has none")
    if output is not None:
        output.write_bytes(data)
        return OK
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return OK


def asked_by(
    options: "NotifierOptions",
    kind: "Kind",
    round_: "Round",
    notice: str = "receipt",
    *,
    lang: "Lang" = "sv",
    forms: Collection[str] = (),
) -> "Asked":
    """A preview by the settings. Raises `Fault` for words or templates of the municipality's that are unfit."""
    from services.notifier.own_words import wording_of
    from services.rendering.letter import Brand
    from services.rendering.previews import Asked
    from services.rendering.sms import Terms

    name = options.sender_name
    return Asked(
        kind=kind,
        round=round_,
        notice=notice,
        brand=Brand(name, name, options.privacy_contact or options.sender_email),
        from_address=options.sender_email,
        lang=lang,
        wording=wording_of(options.templates_folder, forms),
        portal=options.portal_url,
        unsubscribe_mailto=options.unsubscribe_mailto,
        terms=Terms(options.sms_parts, options.sms_two_way),
        rehearsal=bool(options.rehearsal),
    )


def _round(file: Path | None, kind: str, form: str, model: "DialogueModel") -> "Round":
    """The sample's round, or that which the first case of a file would open. Raises `Rejected`, `OSError`."""
    from services.rendering import samples

    sample = samples.round_of(kind, form)
    if file is None:
        return sample
    opened = _opened(file, model)
    told = {"purpose": sample.purpose, "change": sample.change} if kind in samples.ROUNDS and kind != "first" else {}
    texts = opened.texts.model_copy(update={"outcome": sample.texts.outcome, "correction": sample.texts.correction})
    plan = opened.plan and opened.plan.model_copy(update={"primary": form or opened.plan.primary})
    return opened.model_copy(update={**told, "texts": texts, "plan": plan})


def _opened(file: Path, model: "DialogueModel") -> "Round":
    from services.matcher.dialogue.working_days import local_day
    from services.matcher.door import read
    from services.matcher.rounds import derive
    from services.portal.case_files import pieces
    from services.rendering import samples
    from services.runtime.clock import SystemClock
    from services.runtime.errors import Rejected

    first = next(iter(pieces(str(file))), None)
    if first is None:
        raise Rejected("no_case", f"{file} holds no case")
    day = local_day(SystemClock().now())
    return derive(read(first.value, model), None, model, day, samples.round_of("first").basis, key=b"none").round
