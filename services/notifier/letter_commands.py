"""`nardialog letters`: letters on paper to those whom nothing else reaches. Heavy imports wait for the command."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from services.runtime.terminal import OK, PARTLY, say

letters = App(name="letters", help="Letters on paper to those whom nothing else reaches.")

_WHY = {
    "no_visiting_address": "the register has no visiting address",
    "suppressed": "they have said stop",
    "never_told": "the message that this changes never reached them",
    "older_round": "the round changes just now: export again in a moment",
}


@letters.command
async def export(
    case: str,
    /,
    *,
    format_: Annotated[list[Literal["csv", "pdf"]] | None, Parameter(name="--format", negative="")] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path(),
) -> int:
    """Write the letters of a case: a table (brev.csv) and a PDF for each. They then count as sent. Exit 6 if some of
    those who are not reachable have no letter.

    Exporting again gives the same letters, with those that have come since.

    Parameters
    ----------
    case
        The case's key, municipality/source/case id, or its id where only one case has it.
    format_
        csv or pdf; without it, both. PDF needs the extra `letters`.
    output
        The folder to write into; it is made where it is missing.
    """
    formats = set(format_ or ("csv", "pdf"))
    if "pdf" in formats:
        from services.rendering.printing import pdf
    from services.notifier.composer import composer_for
    from services.notifier.ledger.events import Outbox, Topics
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.letter_files import file_name, table
    from services.notifier.letters import Letters
    from services.notifier.settings import NotifierSettings
    from services.runtime.clock import SystemClock
    from services.runtime.records import Unpublished
    from services.runtime.settings import load

    settings = load(NotifierSettings)
    options = settings.notifier
    output.mkdir(parents=True, exist_ok=True)
    async with opened_ledger() as database:
        made = await Letters(
            database,
            Outbox(database, Unpublished(), Topics.of(settings.kafka)),
            composer_for(options, settings.model.load().forms),
            options.vault(),
            SystemClock(),
            index_key=options.key("index_key"),
            rehearsal=bool(options.rehearsal),
        ).export(case)
    if "csv" in formats:
        (output / "brev.csv").write_bytes(table(made.letters))
    for letter in made.letters if "pdf" in formats else ():
        (output / file_name(letter)).write_bytes(pdf(letter.paper, letter.at))
    fresh = sum(letter.fresh for letter in made.letters)
    say(f"{len(made.letters)} letters in {output}, {fresh} of them new; a new one counts as sent")
    for reason, count in sorted(made.left_out.items()):
        say(f"{count} without a letter: {_WHY[reason]}")
    return PARTLY if made.left_out else OK
