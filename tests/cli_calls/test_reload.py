"""`agent-pool reload`: what it prints, and its exit status."""

import json
from collections.abc import Iterator

import pytest

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


def test_in_json_it_is_one_object(project: Project, run: Run, agent: str) -> None:
    path = project.write_agent(agent, "Do it.", "tools: [Bash")
    done = run("reload", "--json")
    record = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (2, "")
    assert str(path.resolve()) in record["refused"][0]
    assert record["needs_restart"] == []
