"""What the rehearsal agent does wrong on request."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from supervisor.rehearsal._cli import main
from supervisor.rehearsal._directives import MISBEHAVIOUR, SHARED
from supervisor.rehearsal._flags import MODES
from tests.contract.driver import Driver, read_pid, wait_until_gone
from tests.rehearsal.conftest import ENVIRONMENT, Start

MB = 1_000_000
LIMIT_S = 30.0
"""For what takes a moment, on a busy machine."""


def test_crash_exits_in_the_middle_of_the_task_with_the_code_asked_for(agent: Driver) -> None:
    agent.user("[[crash 7]]")
    assert agent.exit_code() == 7
    assert agent.lines[-1]["subtype"] == "init"
    assert "crashed in the middle of a task" in agent.stderr()


def test_crash_waits_for_the_sleep_before_it(agent: Driver) -> None:
    before = time.monotonic()
    agent.user("[[sleep 0.3]] [[crash 7]]")
    assert agent.exit_code() == 7
    assert time.monotonic() - before >= 0.3


def test_stop_lasts_until_the_process_is_continued(agent: Driver) -> None:
    agent.user("[[stop]] hello")
    os.waitid(os.P_PID, agent.pid, os.WSTOPPED | os.WNOWAIT)
    before = agent.init()
    agent.signal(signal.SIGCONT)
    assert before["subtype"] == "init"
    assert agent.result()["result"] == "echo: hello"


def test_ignore_interrupt_acknowledges_and_goes_on(agent: Driver) -> None:
    agent.user("[[ignore-interrupt]] [[sleep 0.3]] done")
    agent.init()
    assert agent.control("interrupt")["subtype"] == "success"
    assert agent.result()["result"] == "echo: done"


def test_deaf_answers_its_task_and_nothing_after_it(agent: Driver) -> None:
    assert agent.ask("[[deaf]] last words")["result"] == "echo: last words"
    at = len(agent.lines)
    agent.request("mcp_status")
    agent.end_input()
    agent.signal(signal.SIGTERM)
    assert agent.exit_code() == 143
    assert agent.lines[at:] == []


def test_ignore_term_outlives_sigterm(agent: Driver) -> None:
    agent.ask("[[ignore-term]]")
    agent.signal(signal.SIGTERM)
    assert agent.ask("hello")["result"] == "echo: hello"


def test_a_command_of_bash_does_not_inherit_the_deafness_to_sigterm(
    agent: Driver, tmp_path: Path
) -> None:
    agent.user(f"[[ignore-term]] [[bash echo $$ > {tmp_path}/pid; sleep 300]]")
    os.killpg(read_pid(tmp_path / "pid"), signal.SIGTERM)
    assert agent.result()["result"].startswith("bash: Exit code 143")


def test_grow_really_takes_the_memory_and_keeps_it(agent: Driver) -> None:
    agent.control("mcp_status")
    process = psutil.Process(agent.pid)
    before = process.memory_info().rss
    agent.ask("[[grow 64]]")
    agent.ask("/clear")
    assert 60 * MB < process.memory_info().rss - before < 80 * MB


def test_late_sends_a_second_result_unasked(agent: Driver) -> None:
    first = agent.ask("[[late 0.2]] on time")
    second = agent.result()
    assert first["result"] == "echo: on time"
    assert second["result"].startswith("late: ")


def test_late_comes_in_the_middle_of_the_next_task(agent: Driver) -> None:
    agent.ask("[[late 0.2]] on time")
    agent.user("[[hang]]")
    assert agent.result()["result"].startswith("late: ")
    agent.control("interrupt")
    assert agent.result()["terminal_reason"] == "aborted_streaming"


def test_twice_prints_two_results(agent: Driver) -> None:
    agent.ask("[[twice]] hello")
    results = [line["result"] for line in agent.lines if line["type"] == "result"]
    assert results == ["echo: hello", "echo: hello"]


def test_garbage_prints_lines_that_are_no_json_and_still_answers(agent: Driver) -> None:
    assert agent.ask("[[garbage]] hello")["result"] == "echo: hello"
    assert b"this is not JSON" in agent.strange
    assert len(agent.strange) == 3


def test_garbage_puts_a_torn_character_together_again(agent: Driver) -> None:
    agent.user("[[garbage]]")
    torn = agent.until(lambda line: line["type"] == "rehearsal_garbage")
    assert torn["text"] == "\N{SNOWMAN}"


def test_long_line_is_as_long_as_asked(agent: Driver) -> None:
    agent.user("[[long-line 3]] hello")
    line = agent.until(lambda line: line["type"] == "rehearsal_padding")
    assert len(line["padding"]) == 3 * MB
    assert agent.result()["result"] == "echo: hello"


def test_stderr_is_flooded(agent: Driver) -> None:
    agent.ask("[[stderr 5000]] hello")
    assert len(agent.stderr().splitlines()) == 5000


def test_orphan_leaves_a_process_in_another_session(agent: Driver) -> None:
    orphan = int(agent.ask("[[orphan 300]]")["result"].removeprefix("orphan: "))
    try:
        agent.control("end_session")
        assert agent.exit_code() == 0
        process = psutil.Process(orphan)
        assert process.name() == "sleep"
        assert os.getsid(orphan) != agent.pid
    finally:
        os.kill(orphan, signal.SIGKILL)
    wait_until_gone(orphan)


def test_unsolicited_adds_a_turn_that_says_where_it_comes_from(agent: Driver) -> None:
    first = agent.ask("[[unsolicited]] hello")
    second = agent.result()
    assert "origin" not in first
    assert second["origin"] == {"kind": "task-notification"}


def test_die_after_exits_with_0_after_its_result(agent: Driver) -> None:
    agent.user("[[die-after]] hello")
    assert agent.result()["result"] == "echo: hello"
    assert agent.exit_code() == 0


def test_slow_keeps_what_was_streamed_before_the_interrupt(agent: Driver) -> None:
    agent.user("[[size 10]] [[slow 10]]")
    agent.init()
    begin = time.monotonic()
    while time.monotonic() - begin < 1.5:  # one part a second
        agent.control("mcp_status")
    agent.control("interrupt")
    partial = agent.until(lambda line: line["type"] == "assistant")
    text = partial["message"]["content"][0]["text"]
    assert 1 <= len(text) <= 9


def test_a_malformed_number_is_told(agent: Driver) -> None:
    agent.user("[[sleep long]]")
    assert agent.exit_code() == 2
    assert "[[sleep …]] wants a number, not 'long'" in agent.stderr()


def test_a_task_of_ten_megabytes_is_read_in_a_moment(agent: Driver) -> None:
    agent.control("mcp_status")
    begin = time.monotonic()
    agent.user("x" * 10 * MB)
    agent.result()
    # A third of a second on a quiet machine.
    assert time.monotonic() - begin < LIMIT_S


# Modes


def test_crash_at_start_says_so_and_exits_with_1(start: Start) -> None:
    agent = start("--rehearse", "crash-at-start")
    assert agent.exit_code() == 1
    assert "crashed at start" in agent.stderr()


def test_slow_start_answers_nothing_before_its_time(start: Start) -> None:
    before = time.monotonic()
    agent = start("--rehearse", "slow-start=0.4")
    agent.control("initialize")
    assert time.monotonic() - before >= 0.4


def test_no_initialize_answers_everything_else(start: Start) -> None:
    agent = start("--rehearse", "no-initialize")
    agent.request("initialize")
    agent.control("mcp_status")
    assert len(agent.lines) == 1


def test_no_rewind_refuses_as_old_versions_do(start: Start) -> None:
    agent = start("--rehearse", "no-rewind")
    response = agent.control("rewind_conversation", target_message_uuid="x")
    assert response["error"] == "Unsupported control request subtype: rewind_conversation"


def test_no_clear_keeps_the_context_and_the_session_id(start: Start) -> None:
    agent = start("--rehearse", "no-clear")
    before = agent.ask("remember me")
    cleared = agent.ask("/clear")
    assert cleared["session_id"] == before["session_id"]
    assert "remember me" in agent.ask("[[context]]")["result"]


def test_silent_controls_answers_only_what_it_knows(start: Start) -> None:
    agent = start("--rehearse", "silent-controls")
    agent.request("frobnicate")
    agent.control("mcp_status")
    assert len(agent.lines) == 1


def test_modes_add_up(start: Start) -> None:
    agent = start("--rehearse", "silent-controls,no-rewind")
    agent.request("rewind_conversation", target_message_uuid="x")
    agent.control("mcp_status")
    assert len(agent.lines) == 1


def test_minimal_acknowledges_every_request_with_nothing(start: Start) -> None:
    agent = start("--rehearse", "minimal")
    initialized, unknown = agent.control("initialize"), agent.control("frobnicate")
    assert set(initialized) == set(unknown) == {"subtype", "request_id"}


def test_minimal_prints_an_assistant_line_and_a_result_of_few_fields(start: Start) -> None:
    agent = start("--rehearse", "minimal")
    agent.user("hello")
    result = agent.result()
    assert [line["type"] for line in agent.lines] == ["assistant", "result"]
    assert set(result) == {"type", "subtype", "is_error", "result", "session_id"}


def test_minimal_clears(start: Start) -> None:
    agent = start("--rehearse", "minimal")
    agent.user("remember me")
    before = agent.result()
    agent.user("/clear")
    cleared = agent.result()
    agent.user("[[context]]")
    assert cleared["session_id"] != before["session_id"]
    assert agent.result()["result"] == "context: 0 user texts: []"


@pytest.mark.parametrize("mode", ["nonsense", "slow-start", "no-clear=1"])
def test_a_mode_that_is_none_is_refused(start: Start, mode: str) -> None:
    agent = start("--rehearse", mode)
    assert agent.exit_code() == 2
    assert f"--rehearse {mode}: " in agent.stderr()


# The command


def test_help_tells_every_directive_and_every_mode(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    written = {word.strip("[]").partition("=")[0] for word in text.split()}
    assert set(SHARED) | set(MISBEHAVIOUR) | set(MODES) <= written


def test_a_value_that_looks_like_a_flag_is_a_value(start: Start) -> None:
    agent = start("--system-prompt", "--help")
    assert agent.ask("[[system]]")["result"] == "--help"


def test_it_idles_without_using_the_processor(agent: Driver) -> None:
    agent.ask("[[bash true]]")
    agent.user("[[hang]]")
    agent.init()
    process = psutil.Process(agent.pid)
    before = process.cpu_times()
    agent.control("mcp_status")
    begin = time.monotonic()
    psutil.wait_procs([process], timeout=0.5)
    used = process.cpu_times()
    assert time.monotonic() - begin >= 0.5
    assert used.user + used.system - before.user - before.system < 0.1


def test_it_starts_without_the_heavy_modules() -> None:
    heavy = {"argparse", "asyncio", "dataclasses", "inspect", "subprocess", "trio", "uuid"}
    program = "import sys, supervisor.rehearsal._cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", program],
        check=True,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not heavy & set(loaded)
