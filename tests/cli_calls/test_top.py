"""`agent-pool top`: the live view on a terminal, one table elsewhere."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psutil
import pytest
import trio

from supervisor.cli._look import CpuMeter
from tests.cli_calls.conftest import Run, Terminal, command
from tests.client import Project, until

Start = Callable[..., Terminal]

TAKEN, GIVEN_BACK = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"


@contextmanager
def running(run: Run, agent: str, task: str = "[[hang]]") -> Iterator[str]:
    """A task that an agent works at; its id."""
    task_id = run("submit", agent, task).stdout.strip()
    try:
        yield task_id
    finally:
        run("cancel", task_id)


def row_of(out: str, name: str) -> dict[str, str]:
    """The cells of an agent's line, by the head of the table."""
    lines = out.splitlines()
    (head,) = [line for line in lines if line.startswith("AGENT ")]
    (row,) = [line for line in lines if line.startswith(f"{name} ")]
    starts = [head.index(word) for word in head.split()]
    ends = [*starts[1:], None]
    return {
        head[start:end].strip(): row[start:end].strip()
        for start, end in zip(starts, ends, strict=True)
    }


def see(run: Run, name: str, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """The agent's line, as soon as it is `wanted`."""

    def look() -> dict[str, str]:
        found = row_of(run("top", "--once").stdout, name)
        return found if wanted(found) else {}

    return trio.run(until, look, f"the line of {name}")


def test_a_pipe_gets_one_table(run: Run) -> None:
    done = run("top")

    assert done.returncode == 0
    assert "\033" not in done.stdout
    assert row_of(done.stdout, "coder")["STATE"] == "idle"


def test_an_agent_at_work_is_shown_with_its_task_and_what_it_does(run: Run) -> None:
    with running(run, "busy") as task:
        row = see(run, "busy", lambda row: row["DOING"] != "-")

    assert (row["STATE"], row["TASK"], row["WAITING"]) == ("busy", task, "0")
    assert row["DOING"] == "working"
    assert row["RAN"].endswith(" s")
    assert row["PID"].isdecimal()
    assert row["CPU"].endswith("%")
    assert row["MEMORY"].endswith(" MiB")
    assert row["COST"] == "-" or row["COST"].startswith("$"), "a dash: nothing spent so far"


def test_a_task_that_waits_is_counted(run: Run) -> None:
    with running(run, "busy"), running(run, "busy"):
        row = see(run, "busy", lambda row: row["WAITING"] == "1")

        assert row["STATE"] == "busy"
        assert "1 run, 1 wait" in run("top", "--once").stdout


def test_the_busy_come_first_and_the_stopped_last(run: Run) -> None:
    with running(run, "busy"):
        see(run, "busy", lambda row: row["STATE"] == "busy")
        lines = run("top").stdout.splitlines()

    names = [line.split()[0] for line in lines]
    assert names.index("busy") < names.index("coder") < names.index("debugger")


def test_a_conversation_has_a_line_below_its_agent(run: Run) -> None:
    run("invoke", "other", "[[say hello]]", "--conversation", "long-talk")

    lines = run("top").stdout.splitlines()

    (at,) = [n for n, line in enumerate(lines) if line.startswith("  @long-talk ")]
    # Other tests may have conversations with it as well.
    above = next(line for line in reversed(lines[:at]) if not line.startswith(" "))
    assert above.startswith("other ")


def test_json_is_one_object_with_the_rows_of_list_and_tasks(run: Run) -> None:
    with running(run, "busy") as task:
        see(run, "busy", lambda row: row["TASK"] == task)
        record = json.loads(run("top", "--json").stdout)

    (busy,) = [agent for agent in record["agents"] if agent["name"] == "busy"]
    assert [row["task_id"] for row in busy["tasks"]] == [task]
    assert busy["cpu_percent"] >= 0
    assert record["running"]
    assert record["cost_usd"] >= 0


def test_no_pool_is_status_3_and_none_is_started(lonely: Project) -> None:
    done = command(lonely)("top")

    assert done.returncode == 3
    assert "no pool of" in done.stdout
    assert lonely.pool_pid() is None


@pytest.fixture
def shown(terminal: Start) -> Terminal:
    """It runs on a terminal."""
    found = terminal("top", all_of_it=True)
    found.read_until("q: quit")
    return found


def test_a_terminal_is_drawn_on_anew_again_and_again(shown: Terminal) -> None:
    shown.seen = ""
    shown.read_until("coder")

    assert shown.seen.startswith("\033[H")


@pytest.mark.parametrize("key", ["q", "Q"])
def test_q_ends_it_and_gives_the_terminal_back(shown: Terminal, key: str) -> None:
    shown.press(key)

    assert shown.end()[0] == 0
    assert shown.seen.startswith(TAKEN)
    assert shown.seen.endswith(GIVEN_BACK)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_gives_the_terminal_back(
    shown: Terminal, number: signal.Signals, status: int
) -> None:
    shown.process.send_signal(number)

    assert shown.end()[0] == status
    assert shown.seen.endswith(GIVEN_BACK)


def test_another_key_does_nothing(shown: Terminal) -> None:
    shown.press("x")
    shown.seen = ""
    shown.read_until("coder")

    assert shown.process.poll() is None


def test_stopped_it_gives_the_terminal_back_and_takes_it_again_later(shown: Terminal) -> None:
    shown.seen = ""
    shown.process.send_signal(signal.SIGTSTP)
    shown.read_until(GIVEN_BACK)
    trio.run(
        until,
        lambda: psutil.Process(shown.process.pid).status() == psutil.STATUS_STOPPED,
        "the stop",
    )
    shown.process.send_signal(signal.SIGCONT)
    shown.read_until(TAKEN)
    shown.press("q")

    assert shown.end()[0] == 0


def test_a_page_fits_into_a_small_terminal_and_says_that_there_is_more(terminal: Start) -> None:
    shown = terminal("top", all_of_it=True, NO_COLOR="1")
    shown.resize(30, 6)
    shown.seen = ""
    shown.read_until("more lines\033[K\nq: quit".replace("\n", "\r\n"))

    page = shown.seen[shown.seen.rindex("\033[H") :].replace("\033[H", "").replace("\033[K", "")
    lines = page.split("\033[J")[0].split("\r\n")
    assert len(lines) == 6
    assert max(map(len, lines)) <= 29


def test_it_waits_for_a_pool_and_shows_it_when_it_comes(lonely: Project) -> None:
    run = command(lonely)
    with closing(Terminal(lonely, "top", all_of_it=True)) as shown:
        shown.read_until("no pool of")
        run("warmup", "coder")
        shown.read_until("coder")
        run("stop")
        shown.seen = ""
        shown.read_until("no pool of")
        shown.press("q")

        assert shown.end()[0] == 0


def test_a_pool_that_does_not_answer_is_said_and_q_still_works(lonely: Project) -> None:
    command(lonely)("warmup", "coder")
    pid = lonely.pool_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with closing(Terminal(lonely, "top", all_of_it=True)) as shown:
            shown.read_until("the pool does not answer")
            shown.press("q")

            assert shown.end()[0] == 0
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_a_child_uses_is_counted_with_its_parent() -> None:
    burnt_s = 0.4
    burn = f"import time\nwhile time.process_time() < {burnt_s}: pass\nprint(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        own = psutil.Process(process.pid)
        percent = CpuMeter().measure({process.pid})[process.pid]
        ran_s = time.time() - own.create_time()
        own_s = sum(own.cpu_times()[:2])
        process.communicate(b"\n")

    assert own_s < burnt_s / 2
    assert percent / 100 * ran_s >= burnt_s * 0.9


def test_a_process_that_has_gone_is_left_out() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert CpuMeter().measure({process.pid}) == {}
