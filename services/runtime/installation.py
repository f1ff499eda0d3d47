"""Settings that all services of an installation share: whose keys, which dialogue model."""

from pathlib import Path
from typing import Final

from pydantic import ConfigDict, SecretStr

from schemas import model as dialogue_model
from schemas.identity import DEMO_RECIPIENT_KEY
from schemas.model import DialogueModel
from services.runtime.errors import Fault
from services.runtime.sealing import Seal, decode_key
from services.runtime.settings import Section

KEY_LENGTH: Final = 16


class InstallationSettings(Section):
    """NARDIALOG_INSTALLATION__…; each service reads the fields that it needs."""

    recipient_key: SecretStr | None = None
    """Makes recipient ids. It is never rotated: with another key everybody is a stranger."""
    seal_key_version: str = "k1"
    """Which of the notifier's private keys opens what is sealed to the public key."""
    seal_public_key: str | None = None
    """The notifier's public key, base64: contacts are sealed to it."""

    def key(self) -> bytes:
        """The key of recipient ids. Raises `Fault` where there is none or it is too short."""
        text = self.recipient_key.get_secret_value() if self.recipient_key else ""
        if len(text) < KEY_LENGTH:
            raise Fault(
                f"set NARDIALOG_INSTALLATION__RECIPIENT_KEY to a secret of {KEY_LENGTH} characters or more, "
                "once, and keep it"
            )
        return text.encode()

    def key_or_demo(self) -> bytes:
        """The same, or the published demo key where none is set."""
        return DEMO_RECIPIENT_KEY if self.recipient_key is None else self.key()

    def seal(self) -> Seal | None:
        """What contacts are sealed with, or None where no public key is set."""
        if self.seal_public_key is None:
            return None
        key = decode_key(self.seal_public_key, "NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY")
        return Seal(self.seal_key_version, key)


class ModelSettings(Section):
    """NARDIALOG_MODEL__…: the dialogue model, the same file for every service."""

    file: Path | None = None
    """The dialogue model; without one, the proposal that comes with the product."""

    def read(self) -> bytes:
        """The dialogue model's file as it is."""
        return self.file.read_bytes() if self.file is not None else dialogue_model.default_file()

    def load(self) -> DialogueModel:
        """The dialogue model. Raises `Fault` where the file cannot be read."""
        if self.file is None:
            return dialogue_model.default()
        try:
            return dialogue_model.load(self.file)
        except (OSError, ValueError) as error:
            raise Fault(f"the dialogue model {self.file} cannot be read: {error}") from None


class PlaceOptions(Section):
    """NARDIALOG_MATCHER__…, as far as every door for cases shares it with the matcher's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    allow_outside_sweden: bool = False
    """Geometries may lie anywhere, and outside their municipality."""
