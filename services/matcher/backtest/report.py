"""A comparison as tables for a terminal or another program, and in one sentence."""

from collections.abc import Callable, Iterable
from typing import Final

from services.matcher.backtest.comparison import Comparison, Pair
from services.matcher.backtest.differences import differences

Table = tuple[tuple[str, ...], Iterable[tuple[object, ...]]]


def _stages(compared: Comparison, most: int | None) -> Table:
    columns = (
        "case_type", "stage", "rounds", "p50_a", "p50_b", "p90_a", "p90_b", "invitations_a", "invitations_b", "gained",
        "dropped", "minutes_a", "minutes_b", "unexpected_a", "unexpected_b",
    )  # fmt: skip
    return columns, (
        (
            row.case_type, row.stage, row.rounds.b, *_both(row.p50), *_both(row.p90), *_both(row.invitations),
            row.gained, row.dropped, *_both(row.minutes), *_both(row.unexpected),
        )
        for row in compared.stages
    )  # fmt: skip


def _quarters(compared: Comparison, most: int | None) -> Table:
    columns = ("quarter", "minutes_a", "minutes_b", "p50_a", "p50_b", "p90_a", "p90_b", "over_a", "over_b")
    return columns, (
        (row.name, *_both(row.minutes), *_both(row.p50), *_both(row.p90), *_both(row.over_budget))
        for row in compared.by_quarter
    )


def _cases(compared: Comparison, most: int | None) -> Table:
    columns = (
        "case", "title", "case_type", "companies_a", "companies_b", "gained", "dropped", "minutes_a", "minutes_b",
    )  # fmt: skip
    return columns, (
        (
            row.case_id, row.title, row.case_type, *_both(row.companies), row.gained, row.dropped, *_both(row.minutes),
        )
        for row in compared.cases[:most]
    )  # fmt: skip


def _companies(compared: Comparison, most: int | None) -> Table:
    minutes = [f"{quarter.replace(' ', '')}_{side}" for quarter in compared.quarters for side in "ab"]
    columns = ("company", "invitations_a", "invitations_b", "gained", "dropped", *minutes, "over_a", "over_b")
    return columns, (
        (
            row.name or row.recipient_id, *_both(row.invitations), row.gained, row.dropped,
            *(figure for quarter in compared.quarters for figure in _both(row.minutes[quarter])),
            *(", ".join(name for name, over in row.over_budget.items() if over[side]) or None for side in (0, 1)),
        )
        for row in compared.companies(most)
    )  # fmt: skip


def _differences(compared: Comparison, most: int | None) -> Table:
    found = differences(compared.a.model, compared.b.model)
    return ("where", "what", "a", "b"), ((row.where, row.what, row.a, row.b) for row in found)


def _readable(table: Callable[[Comparison, int | None], Table]) -> Callable[[Comparison, int | None], Table]:
    """The same table with both figures in one column, as wide as a terminal is."""

    def joined(compared: Comparison, most: int | None) -> Table:
        columns, rows = table(compared, most)
        pairs = [i for i, name in enumerate(columns) if name.endswith("_a") and columns[i + 1] == f"{name[:-2]}_b"]
        names = [name[:-2] if i in pairs else name for i, name in enumerate(columns) if i - 1 not in pairs]

        def one(row: tuple[object, ...]) -> tuple[object, ...]:
            return tuple(
                _change(*row[i : i + 2]) if i in pairs else cell for i, cell in enumerate(row) if i - 1 not in pairs
            )

        return tuple(names), map(one, rows)

    return joined


def _change(a: object, b: object) -> str:
    was, now = (NONE if value is None else str(value) for value in (a, b))
    return was if was == now else f"{was} → {now}"


NONE: Final = "–"


TABLES: Final[dict[str, Callable[[Comparison, int | None], Table]]] = {
    "difference": _differences,
    "stage": _stages,
    "quarter": _quarters,
    "case": _cases,
    "company": _companies,
}
READABLE: Final = {name: _readable(table) for name, table in TABLES.items()}
TITLES: Final = {
    "difference": "What the models say differently",
    "stage": "Stages: how many companies a round reaches (p50: half of the rounds at most; p90: nine in ten)",
    "quarter": "Quarters: minutes of all companies, of one company, and how many are over budget",
    "case": "Cases that change most",
    "company": "Companies for which most changes; minutes by quarter; quarters over budget",
}


def summary(compared: Comparison) -> str:
    """The year in a few sentences."""
    t, a, b = compared.totals, compared.a, compared.b
    lines = [
        f"a: {a.name} ({a.model.model_version}), b: {b.name} ({b.model.model_version}); {t.rounds.b} rounds of "
        f"{len(compared.cases)} cases",
        f"invitations {t.invitations.a} → {t.invitations.b}; companies reached {t.companies.a} → {t.companies.b} "
        f"({t.gained} new, {t.dropped} gone); something changes for {compared.changed_companies}",
        f"minutes {t.minutes.a} → {t.minutes.b}; companies over budget {t.over_budget.a} → {t.over_budget.b}",
        "subscribers and those who answered earlier are not counted",
    ]
    if t.held.a or t.held.b:
        lines.append(f"held, and counted as if released: {t.held.a} → {t.held.b}")
    for run in (a, b):
        if run.refused:
            lines.append(f"{run.name}: {len(run.refused)} lines refused, the first: {run.refused[0]}")
    return "\n".join(lines)


def _both(pair: Pair) -> tuple[int, int]:
    return pair.a, pair.b
