"""The workplaces of a file as their canonical rows: a whole country's fit in memory beside what the topics hold.

A row is JSON and becomes a `Company` again where somebody asks for it; who only compares asks for the row.
"""

from collections.abc import Iterable, Iterator, Mapping

from schemas.company import Company
from services.matcher.workplaces import canonical, version_of


class Packed(Mapping[str, Company]):
    """Workplace id to workplace. All of them are made up, or none is: that is a word about the whole file."""

    def __init__(self, companies: Iterable[Company] = ()) -> None:
        self._rows: dict[str, bytes] = {}
        self.synthetic = False
        for company in companies:
            self.add(company)

    def add(self, company: Company) -> None:
        """Takes a workplace; its id is new."""
        self._rows[company.workplace_id] = canonical(company)
        self.synthetic = company.synthetic

    def row(self, workplace_id: str) -> bytes:
        """A workplace's canonical row."""
        return self._rows[workplace_id]

    def version(self) -> str:
        """The version of a register that is these workplaces and no others."""
        return version_of(self._rows[key] for key in sorted(self._rows))

    def drained(self) -> Iterator[Company]:
        """The workplaces, each let go of when it is given: for whoever makes something else of them all."""
        for workplace_id in list(self._rows):
            yield self._company(self._rows.pop(workplace_id))

    def __getitem__(self, workplace_id: str) -> Company:
        return self._company(self._rows[workplace_id])

    def _company(self, row: bytes) -> Company:
        company = Company.model_validate_json(row)
        return company.model_copy(update={"synthetic": True}) if self.synthetic else company

    def __contains__(self, workplace_id: object) -> bool:
        return workplace_id in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
