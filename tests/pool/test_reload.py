"""Hot reload: what is written into the files of a running pool holds, if it is right."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.client import LIMIT_S, POLL_S, Client, Project, open_project, until


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    async with open_project(tmp_path) as project:
        for name in ("one", "two"):
            project.write_agent(name, f"You are {name.upper()}.", "tools: Bash")
        yield project


async def say(client: Client, agent: str, task: str = "[[say done]]") -> str:
    answer = await client.call("invoke", agent=agent, task=task)
    assert not answer.get("isError"), answer
    return text_of(answer)


def text_of(answer: dict[str, Any]) -> str:
    """Without what the rehearsal agent tells of a command that it has run before."""
    text: str = answer["content"][0]["text"]
    return text.rpartition("no output)\n")[2]


async def warm(client: Client, agent: str) -> int:
    answer = await client.call("warmup", agent=agent)
    assert not answer.get("isError"), answer
    pid: int = answer["structuredContent"]["pid"]
    return pid


def pid_in(row: dict[str, Any] | None) -> int | None:
    return None if row is None else row["pid"]


def logged(project: Project, event: str) -> list[dict[str, Any]]:
    return [line for line in project.log_lines() if line["event"] == event]


async def until_reloaded(project: Project, word: str) -> None:
    """Nobody calls the pool: it is the watch that notices."""
    await until(
        lambda: any(word in str(one) for one in logged(project, "configuration_reloaded")),
        f"a reload that tells of {word}",
    )


async def until_row(
    client: Client, agent: str, fits: Callable[[dict[str, Any] | None], bool]
) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if fits((await client.agents()).get(agent)):
                return
            await trio.sleep(POLL_S)


# definitions


async def test_a_new_agent_appears_without_a_call(project: Project) -> None:
    async with project.connect() as client:
        await client.call("list")
        project.write_agent("three", "You are THREE.")
        await until_reloaded(project, "agent three: new")
        assert await say(client, "three") == "done"


async def test_an_idle_process_is_replaced_as_soon_as_its_prompt_is_another(
    project: Project,
) -> None:
    async with project.connect() as client:
        old, other = await warm(client, "one"), await warm(client, "two")
        project.write_agent("one", "You are SOMEBODY ELSE.", "tools: Bash")
        await until_row(
            client, "one", lambda row: row is not None and row["pid"] not in (None, old)
        )

        assert await say(client, "one", "[[system]]") == "You are SOMEBODY ELSE."
        assert (await client.agent("two"))["pid"] == other
        assert (await client.agent("one"))["recycles"] == 1


async def test_a_task_in_hand_ends_in_the_role_in_which_it_began(project: Project) -> None:
    async with project.connect() as client:
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[system]]"
        _, running = await client.start_call("invoke", agent="one", task=task)
        await until(lambda: logged(project, "task_started"), "the task runs")
        project.write_agent("one", "You are NEW.", "tools: Bash")
        await until_reloaded(project, "agent one")
        gate.touch()

        assert text_of(await running) == "You are ONE."
        assert await say(client, "one", "[[system]]") == "You are NEW."


async def test_a_wrong_edit_leaves_its_agent_as_it_was_and_says_so(project: Project) -> None:
    async with project.connect() as client:
        pid = await warm(client, "one")
        path = project.write_agent("one", "You are WRONG.", "tools: [Bash")
        await until(lambda: logged(project, "configuration_refused"), "it is refused")

        listed = (await client.call("list"))["structuredContent"]
        assert f"{path.resolve()}:4: tools" in listed["refused"][0]
        assert await say(client, "one", "[[system]]") == "You are ONE."
        assert (await client.agent("one"))["pid"] == pid
        messages = [n for n in client.notifications if n["method"] == "notifications/message"]
        assert str(path.resolve()) in str(messages[-1]["params"]["data"])

        project.write_agent("one", "You are MENDED.", "tools: Bash")
        assert await say(client, "one", "[[system]]") == "You are MENDED."
        assert (await client.call("list"))["structuredContent"]["refused"] == []


async def test_an_edit_by_rename_counts_as_any_other(project: Project) -> None:
    async with project.connect() as client:
        await warm(client, "one")
        path = project.folder / ".claude" / "agents" / "one.md"
        new = path.with_suffix(".tmp")
        new.write_text(path.read_text().replace("ONE", "RENAMED"))
        new.replace(path)
        await until_reloaded(project, "agent one")
        assert await say(client, "one", "[[system]]") == "You are RENAMED."


async def test_a_file_that_is_being_written_is_not_read_before_it_is_whole(
    project: Project,
) -> None:
    async with project.connect() as client:
        await warm(client, "one")
        path = project.folder / ".claude" / "agents" / "one.md"
        whole = path.read_text().replace("ONE", "WHOLE")
        with path.open("w") as file:
            for character in whole:
                file.write(character)
                file.flush()
                await trio.sleep(0.001)
        await until_reloaded(project, "agent one")
        assert not logged(project, "configuration_refused")
        assert len(logged(project, "configuration_reloaded")) == 1


async def test_a_removed_agent_serves_what_it_has_accepted_and_goes(project: Project) -> None:
    async with project.connect() as client:
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[say first]]"
        _, first = await client.start_call("invoke", agent="one", task=task)
        _, second = await client.start_call("invoke", agent="one", task="[[say second]]")
        await until(lambda: logged(project, "task_started"), "the task runs")
        (project.folder / ".claude" / "agents" / "one.md").unlink()
        await until_reloaded(project, "agent one: removed")

        refused = await client.call("invoke", agent="one", task="x")
        assert refused["_meta"]["code"] == "unknown_agent"
        assert "was removed" in text_of(refused)
        gate.touch()
        assert text_of(await first) == "first"
        assert text_of(await second) == "second"
        await until_row(client, "one", lambda row: row is None)
        tree = (await client.call("tree"))["structuredContent"]["tree"]
        assert not [row for row in tree if row["name"].startswith("one")]


async def test_an_agent_that_comes_back_while_it_goes_stays(project: Project) -> None:
    async with project.connect() as client:
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[say first]]"
        _, first = await client.start_call("invoke", agent="one", task=task)
        await until(lambda: logged(project, "task_started"), "the task runs")
        path = project.folder / ".claude" / "agents" / "one.md"
        text = path.read_text()
        path.unlink()
        await until_reloaded(project, "agent one: removed")
        path.write_text(text)
        _, second = await client.start_call("invoke", agent="one", task="[[say second]]")
        await until_reloaded(project, "agent one: new")
        gate.touch()
        assert [text_of(await first), text_of(await second)] == ["first", "second"]
        assert await say(client, "one") == "done"


async def test_clients_are_told_when_there_are_other_agents(project: Project) -> None:
    async with project.connect() as client:
        assert client.server["capabilities"]["tools"]["listChanged"]
        await client.call("list")
        project.write_agent("three")
        await until(
            lambda: [
                n for n in client.notifications
                if n["method"] == "notifications/tools/list_changed"
            ],
            "the notification",
        )  # fmt: skip


async def test_a_client_that_wants_no_errors_hears_of_none(project: Project) -> None:
    async with project.connect() as client:
        await client.request("logging/setLevel", {"level": "emergency"})
        await warm(client, "one")
        project.write_agent("one", "You are WRONG.", "tools: [Bash")
        await until(lambda: logged(project, "configuration_refused"), "it is refused")
        project.write_agent("three")
        await until(
            lambda: any("list_changed" in one["method"] for one in client.notifications),
            "a later notification",
        )
        assert "notifications/message" not in [one["method"] for one in client.notifications]


async def test_a_skill_that_becomes_wrong_leaves_its_agents_as_they_were(project: Project) -> None:
    skill = project.folder / ".claude" / "skills" / "plain" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: plain\ndescription: Plain words.\n---\nUse plain words.\n")
    project.write_agent("one", "You are ONE.", "tools: Bash", "skills: [plain]")
    async with project.connect() as client:
        before = await say(client, "one", "[[system]]")
        assert "Use plain words." in before
        skill.write_text("---\nname: plain\ndescription: It is never closed.\n")
        assert await say(client, "one", "[[system]]") == before
        skill.write_text("---\nname: plain\ndescription: Plain words.\n---\nUse short words.\n")
        assert "Use short words." in await say(client, "one", "[[system]]")


# pool.toml


async def test_a_wrong_pool_toml_changes_nothing_and_says_so(project: Project) -> None:
    project.write_config("[agents.one]\nqueue_limit = 7\n")
    async with project.connect() as client:
        pid = await warm(client, "one")
        path = project.write_config("[agents.one]\nqueue_limt = 7\n")
        await until(lambda: logged(project, "configuration_refused"), "it is refused")
        listed = (await client.call("list"))["structuredContent"]
        assert f"{path}:2" in listed["refused"][0]
        assert await say(client, "one") == "done"
        assert (await client.agent("one"))["pid"] == pid
        status = await project.run("status")
        assert status.returncode == 0
        assert f"{path}:2" in status.stdout


async def test_a_pool_toml_that_is_deleted_leaves_the_defaults(project: Project) -> None:
    path = project.write_config("[agents.one]\nreplicas = 3\n")
    async with project.connect() as client:
        await warm(client, "one")
        assert len((await client.agent("one"))["workers"]) == 3
        path.unlink()
        await until_row(client, "one", lambda row: row is not None and len(row["workers"]) == 1)
        assert await say(client, "one") == "done"


async def test_limits_hold_at_once_and_replace_no_process(project: Project) -> None:
    project.write_config("[agents.one]\nqueue_limit = 9\n")
    async with project.connect() as client:
        pid = await warm(client, "one")
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[say first]]"
        _, first = await client.start_call("invoke", agent="one", task=task)
        await until(lambda: logged(project, "task_started"), "the task runs")
        project.write_config("[agents.one]\nqueue_limit = 1\n")
        _, second = await client.start_call("invoke", agent="one", task="[[say second]]")
        refused = await client.call("invoke", agent="one", task="[[say third]]")
        gate.touch()
        assert refused["_meta"]["code"] == "queue_full"
        assert [text_of(await first), text_of(await second)] == ["first", "second"]
        assert (await client.agent("one"))["pid"] == pid


async def test_more_replicas_serve_what_waits_already(project: Project) -> None:
    async with project.connect() as client:
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[say first]]"
        _, first = await client.start_call("invoke", agent="one", task=task)
        await until(lambda: logged(project, "task_started"), "the task runs")
        _, second = await client.start_call("invoke", agent="one", task="[[say second]]")
        project.write_config("[agents.one]\nreplicas = 2\n")
        assert text_of(await second) == "second"
        gate.touch()
        assert text_of(await first) == "first"


async def test_a_process_that_is_to_be_there_always_is_started_at_once(project: Project) -> None:
    async with project.connect() as client:
        await warm(client, "two")
        assert await say(client, "one") == "done"
        await client.call("reset", agent="one")
        project.write_config("[agents.one]\nmin_replicas = 1\n")
        await until_row(client, "one", lambda row: row is not None and row["pid"] is not None)


async def test_the_level_of_the_log_is_another_at_once(project: Project) -> None:
    async with project.connect() as client:
        await say(client, "one")
        assert not logged(project, "task_queued")
        project.write_config('[logs]\nlevel = "debug"\n')
        await say(client, "one")
        assert len(logged(project, "task_queued")) == 1


async def test_what_could_not_be_started_is_refused_by_its_place(project: Project) -> None:
    async with project.connect() as client:
        await say(client, "one")
        path = project.write_config('[agents.one]\nworking_directory = "nowhere"\n')
        assert await say(client, "one") == "done"
        (line,) = (await client.call("list"))["structuredContent"]["refused"]
        assert line.startswith(f"{path}:2: agents.one.working_directory: ")


async def test_what_could_not_be_started_holds_with_the_call_after_it_can(
    project: Project,
) -> None:
    async with project.connect() as client:
        project.write_config('[agents.one]\nworking_directory = "later"\n')
        assert (await client.call("list"))["structuredContent"]["refused"]
        folder = project.folder / "later"
        folder.mkdir()
        assert str(folder.resolve()) in await say(client, "one", "[[bash pwd]]")
        assert (await client.call("list"))["structuredContent"]["refused"] == []


async def test_another_place_for_the_state_needs_a_new_pool_and_says_so(project: Project) -> None:
    async with project.connect() as client:
        await say(client, "one")
        place = project.place
        project.write_config(f'[pool]\nstate_folder = "{project.home}/elsewhere"\n')
        record = (await client.call("reload"))["structuredContent"]
        assert "agent-pool stop" in record["needs_restart"][0]
        assert place.holder() is not None
        project.write_config("")


async def test_a_permission_mode_of_pool_toml_replaces_processes(project: Project) -> None:
    async with project.connect() as client:
        old = await warm(client, "one")
        project.write_config('[agents.one]\npermission_mode = "plan"\n')
        await until_row(
            client, "one", lambda row: row is not None and row["pid"] not in (None, old)
        )


async def test_what_a_project_may_not_say_is_left_out_at_a_reload_as_well(
    project: Project,
) -> None:
    async with project.connect() as client:
        await warm(client, "one")
        own = project.folder / ".claude" / "pool.toml"
        own.write_text('[defaults.agent]\ncommand = "/bin/false"\nqueue_limit = 3\n')
        await until_reloaded(project, "queue_limit")
        listed = (await client.call("list"))["structuredContent"]
        assert "agent-pool trust" in listed["warnings"][0]
        assert "command" not in str(logged(project, "configuration_reloaded"))


# supervisors


async def test_an_agent_with_tasks_moves_into_a_group_and_loses_none(project: Project) -> None:
    async with project.connect() as client:
        gate = project.folder / "gate"
        task = f"[[bash until [ -e {gate} ]; do sleep 0.02; done]][[say first]]"
        _, first = await client.start_call("invoke", agent="one", task=task)
        await until(lambda: logged(project, "task_started"), "the task runs")
        waiting = [
            (await client.start_call("invoke", agent="one", task=f"[[say {number}]]"))[1]
            for number in range(5)
        ]
        project.write_config(
            '[supervisors.team]\nstrategy = "one_for_all"\n[agents.one]\nsupervisor = "team"\n'
        )
        await until_reloaded(project, "supervisors.team")
        paths = await tree_paths(client)
        assert "root/agents/group:team/one#0" in paths
        assert "root/agents/one/one#0" in paths, "the task in hand is there still"
        gate.touch()
        assert text_of(await first) == "first"
        assert [text_of(await one) for one in waiting] == list("01234")
        await until_path_gone(client, "root/agents/one")


async def test_a_changed_supervisor_is_a_new_one_for_those_that_are_down(
    project: Project,
) -> None:
    project.write_config(
        '[supervisors.team]\nintensity = 0\ncool_down = "1h"\n'
        '[agents.one]\nsupervisor = "team"\n[agents.two]\nsupervisor = "team"\n'
    )
    async with project.connect() as client:
        os.kill(await warm(client, "one"), 9)
        await until_row(client, "two", lambda row: row is not None and row["state"] == "down")
        project.write_config(
            '[supervisors.team]\nintensity = 9\ncool_down = "1h"\n'
            '[agents.one]\nsupervisor = "team"\n[agents.two]\nsupervisor = "team"\n'
        )
        for agent in ("one", "two"):
            assert await say(client, agent) == "done"


async def test_groups_that_move_into_another_take_their_agents_along(project: Project) -> None:
    project.write_config('[supervisors.inner]\n[agents.one]\nsupervisor = "inner"\n')
    async with project.connect() as client:
        await warm(client, "one")
        project.write_config(
            '[supervisors.outer]\n[supervisors.inner]\nparent = "outer"\n'
            '[agents.one]\nsupervisor = "inner"\n'
        )
        await until_reloaded(project, "supervisors.outer")
        assert await say(client, "one") == "done"
        await until_path_gone(client, "root/agents/group:inner")
        paths = await tree_paths(client)
        assert [path for path in paths if path.endswith("one#0")] == [
            "root/agents/group:outer/group:inner (2)/one#0"
        ]


async def tree_paths(client: Client) -> list[str]:
    rows = (await client.call("tree"))["structuredContent"]["tree"]
    return [row["path"] for row in rows]


async def until_path_gone(client: Client, path: str) -> None:
    with trio.fail_after(LIMIT_S):
        while True:
            if path not in await tree_paths(client):
                return
            await trio.sleep(POLL_S)
