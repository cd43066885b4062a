"""`agent-pool trust`."""

import pytest

from supervisor.place import TAG
from tests.cli_config.conftest import Desk, Run


def test_the_project_here_is_trusted_from_then_on(desk: Desk, run: Run) -> None:
    done = run("trust")

    assert done.status == 0
    assert f"{desk.root} is trusted" in done.out
    assert "a pool that runs there takes it over at once" in done.out
    assert run("trust", "--list").out == f"{desk.root}\n"


def test_another_project_can_be_named(desk: Desk, run: Run) -> None:
    run("trust", str(desk.home))

    assert run("trust", "--list", "--json").record == {"roots": [str(desk.home)]}


def test_trust_can_be_taken_back(desk: Desk, run: Run) -> None:
    run("trust")
    done = run("trust", "--remove", "--json")

    assert done.record == {"root": str(desk.root), "trusted": False, "changed": True}
    assert run("trust", "--list").out == "no project is trusted\n"


def test_trust_in_a_folder_that_has_gone_can_be_taken_back(desk: Desk, run: Run) -> None:
    gone = desk.home / "gone"
    gone.mkdir()
    run("trust", str(gone))
    gone.rmdir()

    assert run("trust", "--remove", str(gone)).status == 0


def test_to_trust_twice_changes_nothing_and_says_so(run: Run) -> None:
    run("trust")
    done = run("trust")

    assert done.status == 0
    assert "is trusted, as before" in done.out


def test_what_is_no_folder_cannot_be_trusted(run: Run) -> None:
    done = run("trust", "/nowhere")

    assert (done.status, done.out) == (2, "")
    assert 'the project "/nowhere" is not there' in done.err


def test_a_list_that_cannot_be_used_is_told(desk: Desk, run: Run) -> None:
    desk.write(desk.user.parent / "trusted.json", "{")

    done = run("trust")

    assert done.status == 1
    assert "is no JSON; mend it, or remove it and trust anew" in done.err


def test_an_agent_may_not_decide_whom_to_trust(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG, "x.1")

    done = run("trust")

    assert done.status == 1
    assert TAG in done.err
    assert run("trust", "--list").out == "no project is trusted\n"
