"""What may befall a task: each has one outcome, and the next task is served as if nothing was."""

import os
import signal
import uuid

import pytest
import trio

from tests.client import Client
from tests.product.stage import Stage, code_of, gone, lives, pid_of, text_of, words_of

FRESH = "context: 0 user texts: []"


@pytest.mark.parametrize("status", [400, 403])
async def test_an_error_of_the_api_is_told_and_the_process_kept(
    client: Client, steady: str, status: int
) -> None:
    failed = await client.call("invoke", agent=steady, task=f"[[error {status}]]")
    following = await client.call("invoke", agent=steady, task="[[context]]")

    assert code_of(failed) == "api_error"
    assert failed["_meta"]["api_error_status"] == status
    assert "the task asked for this error" in words_of(failed)
    assert text_of(following) == FRESH
    assert pid_of(failed) == pid_of(following)


async def test_a_killed_cli_ends_its_task_and_no_other(
    client: Client, agent: str, shared: Stage
) -> None:
    _, first = await client.start_call(
        "invoke", agent=agent, task=f"[[bash echo $$ > {agent}.pid; sleep 300]]"
    )
    command = await shared.pid(f"{agent}.pid")
    _, waiting = await client.start_call("invoke", agent=agent, task="[[context]]")
    (row,) = [
        row
        for row in (await client.call("list"))["structuredContent"]["agents"]
        if row["name"] == agent
    ]
    os.kill(row["pid"], signal.SIGKILL)
    crashed, following = await first, await waiting

    assert code_of(crashed) == "agent_crashed"
    assert "was killed by SIGKILL in the middle of this task" in words_of(crashed)
    assert "Bash: echo $$" in crashed["_meta"]["doing"]
    assert (crashed["_meta"]["exit_status"], pid_of(crashed)) == (-9, row["pid"])
    assert text_of(following) == FRESH
    assert pid_of(following) != row["pid"]
    assert not lives(command)


async def test_a_cli_killed_while_idle_costs_no_task(client: Client, agent: str) -> None:
    first = await client.call("invoke", agent=agent, task="hello")
    os.kill(pid_of(first), signal.SIGKILL)
    second = await client.call("invoke", agent=agent, task="hello")

    assert text_of(second) == "echo: hello"
    assert pid_of(second) != pid_of(first)


async def test_a_task_at_its_deadline_is_answered_at_once_and_its_process_used_again(
    client: Client, steady: str
) -> None:
    warm = (await client.call("warmup", agent=steady))["structuredContent"]
    late = await client.call("invoke", agent=steady, task="[[hang]] plugh", timeout_s=1)
    following = await client.call("invoke", agent=steady, task="[[context]]")

    assert code_of(late) == "deadline_exceeded"
    assert 1 <= late["_meta"]["duration_s"] < 5
    assert text_of(following) == FRESH
    assert pid_of(late) == pid_of(following) == warm["pid"]


async def test_what_a_late_task_would_have_answered_reaches_no_later_one(
    client: Client, steady: str
) -> None:
    await client.call("warmup", agent=steady)
    late = await client.call("invoke", agent=steady, task="[[sleep 2]] LATE", timeout_s=1)
    answers: list[str] = []
    with trio.move_on_after(2):
        while True:
            task = f"[[context]] [[say {len(answers)}]]"
            answers.append(text_of(await client.call("invoke", agent=steady, task=task)))

    assert code_of(late) == "deadline_exceeded"
    assert answers
    assert answers == [f"{FRESH}\n{number}" for number in range(len(answers))]


async def test_the_deadline_takes_a_running_command_with_it(
    client: Client, steady: str, shared: Stage
) -> None:
    key = uuid.uuid4().hex
    await client.call("warmup", agent=steady)
    late = await client.call(
        "invoke", agent=steady, task=f"[[bash echo $$ > {key}.pid; sleep 300]]", timeout_s=3
    )
    following = await client.call("invoke", agent=steady, task="[[context]]")

    assert code_of(late) == "deadline_exceeded"
    assert "Bash: echo $$" in words_of(late)
    assert text_of(following) == FRESH
    await gone(await shared.pid(f"{key}.pid"))


async def test_a_task_that_waits_in_the_queue_has_its_deadline_too(
    client: Client, steady: str, shared: Stage
) -> None:
    key = uuid.uuid4().hex
    number, _ = await client.start_call("invoke", agent=steady, task=f"[[hang]] {key}")
    await shared.request_for(f"[[hang]] {key}")
    late = await client.call("invoke", agent=steady, task=f"never sent {key}", timeout_s=0.5)
    await client.cancel(number)
    following = await client.call("invoke", agent=steady, task=f"sent {key}")

    assert code_of(late) == "deadline_exceeded"
    assert late["_meta"]["attempts"] == 0
    assert text_of(following) == f"echo: sent {key}"
    assert not [r for r in shared.api.tasks if f"never sent {key}" in r.task_texts()]


async def test_a_cancel_interrupts_the_agent_and_keeps_its_process(
    client: Client, agent: str, shared: Stage
) -> None:
    warm = (await client.call("warmup", agent=agent))["structuredContent"]
    number, _ = await client.start_call("invoke", agent=agent, task=f"[[hang]] {agent}")
    hanging = await shared.request_for(f"[[hang]] {agent}")
    await client.cancel(number)
    await shared.request(lambda request: request is hanging and request.disconnected)
    following = await client.call("invoke", agent=agent, task="[[context]]")

    assert text_of(following) == FRESH
    assert pid_of(following) == warm["pid"]
    assert shared.logged("task_ended", agent)[0]["outcome"] == "cancelled"


async def test_a_cancel_takes_a_running_command_with_it(
    client: Client, steady: str, shared: Stage
) -> None:
    key = uuid.uuid4().hex
    number, _ = await client.start_call(
        "invoke", agent=steady, task=f"[[bash echo $$ > {key}.pid; sleep 300]]"
    )
    command = await shared.pid(f"{key}.pid")
    await client.cancel(number)
    await gone(command)

    assert text_of(await client.call("invoke", agent=steady, task="[[context]]")) == FRESH


async def test_a_cancelled_task_in_the_queue_never_reaches_the_model(
    client: Client, steady: str, shared: Stage
) -> None:
    key = uuid.uuid4().hex
    first, _ = await client.start_call("invoke", agent=steady, task=f"[[hang]] {key}")
    await shared.request_for(f"[[hang]] {key}")
    second, _ = await client.start_call("invoke", agent=steady, task=f"never sent {key}")
    await client.cancel(second)
    await client.cancel(first)

    assert text_of(await client.call("invoke", agent=steady, task="hello")) == "echo: hello"
    assert not [r for r in shared.api.tasks if f"never sent {key}" in r.task_texts()]


async def test_a_task_whose_client_is_lost_runs_on_for_the_grace_and_is_cancelled_then(
    stage: Stage,
) -> None:
    stage.configure('[pool]\ndisconnect_grace = "2s"\n')
    async with stage.connect() as client:
        await client.start_call(
            "invoke", agent="worker", task="[[bash echo $$ > command; sleep 300]]"
        )
        command = await stage.pid("command")
        lost_at = trio.current_time()
        client.process.kill()
        await gone(command)
        ran_on_s = trio.current_time() - lost_at
    pool = stage.project.pool_pid()
    async with stage.connect() as client:
        following = await client.call("invoke", agent="worker", task="[[context]]")

    assert ran_on_s >= 2
    assert stage.logged("task_ended", "worker")[0]["outcome"] == "cancelled"
    assert text_of(following) == FRESH
    assert stage.project.pool_pid() == pool


async def test_a_task_whose_client_is_lost_may_still_end_by_itself(
    client: Client, steady: str, shared: Stage
) -> None:
    key = uuid.uuid4().hex
    async with shared.connect() as lost:
        await lost.start_call(
            "invoke",
            agent=steady,
            task=f"[[bash echo x > {key}.begun; sleep 1; echo y > {key}.done]]",
        )
        await shared.file(f"{key}.begun")
        lost.process.kill()
        await shared.file(f"{key}.done")

    assert text_of(await client.call("invoke", agent=steady, task="[[context]]")) == FRESH
    assert shared.logged("task_ended", steady)[-2]["outcome"] == "result"
