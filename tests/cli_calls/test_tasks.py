"""Handing over tasks at a shell: what is printed where, and the exit status."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from supervisor.cli._input import TASKS_LIMIT
from supervisor.frontend._arguments import MANY_LIMIT
from tests.cli_calls.conftest import AGENT_POOL, Run
from tests.client import Project


def submitted(run: Run, agent: str, task: str) -> str:
    return run("submit", agent, task).stdout.strip()


def test_invoke_prints_the_answer_and_nothing_else(run: Run) -> None:
    done = run("invoke", "coder", "[[say hello]]")

    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_a_task_may_come_after_the_options(run: Run) -> None:
    done = run("invoke", "coder", "--timeout", "30", "--priority", "high", "[[say late]]")

    assert (done.returncode, done.stdout) == (0, "late\n")


def test_a_task_that_is_not_given_is_read_from_stdin(run: Run) -> None:
    assert run("invoke", "coder", stdin="[[say one]]\n").stdout == "one\n"


def test_a_task_that_is_a_dash_is_read_from_stdin(run: Run) -> None:
    assert run("invoke", "coder", "-", stdin="[[say ü]]\n").stdout == "ü\n"


def test_json_is_the_answer_with_its_figures(run: Run) -> None:
    record = json.loads(run("invoke", "coder", "[[say hello]]", "--json").stdout)

    assert (record["result"], record["agent"], record["attempts"]) == ("hello", "coder", 1)
    assert record["usage"]["output_tokens"] > 0


def test_a_task_that_fails_is_status_1_and_its_error_is_on_stderr_alone(run: Run) -> None:
    done = run("invoke", "other", "[[crash 3]]")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("agent_crashed: ")


def test_the_error_of_a_task_is_an_object_with_a_code_in_json(run: Run) -> None:
    done = run("invoke", "codr", "x", "--json")

    record = json.loads(done.stdout)
    assert (done.returncode, record["code"]) == (1, "unknown_agent")
    assert "coder" in record["suggestions"]


def test_an_empty_task_is_wrong_usage(run: Run) -> None:
    done = run("invoke", "coder", stdin=" \n")

    assert (done.returncode, done.stdout) == (2, "")
    assert "the task is empty" in done.stderr


def test_a_conversation_keeps_the_context_between_commands(run: Run) -> None:
    run("invoke", "other", "[[say a]]", "--conversation", "c")
    done = run("invoke", "other", "[[context]]", "--conversation", "c")

    assert done.stdout.startswith("context: 1 user texts")


def test_a_task_that_takes_too_long_is_status_4_with_its_id_and_goes_on(run: Run) -> None:
    done = run("invoke", "busy", "[[sleep 0.5]] [[say end]]", "--if-longer-than", "0.05")
    task = done.stdout.strip()

    assert (done.returncode, task[:2]) == (4, "t-")
    assert run("wait", task).returncode == 0
    assert run("result", task).stdout == "end\n"


def test_submit_prints_the_id_that_wait_and_result_take(run: Run) -> None:
    task = submitted(run, "coder", "[[say later]]")

    assert run("wait", task).returncode == 0
    assert run("result", task).stdout == "later\n"


def test_to_wait_in_vain_is_status_4(run: Run) -> None:
    task = submitted(run, "busy", "[[hang]]")

    assert run("wait", task, "--timeout", "0").returncode == 4
    assert run("cancel", task).returncode == 0


def test_to_wait_for_any_ends_with_the_first(run: Run) -> None:
    hangs, ends = submitted(run, "busy", "[[hang]]"), submitted(run, "coder", "[[say x]]")

    assert run("wait", hangs, ends, "--any").returncode == 0
    run("cancel", hangs)


def test_the_result_of_a_task_that_runs_is_status_4(run: Run) -> None:
    task = submitted(run, "busy", "[[hang]]")
    done = run("result", task)

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("task_running: ")
    run("cancel", task)


def test_a_cancelled_task_is_status_1_when_its_result_is_asked_for(run: Run) -> None:
    task = submitted(run, "busy", "[[hang]]")

    assert run("cancel", task).stdout == f"{task} (busy): cancelled\n"
    assert run("result", task).returncode == 1


def test_to_cancel_what_has_ended_says_how_it_ended(run: Run) -> None:
    task = json.loads(run("invoke", "coder", "x", "--json").stdout)["task_id"]

    assert run("cancel", task).stdout == f"{task} (coder): had ended before: result\n"


@pytest.mark.parametrize("command", ["tasks", "stats", "logs"])
def test_an_agent_that_there_is_not_is_named_with_the_nearest(run: Run, command: str) -> None:
    done = run(command, "--agent", "codr")

    assert (done.returncode, done.stdout) == (1, "")
    assert 'there is no agent "codr". Did you mean coder' in done.stderr


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["invoke", "nobody", "x"], "agent-pool list shows them."),
        (["wait", "t-0"], "agent-pool tasks lists those that there are."),
        (["invoke", "busy", "[[hang]]", "--timeout", "0.1"], "(--timeout; timeout_s in a line of"),
        (["invoke", "coder", "[[sleep 1]]", "--if-longer-than", "0.01"], "agent-pool wait t-"),
    ],
)
def test_what_to_do_is_told_in_commands_and_options(
    run: Run, words: list[str], advice: str
) -> None:
    said = run(*words).stderr

    assert advice in said
    assert not re.search(r"\btools?\b", said)


def test_in_json_an_error_is_told_once_and_in_commands(run: Run) -> None:
    record = json.loads(run("invoke", "nobody", "x", "--json").stdout)

    assert record["error"].endswith("agent-pool list shows them.")
    assert not {"at_shell", "shell_advice"} & set(record)


def test_in_json_a_task_that_goes_on_is_one_object_and_nothing_else(run: Run) -> None:
    done = run("invoke", "coder", "[[sleep 0.3]]", "--if-longer-than", "0.01", "--json")

    assert (done.returncode, done.stderr) == (4, "")
    assert json.loads(done.stdout)["result"] is None


def test_an_unknown_task_is_status_1(run: Run) -> None:
    done = run("wait", "t-0")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unknown_task: ")


def test_many_tasks_are_answered_in_their_order(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tasks.jsonl"
    lines = ['{"agent": "other", "task": "[[sleep 0.1]] [[say 1]]"}', "", "{}"]
    lines[2] = '{"agent": "coder", "task": "[[say 2]]", "timeout_s": 30}'
    file.write_text("\n".join(lines))
    done = run("invoke-many", str(file), "--max-parallel", "2")

    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line in "12" and line] == ["1", "2"]


def test_one_failure_of_many_is_status_1_and_stands_in_its_place(run: Run) -> None:
    tasks = '{"agent": "nobody", "task": "x"}\n{"agent": "coder", "task": "[[say two]]"}\n'
    done = run("invoke-many", "-", "--json", stdin=tasks)

    first, second = json.loads(done.stdout)["outcomes"]
    assert done.returncode == 1
    assert first["error"].startswith("unknown_agent: ")
    assert second["result"] == "two"


def test_a_misspelt_key_of_a_task_is_named_with_its_line_and_what_is_meant(run: Run) -> None:
    done = run("invoke-many", "-", stdin='{"agent": "coder", "task": "x"}\n{"agnet": "coder"}\n')

    assert (done.returncode, done.stdout) == (2, "")
    assert 'standard input, line 2: unknown key "agnet"; did you mean "agent"?' in done.stderr


def test_more_tasks_than_one_call_takes_are_wrong_usage(run: Run) -> None:
    done = run("invoke-many", "-", stdin='{"agent": "coder", "task": "x"}\n' * (TASKS_LIMIT + 1))

    assert done.returncode == 2
    assert f"allowed are {TASKS_LIMIT}" in done.stderr


def test_the_limit_of_tasks_is_the_tool_s_own() -> None:
    assert TASKS_LIMIT == MANY_LIMIT


def test_consult_prints_the_answer_of_an_agent_that_only_reads(run: Run) -> None:
    done = run("consult", "reader", "[[say it is there]]", "--timeout", "30")

    assert (done.returncode, done.stdout, done.stderr) == (0, "it is there\n", "")


def test_consult_refuses_an_agent_that_can_change_something(run: Run) -> None:
    done = run("consult", "coder", "x", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "agent_may_change"


def test_an_answer_that_is_too_long_for_a_model_is_printed_as_it_is(run: Run) -> None:
    done = run("invoke", "coder", "[[size 600000]]")

    assert (done.returncode, len(done.stdout)) == (0, 600_001)


def test_an_answer_that_cannot_be_written_is_told_with_the_command_that_prints_it_again(
    project: Project, run: Run
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*AGENT_POOL, "invoke", "coder", "[[say kept]]"],
            cwd=project.folder,
            env=project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    told = done.stderr.splitlines()
    assert (done.returncode, len(told)) == (1, 2)
    assert told[0] == "agent-pool: standard output cannot be written: No space left on device"
    assert run("result", told[1].rpartition(" ")[2]).stdout == "kept\n"
