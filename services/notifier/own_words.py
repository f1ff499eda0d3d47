"""The folder with a municipality's own words and templates, read and tried when the notifier starts."""

from collections.abc import Collection
from pathlib import Path

from services.rendering.wording import STANDARD, Wording
from services.rendering.wording.checking import Unfit, overriding
from services.runtime.errors import Fault

_SETTING = "NARDIALOG_NOTIFIER__TEMPLATES_FOLDER"


def wording_of(folder: Path | None, forms: Collection[str] = ()) -> Wording:
    """The words to write with; `forms` are the model's forms of dialogue. Raises `Fault` for what cannot be used, which
    names the file, the line and what to do: it is found out here, never when a message is to leave.
    """
    if folder is None:
        return STANDARD
    try:
        files = {path.name: path.read_text("utf-8") for path in sorted(folder.iterdir()) if path.name[0] != "."}
    except UnicodeDecodeError as error:
        raise Fault(f"{_SETTING} {folder}: a file is not UTF-8 ({error.reason}); save it as UTF-8") from None
    except OSError as error:
        raise Fault(f"{_SETTING} {folder}: {error.strerror}; make it a folder of files that can be read") from None
    try:
        return overriding(files, forms)
    except Unfit as error:
        raise Fault(f"{_SETTING} {folder}/{error}") from None
