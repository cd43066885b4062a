"""A pool that starts, or reloads, with wrong files says all that is wrong with them."""

from collections.abc import Iterator

from supervisor.pool.config import ConfigInForce, Loaded, Problem
from tests.pool.config.conftest import Files

WRONG = '[pool]\n\nlinger = 1\n[agents.a]\nworking_directory = "sub"\n'


def no_folder(loaded: Loaded) -> Iterator[Problem]:
    """Stands for what the pool finds on the disk."""
    for name, agent in loaded.config.agents.items():
        if agent.working_directory:
            origin = loaded.origin(("agents", name, "working_directory"))
            yield Problem(origin.path, origin.line, f"agents.{name}.working_directory", "none")


def test_a_pool_that_starts_adds_what_it_finds_on_the_disk(files: Files) -> None:
    files.write(files.user, WRONG)
    in_force = ConfigInForce(files.find(), files.environ)

    in_force.look_closer(no_folder)

    assert in_force.error is not None
    assert [one.key for one in in_force.error.problems] == [
        "pool.linger",
        "agents.a.working_directory",
    ]


def test_a_pool_that_reloads_refuses_with_both(files: Files) -> None:
    in_force = ConfigInForce(files.find(), files.environ)
    files.write(files.user, WRONG)

    in_force.read_again(no_folder)

    assert [one.line for one in in_force.refused] == [3, 5]
    assert in_force.config.pool.linger == 60


def test_a_wrong_variable_hides_no_wrong_file(files: Files) -> None:
    files.write(files.user, WRONG)
    files.environ["TASK_TIMEOUT_MS"] = "soon"

    error = ConfigInForce(files.find(), files.environ).error

    assert error is not None
    assert [one.key for one in error.problems] == ["pool.linger", "TASK_TIMEOUT_MS"]


def test_what_the_shipped_file_says_is_no_mistake_of_the_users(files: Files) -> None:
    files.write(files.user, WRONG)
    in_force = ConfigInForce(files.find(), files.environ)

    in_force.look_closer(lambda loaded: [loaded.layers.problem(("pool", "spares"), "x")])

    assert in_force.error is not None
    assert [one.key for one in in_force.error.problems] == ["pool.linger"]
