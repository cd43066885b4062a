"""Many tasks: one after the other, at once, in order."""

import signal

from tests.misfortunes.stage import Stage, code_of, text_of


async def test_a_thousand_invokes_back_to_back_are_served_by_one_process(stage: Stage) -> None:
    agent = stage.agent(journal_tasks=False)
    pids = {await agent.answers_right(f"task {n}") for n in range(1000)}
    assert pids == set(agent.starts())
    assert len(pids) == 1
    row = await agent.row()
    assert (row["state"], row["tasks_done"], row["tasks_failed"]) == ("idle", 1000, 0)
    assert (row["restarts"], row["recycles"], row["queue_length"]) == (0, 0, 0)
    assert row["reset_by"] == "/clear"


async def test_sixteen_invokes_at_once_get_their_own_answers(stage: Stage) -> None:
    agent = stage.agent()
    for round_ in range(5):
        answers = [await agent.start(f"{round_}/{n}") for n in range(16)]
        for n, (_, answer) in enumerate(answers):
            assert text_of(await answer) == f"done 1: {round_}/{n}"
    assert len(agent.starts()) == 1


async def test_tasks_are_served_in_the_order_in_which_they_were_sent(stage: Stage) -> None:
    agent = stage.agent()
    for round_ in range(3):
        sent = [f"{round_}/{n}" for n in range(30)]
        answers = [await agent.start(task) for task in sent]
        for _, answer in answers:
            assert code_of(await answer) is None
        assert agent.tasks()[-30:] == sent


async def test_tasks_that_arrive_in_one_piece_are_served_in_order(stage: Stage) -> None:
    agent = stage.agent()
    await agent.pid()
    relay = stage.client.process
    # While it stands still they pile up before it.
    relay.send_signal(signal.SIGSTOP)
    answers = [(await agent.start(f"{n}"))[1] for n in range(30)]
    relay.send_signal(signal.SIGCONT)
    for n, answer in enumerate(answers):
        assert text_of(await answer) == f"done 1: {n}"
    assert agent.tasks() == [f"{n}" for n in range(30)]


async def test_many_agents_work_at_once(stage: Stage) -> None:
    agents = [stage.agent() for _ in range(8)]
    answers = [(agent, n, (await agent.start(f"{n}"))[1]) for n in range(10) for agent in agents]
    for agent, n, answer in answers:
        result = await answer
        assert text_of(result) == f"done 1: {n}"
        assert result["_meta"]["agent"] == agent.name
    assert [len(agent.starts()) for agent in agents] == [1] * 8
