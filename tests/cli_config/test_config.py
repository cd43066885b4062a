"""`agent-pool config` and `agent-pool schema`: what holds, where it comes from, what may be."""

import json
import tomllib
from typing import Any

import pytest

from supervisor.pool.config import ConfigFiles
from supervisor.pool.config.schema import json_schema
from tests.cli_config.conftest import Desk, Run
from tests.pool.config.conftest import SHIPPED


def values(run: Run, *words: str) -> dict[str, Any]:
    done = run("config", "--json", *words)
    assert done.status == 0, done.err
    found: dict[str, Any] = done.record["values"]
    return found


def test_a_value_is_told_with_the_line_that_says_it(desk: Desk, run: Run) -> None:
    desk.write(desk.own, '[pool]\n\nlinger = "7s"\n')

    line = next(line for line in run("config").lines if line.startswith("linger"))

    assert line.split() == ["linger", "=", '"7s"', "#", f"{desk.own}:3"]


def test_what_nobody_says_is_built_in(run: Run) -> None:
    line = next(line for line in run("config").lines if line.startswith("linger"))

    assert line.split() == ["linger", "=", '"60s"', "#", "built", "in"]


def test_an_agents_values_are_complete_in_json(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[agents.mine]\nqueue_limit = 3\n")
    desk.write(desk.user, '[defaults.agent]\nshutdown = "1s"\n')

    found = values(run)

    assert found["agents.mine.queue_limit"] == {"value": 3, "from": f"{desk.own}:2"}
    assert found["agents.mine.shutdown"] == {"value": "1s", "from": f"{desk.user}:2"}
    assert found["agents.mine.restart"]["from"].startswith(f"{SHIPPED}:")


def test_in_text_an_agents_table_holds_what_differs(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[agents.mine]\nqueue_limit = 3\n")

    lines = run("config").lines
    table = lines[lines.index("[agents.mine]") + 1 :]

    assert table[: table.index("")] == [f"{'queue_limit = 3':<50} # {desk.own}:2"]


def test_the_text_is_a_pool_toml_that_does_the_same(desk: Desk, run: Run) -> None:
    desk.write(
        desk.own,
        '[supervisors.g]\n[supervisors.h]\nparent = "g"\nbackoff.initial = "1s"\n'
        '[agents."my agent"]\nsupervisor = "h"\ntools = ["Bash(git log:*)"]\n',
    )
    environ = {"HOME": str(desk.home)}
    before = ConfigFiles.find(desk.root, environ, SHIPPED).load()

    text = run("config").out
    tomllib.loads(text)
    desk.write(desk.own, text)

    assert ConfigFiles.find(desk.root, environ, SHIPPED).load() == before


@pytest.mark.parametrize(
    ("variable", "said", "key", "value"),
    [
        ("TASK_TIMEOUT_MS", "5000", "task_timeout", "5000ms"),
        ("CLAUDE_CLI", "my-cli", "command", "my-cli"),
    ],
)
def test_a_variable_comes_before_all_files(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, said: str, key: str,
    value: str,
) -> None:  # fmt: skip
    desk.write(desk.user, '[agents.x]\ntask_timeout = "1s"\ncommand = "other"\n')
    monkeypatch.setenv(variable, said)

    found = values(run)

    for table in ("defaults.agent", "agents.x"):
        assert found[f"{table}.{key}"] == {"value": value, "from": f"${variable}"}


def test_variables_and_files_are_told(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_DIR", "/my/agents")
    desk.write(desk.user, "")

    record = run("config", "--json").record

    assert record["variables"] == {"AGENTS_DIR": "/my/agents"}
    assert record["files"] == [
        {"path": str(desk.own), "exists": False},
        {"path": str(desk.user), "exists": True},
        {"path": str(SHIPPED), "exists": True},
    ]


def test_a_file_of_the_command_line_comes_first(desk: Desk, run: Run) -> None:
    mine = desk.write(desk.root / "mine.toml", '[pool]\nlinger = "1s"\n')
    desk.write(desk.own, '[pool]\nlinger = "2s"\nshutdown_grace = "2s"\n')

    found = values(run, "--config", "mine.toml")

    assert found["pool.linger"] == {"value": "1s", "from": f"{mine}:2"}
    assert found["pool.shutdown_grace"]["value"] == "2s"


def test_what_is_left_out_is_told(desk: Desk, run: Run) -> None:
    desk.write(desk.own, '[agents.x]\ncommand = "evil"\n')

    done = run("config")

    assert f"# warning: {desk.own}:2: agents.x.command: left out" in done.out
    assert values(run)["agents.x.command"]["value"] == "claude"


def test_a_wrong_configuration_is_status_2_with_all_that_is_wrong(desk: Desk, run: Run) -> None:
    desk.write(desk.own, "[pool]\nx = 1\ny = 1\n")

    text, record = run("config"), run("config", "--json")

    assert (text.status, text.out, record.status) == (2, "", 2)
    assert f"{desk.own}:2: pool.x" in text.err
    assert f"{desk.own}:3: pool.y" in text.err
    assert len(record.record["problems"]) == 2


def test_the_schema_is_printed(run: Run) -> None:
    assert json.loads(run("schema").out) == json_schema(SHIPPED)
