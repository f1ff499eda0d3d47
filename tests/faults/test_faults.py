"""Kill -9 in the middle of sending: nothing lost, nothing doubled. `python -m tests.faults` does larger rounds."""

import pytest

from tests.faults.__main__ import run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["notifier"])
async def test_a_killed_process_loses_nothing_and_doubles_nothing(kind: str) -> None:
    result = await run(kind, seed=1, recipients=300)
    print(result)
    assert result["injected"] == 2
    assert (result["lost"], result["doubled"], result["stuck"], result["unexpected"]) == (0, 0, 0, 0), result
