"""examples/orchestrator in the real Claude Code: the leader can only delegate, its agents work."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.claudecode.conftest import opened
from tests.claudecode.stage import ROOT, Claude, Stage, init_of, invoke, use
from tests.realcli.fixtures import require
from tests.realcli.install import DEFAULT_VERSION, VERSIONS

EXAMPLE: Final = ROOT / "examples" / "orchestrator"

HARMLESS: Final = {
    "AgentOutputTool", "CronCreate", "CronDelete", "CronList", "EnterPlanMode", "ExitPlanMode",
    "ListAgents", "ListMcpResourcesTool", "Read", "ReadMcpResourceDirTool", "ReadMcpResourceTool",
    "ReportFindings", "ScheduleWakeup", "SendMessage", "TaskCreate",
    "TaskGet", "TaskList", "TaskOutput", "TaskStop", "TaskUpdate", "TodoWrite", "ToolSearch",
}  # fmt: skip
"""Tools with which nothing can be found out, changed or run in the project: lists of things to do,
reminders, what is only of use together with a denied tool, the pool's resources, and `Read`,
without which the newest does not read CLAUDE.md."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(one, marks=pytest.mark.xdist_group(f"leader {one}"))
        for one in dict.fromkeys((DEFAULT_VERSION, VERSIONS[-1]))
    ],
)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The example in a project, as its README has a user set it up."""
    for stage in opened(tmp_path_factory.mktemp("o"), require(request.param)):
        shutil.copytree(EXAMPLE, stage.project.folder, dirs_exist_ok=True)
        accept_trust(stage)
        assert stage.run("trust").returncode == 0
        yield stage


def accept_trust(stage: Stage) -> None:
    """What saying yes to Claude Code's question leaves."""
    trusted = {str(stage.project.folder.resolve()): {"hasTrustDialogAccepted": True}}
    (stage.project.home / ".claude.json").write_text(json.dumps({"projects": trusted}))


@pytest.fixture(scope="module")
def leader(stage: Stage) -> Iterator[Claude]:
    """The main Claude Code, started without a flag of its own."""
    with stage.claude() as session:
        yield session


def test_check_has_nothing_to_say(stage: Stage) -> None:
    done = stage.run("check", "--strict")

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "nothing is wrong"


def test_the_leader_delegates_and_is_given_the_answer(stage: Stage, leader: Claude) -> None:
    task = invoke("scout", "[[say in src/errors.py:12]]")

    result = leader.task(task)

    assert result["result"] == "tool: in src/errors.py:12"


def test_its_questions_are_answered_side_by_side(stage: Stage, leader: Claude) -> None:
    questions = ["[[hang]] one", "[[hang]] two"]
    asked = [{"agent": "scout", "task": question} for question in questions]

    leader.give(use("mcp__agent-pool__invoke_many", tasks=asked))
    both = [stage.await_request(question) for question in questions]
    unanswered = [not (request.answered or request.disconnected) for request in both]
    leader.ask("interrupt")
    leader.result()

    assert unanswered == [True, True]


def test_it_has_no_tool_that_could_do_the_work(leader: Claude) -> None:
    leader.task("What have you?")

    own = {tool for tool in init_of(leader)["tools"] if not tool.startswith("mcp__agent-pool__")}
    assert own <= HARMLESS


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("Bash", {"command": "touch made"}),
        ("Write", {"file_path": "{folder}/made", "content": "x"}),
        ("Edit", {"file_path": "{folder}/CLAUDE.md", "old_string": "You lead", "new_string": "x"}),
        ("Grep", {"pattern": "lead"}),
        ("Agent", {"description": "d", "subagent_type": "general-purpose", "prompt": "[[say x]]"}),
        ("Task", {"description": "d", "subagent_type": "general-purpose", "prompt": "[[say x]]"}),
    ],
)
def test_what_it_tries_itself_is_refused(
    stage: Stage, leader: Claude, tool: str, arguments: dict[str, Any]
) -> None:
    folder = stage.project.folder
    before = contents(folder)
    task = use(tool, **{k: v.format(folder=folder) for k, v in arguments.items()})

    leader.task(task)

    (said,) = stage.seen(task)
    assert f"No such tool available: {tool}" in said
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_builder_runs_commands_and_changes_files_though_the_leader_may_not(
    stage: Stage, leader: Claude
) -> None:
    written = stage.project.folder / "by-write.txt"
    order = use("Write", file_path=str(written), content="written\n")

    run = leader.task(invoke("builder", "[[bash echo built > by-bash.txt && cat by-bash.txt]]"))
    leader.task(invoke("builder", order))

    assert run["result"] == "tool: bash: built"
    assert (stage.project.folder / "by-bash.txt").read_text() == "built\n"
    assert written.read_text() == "written\n"


def test_the_leader_is_told_to_delegate_and_the_agents_are_not(
    stage: Stage, leader: Claude
) -> None:
    leader.task(invoke("scout", "[[say seen]] once"))
    leads, works = (
        json.dumps(stage.await_request(task).body)
        for task in (invoke("scout", "[[say seen]] once"), "[[say seen]] once")
    )

    assert "You lead, agents work" in leads
    assert "You lead, agents work" not in works
    assert "what every agent must know" in works


def test_the_checker_cannot_edit(stage: Stage, leader: Claude) -> None:
    leader.task(invoke("checker", "[[say looked]]"))

    assert set(stage.await_request("[[say looked]]").tool_names()) >= {"Read", "Bash"}
    assert not {"Edit", "Write"} & set(stage.await_request("[[say looked]]").tool_names())


def test_an_agent_without_the_two_keys_is_bound_as_the_leader_is(
    stage: Stage, leader: Claude
) -> None:
    leader.task(invoke("debugger", "[[say bound]]"))

    assert not {"Bash", "Edit", "Write"} & set(stage.await_request("[[say bound]]").tool_names())
