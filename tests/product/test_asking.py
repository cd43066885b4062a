"""`permission_mode = "ask"` with the real CLI: what it asks for is put to who called."""

from tests.product.stage import Stage, text_of


async def test_bash_is_asked_for_allowed_once_and_denied_the_next_time(stage: Stage) -> None:
    stage.write_agent("asker", "permissionMode: ask")
    async with stage.project.connect_asking(**stage.variables()) as client:
        _, first = await client.start_call("invoke", agent="asker", task="[[bash touch made-1]]")
        question = await client.question()
        assert "  | touch made-1" in question["params"]["message"].split("\n")
        await client.answer(question, answer="allow once")
        assert "Refused" not in text_of(await first)
        assert (stage.project.folder / "made-1").exists()

        _, second = await client.start_call("invoke", agent="asker", task="[[bash touch made-2]]")
        await client.answer(await client.question(1), answer="deny")
        last = text_of(await second).splitlines()[-1]
        assert "Refused: Bash (touch made-2): the user was asked, and denied it" in last
        assert not (stage.project.folder / "made-2").exists()


async def test_what_is_allowed_for_one_task_is_asked_for_in_the_next(stage: Stage) -> None:
    stage.write_agent("asker", "permissionMode: ask")
    twice = "[[bash touch {0}-a]] [[bash touch {0}-b]]"
    async with stage.project.connect_asking(**stage.variables()) as client:
        _, first = await client.start_call("invoke", agent="asker", task=twice.format(1))
        await client.answer(await client.question(), answer="allow for this task")
        text_of(await first)
        _, second = await client.start_call("invoke", agent="asker", task=twice.format(2))
        await client.answer(await client.question(1), answer="allow for this task")
        text_of(await second)

    assert len(client.questions) == 2
    made = {path.name for path in stage.project.folder.iterdir() if path.name[0] in "12"}
    assert made == {"1-a", "1-b", "2-a", "2-b"}


async def test_a_task_that_is_cancelled_while_it_asks_leaves_an_agent_that_works(
    stage: Stage,
) -> None:
    stage.write_agent("asker", "permissionMode: ask")
    async with stage.project.connect_asking(**stage.variables()) as client:
        number, _ = await client.start_call("invoke", agent="asker", task="[[bash touch made]]")
        await client.question()
        pid = (await client.agent("asker"))["pid"]
        await client.cancel(number)

        assert text_of(await client.call("invoke", agent="asker", task="[[context]]")) == (
            "context: 0 user texts: []"
        )
        assert (await client.agent("asker"))["pid"] == pid
    assert not (stage.project.folder / "made").exists()


async def test_a_rule_is_not_asked_for_and_nobody_to_ask_is_a_denial(stage: Stage) -> None:
    stage.write_agent("asker", "permissionMode: ask", "tools: Write(*), Bash")
    write = '[[tool Write {"file_path": "written", "content": "x"}]]'
    async with stage.connect() as client:
        text_of(await client.call("invoke", agent="asker", task=write))
        denied = text_of(await client.call("invoke", agent="asker", task="[[bash touch made]]"))

    assert (stage.project.folder / "written").exists()
    assert "nobody to ask: the client that called shows no questions" in denied
