"""`agent-pool reload`: what it prints, and its exit status."""

import json
import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from supervisor.cli import _calls
from tests.cli_calls.conftest import Run, command
from tests.client import Project


@pytest.fixture
def agent(project: Project, run: Run) -> Iterator[str]:
    """An agent that no other test has."""
    path = project.write_agent("fleeting")
    run("list")
    yield "fleeting"
    path.unlink()
    run("reload")


def test_it_starts_no_pool_and_says_so(lonely: Project) -> None:
    done = command(lonely)("reload")

    assert (done.returncode, done.stdout) == (3, "")
    assert f"no pool of {lonely.place.root} runs" in done.stderr
    assert lonely.pool_pid() is None


def test_where_nothing_is_wrong_it_is_status_0_and_tells_what_has_changed(
    project: Project, run: Run, agent: str
) -> None:
    project.write_agent(agent, "Do it otherwise.")
    done = run("reload")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"agent {agent}: its processes are replaced" in done.stdout


def test_what_is_wrong_is_told_on_stderr_with_status_2(
    project: Project, run: Run, agent: str
) -> None:
    path = project.write_agent(agent, "Do it.", "tools: [Bash")
    done = run("reload")

    assert done.returncode == 2
    assert f"{path.resolve()}:4: tools" in done.stderr
    assert run("invoke", agent, "[[say hi]]").stdout == "hi\n", "it goes on as it was"


def test_what_was_read_before_is_told_in_local_time(project: Project, run: Run, agent: str) -> None:
    project.write_agent(agent, "Do it otherwise.")
    run("reload")
    told = run("reload").stdout

    assert re.match(rf"read already, at {datetime.now():%Y-%m-%d} \d\d:\d\d:\d\d: ", told)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("agents.a: {} → not said", "agents.a: no longer set"),
        ('agents.a.model: "x" → not said', 'agents.a.model: no longer set (was "x")'),
        ('agents.a.model: not said → "x"', 'agents.a.model: now set to "x"'),
        ('agents.a.model: "x" → "y"', 'agents.a.model: "x" → "y"'),
        ("agent a: its processes are replaced", "agent a: its processes are replaced"),
    ],
)
def test_a_change_is_told_in_words(told: str, shown: str) -> None:
    assert _calls._change(told) == shown


def test_in_json_it_is_one_object(project: Project, run: Run, agent: str) -> None:
    path = project.write_agent(agent, "Do it.", "tools: [Bash")
    done = run("reload", "--json")
    record = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (2, "")
    assert str(path.resolve()) in record["refused"][0]
    assert record["needs_restart"] == []


def test_what_a_running_pool_cannot_take_over_of_a_projects_trust_is_told(
    project: Project, run: Run
) -> None:
    own = project.folder / ".claude" / "pool.toml"
    own.write_text('[http]\naddress = "127.0.0.1:8765"\n')
    trusted, taken_back = run("trust"), run("trust", "--remove", "--json")
    own.unlink()
    run("reload")

    assert "\nneeds a new pool: http: a running pool listens where it did" in trusted.stdout
    assert json.loads(taken_back.stdout)["needs_restart"] == []
