"""That the real CLI runs on this machine and talks to the loopback API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import LoopbackAPI
from tests.realcli.install import RealCLI, environment
from tests.realcli.session import STREAM_JSON, Session


@pytest.fixture
def session(real_cli: RealCLI, loopback: LoopbackAPI, tmp_path: Path) -> Iterator[Session]:
    env = environment(tmp_path, loopback.base_url)
    argv = [*real_cli.argv, *STREAM_JSON, "--no-session-persistence"]
    with Session(argv, env, tmp_path, tmp_path / "stderr") as running:
        yield running


def test_the_real_cli_answers_initialize_and_tells_its_process_id(session: Session) -> None:
    answer = session.ask("initialize")

    assert answer["subtype"] == "success"
    assert answer["response"]["pid"] > 0


def test_the_real_cli_echoes_a_task_by_way_of_the_loopback_api(
    session: Session, loopback: LoopbackAPI
) -> None:
    session.ask("initialize", systemPrompt="You are a parrot.")

    assert session.task("hello")["result"] == "echo: hello"
    assert loopback.tasks[0].system_text().endswith("You are a parrot.")
