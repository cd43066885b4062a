"""A storm of faults over a pool under load, and what is left of both afterwards.

The storm is settled by its seed: every task, what it makes its process do, who is killed and
stopped from outside, and after how many tasks. When a test fails, its output holds the seed,
the schedule and what came of it. Longer, with other seeds, or over another agent CLI:

    AGENT_POOL_CHAOS_INVOKES=5000 AGENT_POOL_CHAOS_SEEDS=7 python -m pytest tests/chaos
    AGENT_POOL_CHAOS_CLI="python my_stand_in.py" python -m pytest tests/chaos

| variable | means |
|---|---|
| `AGENT_POOL_CHAOS_SEEDS` | whole numbers with commas: one storm for each |
| `AGENT_POOL_CHAOS_INVOKES` | tasks of a storm, at least 40 |
| `AGENT_POOL_CHAOS_CLI` | another agent CLI, as `CLAUDE_CLI` takes it. Its answers have to hold \
their task's text. Only outside faults reach it, and the two lists below |
| `AGENT_POOL_CHAOS_COSTLY` | with it: beginnings of tasks that may cost the task its answer, with \
bars between them, such as `@exit=3\\|@hang` |
| `AGENT_POOL_CHAOS_HARMLESS` | the same, for what may not |

`test_promise.py` lets hypothesis make up what clients and faults do, kills the pool in between, and
compares the ledger with what each client saw. A few scripts, the same each time; or more, others
each time, about three seconds each:

    AGENT_POOL_PROMISE_SCRIPTS=200 python -m pytest tests/chaos/test_promise.py
"""
