"""`agent-pool check` tells in one run what lies in different files, keys and folders."""

import pytest

from tests.cli_config.conftest import Desk, Run


def told(run: Run, desk: Desk) -> list[tuple[str, int, str | None, str]]:
    """File, line, key and severity of every finding in the project, in the order of the report."""
    return [
        (found["path"].removeprefix(f"{desk.root}/.claude/"), *fields(found))
        for found in run("check", "--json").record["findings"]
        if (found["path"] or "").startswith(str(desk.root))
    ]


def fields(found: dict[str, object]) -> tuple[int, str | None, str]:
    line, key = found["line"] or 0, found["key"]
    assert isinstance(line, int)
    assert key is None or isinstance(key, str)
    return line, key, str(found["severity"])


def test_every_kind_of_mistake_is_told_by_one_run_file_by_file_from_the_top(
    desk: Desk, run: Run
) -> None:
    desk.write_agent("example")
    desk.write_agent("other", "tools: Raed", "effort: hgih")
    desk.write(
        desk.own,
        """\
# what this project does
[agents.exmple]
working_directory = "nowhere"
[agents.example]
lnger = "1s"
tools = ["Raed"]
working_directory = "sub"
min_replicas = 3
extra_directories = [
  "docs",
]
[http]
address = "localhost"
linger = 60s
""",
    )

    assert told(run, desk) == [
        ("pool.toml", 2, "agents.exmple", "warning"),
        ("pool.toml", 3, "agents.exmple.working_directory", "error"),
        ("pool.toml", 5, "agents.example.lnger", "error"),
        ("pool.toml", 6, "agents.example.tools", "warning"),
        ("pool.toml", 7, "agents.example.working_directory", "error"),
        ("pool.toml", 8, "agents.example.min_replicas", "error"),
        ("pool.toml", 10, "agents.example.extra_directories", "warning"),
        ("pool.toml", 13, "http.address", "error"),
        ("pool.toml", 13, "http.address", "warning"),
        ("pool.toml", 14, None, "error"),
        ("agents/other.md", 4, "tools", "warning"),
        ("agents/other.md", 5, "effort", "warning"),
    ]


def test_a_group_that_no_agent_names_is_told(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[supervisors.unused]\n")

    assert told(run, desk) == [("pool.toml", 1, "supervisors.unused", "warning")]


def test_a_folder_that_all_agents_take_from_the_defaults_is_told_once(desk: Desk, run: Run) -> None:
    desk.write_agent("a")
    desk.write_agent("b")
    desk.write(desk.own, '[defaults.agent]\nworking_directory = "nowhere"\n')

    assert told(run, desk) == [("pool.toml", 2, "defaults.agent.working_directory", "error")]


def test_a_command_that_is_not_there_is_told_beside_other_mistakes(desk: Desk, run: Run) -> None:
    desk.write_agent("a")
    desk.write(desk.user, '[agents.a]\ncommand = "nothing"\nqueue_limit = 0\n')

    said = run("check").out

    assert f'{desk.user}:2: agents.a.command: error: the agent CLI "nothing"' in said
    assert f"{desk.user}:3: agents.a.queue_limit: error: 0 does not fit" in said


def test_a_variable_and_a_file_that_are_wrong_are_told_together(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(desk.own, "[pool]\nlinger = 1\n")
    monkeypatch.setenv("TASK_TIMEOUT_MS", "soon")

    done = run("check")

    assert "environment: TASK_TIMEOUT_MS: error: " in done.out
    assert f"{desk.own}:2: pool.linger: error: " in done.out


def test_a_skill_that_no_agent_names_is_checked(desk: Desk, run: Run) -> None:
    desk.write(desk.root / ".claude/skills/s/SKILL.md", "---\nname: s\nDo.\n")

    assert ("skills/s/SKILL.md", 1, None, "warning") in told(run, desk)
