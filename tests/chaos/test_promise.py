"""Every accepted task has exactly one outcome, it is its own, and its caller can find it.

Random clients with random impatience hand tasks to agents that crash, hang, are killed, recycled
and reset, and the pool is killed in between. Afterwards the ledger is compared with what each
client saw.
"""

import os
import tempfile
from pathlib import Path

import trio
from hypothesis import HealthCheck, Phase, given, settings

from tests.chaos.acting import play
from tests.chaos.promise import broken, read
from tests.chaos.script import SCRIPTS, Step

RANDOM = int(os.environ.get("AGENT_POOL_PROMISE_SCRIPTS", "0"))
"""So many scripts, others each time; 0: a few, the same each time."""


# Not shrunk: it is a matter of time what comes of a script, and takes seconds.
@given(SCRIPTS)
@settings(
    max_examples=RANDOM or 4,
    derandomize=not RANDOM,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_promise_is_kept_whatever_happens(script: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        played = trio.run(play, Path(folder), script)
        wrong = broken(played, read(played.database))
    assert not wrong, "\n".join(["the promise was broken:", *wrong, "", *played.notes])
