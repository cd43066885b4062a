"""A session with a pool that goes."""

import pytest

from supervisor.cli._client import ClientError
from supervisor.cli._session import NoPoolError, looking, session
from tests.cli_calls.conftest import command
from tests.client import LIMIT_S, Project


def test_a_look_at_a_pool_that_goes_ends_without_another_error(lonely: Project) -> None:
    command(lonely)("warmup", "coder")

    with looking(lonely.place, LIMIT_S) as (_, client):
        command(lonely)("stop")
        with pytest.raises((OSError, ClientError)):
            client.call("list")


def test_what_is_raised_in_a_session_whose_pool_goes_is_what_comes_out(lonely: Project) -> None:
    command(lonely)("warmup", "coder")

    def ask() -> None:
        with session(lonely.place, False, lonely.environment()) as client:
            command(lonely)("stop")
            try:
                client.call("list")
            except (OSError, ClientError):
                raise NoPoolError("it has gone") from None

    with pytest.raises(NoPoolError, match="it has gone"):
        ask()
