"""Kill -9 in the middle of the work, of each process in turn: nothing lost, nothing doubled.

Here with 200 invitations a kind (1,000 with TESTS_EVERYTHING), two kills each, so that it fits into every test run. The
promise is stated for 5,000, and `python -m tests.faults` kills in the middle of so many; it takes some minutes a kind.
"""

import pytest

from tests.everything import RECIPIENTS
from tests.faults import several
from tests.faults.__main__ import KINDS, run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_process_loses_nothing_and_doubles_nothing(kind: str) -> None:
    result = await run(kind, seed=1, recipients=RECIPIENTS)
    print(result)
    assert result["injected"] == 2
    assert 0 < min(result["killed_at"]) < result["invitations"], "no kill came in the middle of the work"
    assert (result["lost"], result["doubled"], result["stuck"], result["unexpected"]) == (0, 0, 0, 0), result


async def test_two_of_each_killed_in_turn_while_partitions_move_lose_nothing_and_double_nothing() -> None:
    result = await several.run(seed=1, recipients=12, per_wave=6)
    print(result)
    assert result["injected"] == 4
    found = {name: result[name] for name in ("lost", "doubled", "stuck", "unexpected", "contradicted", "not_open")}
    assert found == dict.fromkeys(found, 0), result
