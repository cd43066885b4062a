"""Claude Code goes, or changes its mind, in the middle of a task."""

import os
import signal

import pytest

from tests.claudecode.stage import BY_CONFIG, Claude, Stage, eventually, invoke, lives
from tests.client import LIMIT_S


def in_mid_task(stage: Stage, claude: Claude, agent: str, task: str) -> int:
    """Give an agent a task by way of Claude Code, and wait until the model has it; the pid."""
    claude.give(invoke(agent, task))
    stage.await_request(task)
    return claude.pid


def end(claude: Claude, pid: int, number: signal.Signals) -> None:
    """End Claude Code, and wait until it has gone."""
    os.kill(pid, number)
    claude.wait()
    assert not lives(pid)


def test_an_interrupt_cancels_the_task_and_stops_the_agent(shared: Stage, agent: str) -> None:
    task = f"[[hang]] {agent}"

    with shared.claude(*BY_CONFIG) as claude:
        in_mid_task(shared, claude, agent, task)
        claude.ask("interrupt")
        assert claude.result()["subtype"] == "error_during_execution"

        (ended,) = shared.logged("task_ended", agent=agent)
        shared.api.wait_for_request(
            lambda r: r.last_user_text() == task and r.disconnected, LIMIT_S
        )
    assert ended["outcome"] == "cancelled"


def test_after_an_interrupt_the_same_process_answers_the_next_task(
    shared: Stage, agent: str
) -> None:
    with shared.claude(*BY_CONFIG) as claude:
        in_mid_task(shared, claude, agent, f"[[hang]] {agent}")
        claude.ask("interrupt")
        claude.result()
        result = claude.task(invoke(agent, "[[context]]"))

    assert result["result"] == "tool: context: 0 user texts: []"
    first, second = shared.logged("task_started", 2, agent=agent)
    assert first["pid"] == second["pid"]


# A killed client closes the relay's stdin; one that ends in order kills the relay.
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_task_whose_claude_code_has_gone_is_cancelled_after_the_grace(
    stage: Stage, number: signal.Signals
) -> None:
    with stage.claude(*BY_CONFIG) as claude:
        pid = in_mid_task(stage, claude, "worker", "[[hang]]")
        end(claude, pid, number)

    (ended,) = stage.logged("task_ended")
    assert ended["outcome"] == "cancelled"
    assert ended["ran_s"] >= 1, "it was not left the grace"


def test_a_task_whose_claude_code_was_killed_runs_on_within_the_grace(
    shared: Stage, agent: str
) -> None:
    with shared.claude(*BY_CONFIG) as claude:
        pid = in_mid_task(shared, claude, agent, f"[[sleep 1]] {agent}")
        end(claude, pid, signal.SIGKILL)

    (ended,) = shared.logged("task_ended", agent=agent)
    assert ended["outcome"] == "result"


def test_closed_in_mid_task_it_still_ends_its_turn_with_the_answer(
    shared: Stage, agent: str
) -> None:
    with shared.claude(*BY_CONFIG) as claude:
        in_mid_task(shared, claude, agent, f"[[sleep 1]] {agent}")
        status = claude.close()

        assert claude.result()["result"] == f"tool: echo: {agent}"
    assert status == 0


def test_one_that_is_killed_in_mid_task_harms_no_other(shared: Stage, agent: str) -> None:
    with shared.claude(*BY_CONFIG) as killed, shared.claude(*BY_CONFIG) as other:
        pid = in_mid_task(shared, killed, agent, f"[[hang]] {agent}")
        pool = shared.project.pool_pid()
        other.give(invoke("worker", "[[sleep 1]][[say unharmed]]"))
        shared.await_request("[[sleep 1]][[say unharmed]]")
        end(killed, pid, signal.SIGKILL)

        assert other.result()["result"] == "tool: unharmed"
        assert other.task(invoke("worker", "[[say again]]"))["result"] == "tool: again"
    assert shared.project.pool_pid() == pool


def test_a_pool_that_is_stopped_after_a_kill_in_mid_task_leaves_no_process(stage: Stage) -> None:
    with stage.claude(*BY_CONFIG) as claude:
        pid = in_mid_task(stage, claude, "worker", "[[bash sleep 1000]]")
        eventually(lambda: "sleep 1000" in stage.commands(), "the command of the agent")
        end(claude, pid, signal.SIGKILL)

        assert stage.run("stop").returncode == 0
        assert stage.commands() == []
