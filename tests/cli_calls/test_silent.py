"""What is said of a pool that takes a connection and answers nothing."""

import json
import socket

import pytest

from supervisor import relay
from tests.cli_calls.conftest import command
from tests.client import Project


@pytest.mark.parametrize(
    "words", [("list",), ("invoke", "coder", "x"), ("reset", "coder")], ids=lambda words: words[0]
)
def test_a_command_that_would_start_a_pool_tells_of_one_that_hangs(
    lonely: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(relay, "HELLO_S", 0.1)
    lonely.place.prepare()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(lonely.place.socket)
        silent.listen()
        done = command(lonely)(*words, "--json")

    assert done.returncode == 3
    failure = json.loads(done.stdout)
    assert failure["code"] == "pool_silent"
    assert "agent-pool stop ends it" in failure["error"]
