"""The sample messages of every kind as they are read: `python -m tests.golden_messages` writes them to tests/golden.

A change of words, templates or layout shows there as a difference to look at.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from services.rendering import samples
from services.rendering.previews import Asked, Kind, Shape, preview
from services.rendering.wording import LANGUAGES

FOLDER: Final = Path(__file__).with_name("golden")
_ENDINGS: Final[dict[Shape, str]] = {"text": "txt", "html": "html", "ics": "ics", "sms": "sms"}
_HTML: Final = ("first", "reminder", "digest", "feedback", "notice-receipt")
"""Those whose HTML is kept too: the others are made by the same templates."""
_FORMS: Final = ("platsvandring", "rundabord", "foretagsbesok")


def messages() -> Iterator[tuple[str, bytes]]:
    """Names of files and what stands in them."""
    for name, asked in _asked():
        for shape, ending in _ENDINGS.items():
            if shape == "html" and name not in _HTML:
                continue
            for lang in LANGUAGES if shape == "sms" else LANGUAGES[:1]:
                found = preview(Asked(asked.kind, asked.round, asked.notice, lang=lang), shape)
                if found is not None:
                    yield f"{name}.{lang}.sms" if shape == "sms" else f"{name}.{ending}", found


def pages() -> Iterator[tuple[str, str]]:
    """The HTML of every sample mail, kept or not."""
    for name, asked in _asked():
        found = preview(Asked(asked.kind, asked.round, asked.notice), "html")
        if found is not None:
            yield name, found.decode()


def _asked() -> Iterator[tuple[str, Asked]]:
    for kind in samples.ROUNDS:
        yield kind, Asked(_kind(kind), samples.round_of(kind))
    for form in _FORMS:
        yield f"meeting-{form}", Asked("first", samples.round_of("meeting", form))
    for kind in ("reminder", "digest"):
        yield kind, Asked(_kind(kind), samples.round_of("first"))
    for notice in samples.NOTICES:
        yield f"notice-{notice}", Asked("notice", samples.round_of("first"), notice)


def _kind(name: str) -> Kind:
    """What a sample is: the rest are first messages or changes, which are rendered alike."""
    return next((kind for kind in get_args(Kind) if kind == name), "first")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.iterdir():
        file.unlink()
    for name, content in messages():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
