"""What a dialogue model's ids are called."""

from schemas.model import DialogueModel


class Names:
    """What case types, stages and forms are called, by either model."""

    def __init__(self, *models: DialogueModel) -> None:
        self._models = models

    def case_type(self, id_: str, lang: str) -> str:
        """A case type's name."""
        return next((str(getattr(t, lang)) for m in self._models if (t := m.case_type(id_))), id_)

    def stage(self, case_type: str, id_: str, lang: str) -> str:
        """A stage's name."""
        return next((str(getattr(s, lang)) for m in self._models if (s := m.stage(case_type, id_))), id_)

    def form(self, id_: str, lang: str) -> str:
        """A form's name."""
        return next((str(getattr(m.forms[id_], lang)) for m in self._models if id_ in m.forms), id_)
