"""Kill -9 in the middle of 5,000 invitations: nothing lost, nothing doubled. Also `python -m tests.faults`."""

import pytest

from tests.faults.__main__ import KINDS, run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_process_loses_nothing_and_doubles_nothing(kind: str) -> None:
    result = await run(kind, seed=1)
    print(result)
    assert result["injected"] == 2
    assert (
        result["lost"],
        result["doubled"],
        result["stuck"],
        result["unexpected"],
    ) == (0, 0, 0, 0), result
