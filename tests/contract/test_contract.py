"""What a pool relies on, asked of the rehearsal agent and of the real CLI alike."""

import json
import os
import signal
import uuid
from pathlib import Path

import pytest

from tests.contract.conftest import Start
from tests.contract.driver import Driver, Line, read_pid, wait_until_gone


@pytest.fixture
def cli(start: Start) -> Driver:
    """One that runs, its Bash allowed."""
    return start()


def is_aborted(result: Line, reason: str) -> bool:
    found = (result["subtype"], result["is_error"], result["terminal_reason"])
    return found == ("error_during_execution", True, reason)


def texts_in_context(cli: Driver) -> list[str]:
    """The earlier task texts that the model is sent."""
    answer: str = cli.ask("[[context]]")["result"]
    texts: list[str] = json.loads(answer.partition("user texts: ")[2])
    return texts


# The system prompt


def test_the_flag_sets_the_system_prompt(start: Start) -> None:
    cli = start("--system-prompt", "You are a flag.")
    assert cli.ask("[[system]]")["result"].endswith("You are a flag.")


# /clear


def test_clear_fails_silently_where_slash_commands_are_disabled(start: Start) -> None:
    cli = start("--disable-slash-commands")
    before = cli.ask("hello")
    cleared = cli.ask("/clear")
    assert (cleared["subtype"], cleared["is_error"], cleared["num_turns"]) == ("success", False, 0)
    assert cleared["session_id"] == before["session_id"]


# rewind_conversation


def test_without_an_anchor_the_first_task_cannot_be_rewound(cli: Driver) -> None:
    task = str(uuid.uuid4())
    cli.ask("hello", uuid=task)
    answer = cli.control("rewind_conversation", target_message_uuid=task)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "no preceding assistant")


def test_with_an_anchor_a_task_is_rewound(cli: Driver) -> None:
    task = str(uuid.uuid4())
    cli.anchor()
    before = cli.ask("hello", uuid=task)
    answer = cli.control("rewind_conversation", target_message_uuid=task)["response"]
    assert (answer["rewound"], answer["prefillText"]) == (True, "hello")
    assert cli.ask("again")["session_id"] == before["session_id"]


def test_after_a_rewind_the_task_is_gone_from_the_context(cli: Driver) -> None:
    task = str(uuid.uuid4())
    cli.anchor()
    cli.ask("remember me [[bash true]]", uuid=task)
    cli.control("rewind_conversation", target_message_uuid=task)
    assert texts_in_context(cli) == []


def test_an_interrupted_task_can_be_rewound(cli: Driver) -> None:
    cli.anchor()
    task = cli.user("[[hang]]")
    cli.init()
    cli.control("interrupt")
    cli.idle()
    answer = cli.control("rewind_conversation", target_message_uuid=task)["response"]
    assert answer["rewound"] is True


def test_a_rewind_to_an_unknown_message_is_refused(cli: Driver) -> None:
    cli.anchor()
    cli.ask("hello")
    unknown = str(uuid.uuid4())
    answer = cli.control("rewind_conversation", target_message_uuid=unknown)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "target not found")


def test_only_the_newest_task_can_be_rewound(cli: Driver) -> None:
    old = str(uuid.uuid4())
    cli.anchor()
    cli.ask("one", uuid=old)
    cli.ask("two")
    answer = cli.control("rewind_conversation", target_message_uuid=old)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "stale target")


def test_uuids_that_differ_in_the_last_twelve_digits_alone_are_taken_for_one(cli: Driver) -> None:
    cli.anchor()
    cli.ask("one", uuid="3f0c5a0e-7d2b-4c19-9c55-000000000001")
    new = "3f0c5a0e-7d2b-4c19-9c55-000000000002"
    cli.ask("two", uuid=new)
    answer = cli.control("rewind_conversation", target_message_uuid=new)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "stale target")


def test_set_model_after_a_task_makes_its_rewind_stale(cli: Driver) -> None:
    task = str(uuid.uuid4())
    cli.anchor()
    cli.ask("one", uuid=task)
    cli.control("set_model", model="claude-haiku-4-5")
    answer = cli.control("rewind_conversation", target_message_uuid=task)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "stale target")


def test_a_running_task_is_not_rewound(cli: Driver) -> None:
    cli.anchor()
    task = cli.user("[[hang]]")
    cli.init()
    answer = cli.control("rewind_conversation", target_message_uuid=task)["response"]
    assert (answer["rewound"], answer["error"]) == (False, "turn running")


def test_a_rewind_can_interrupt_first(cli: Driver) -> None:
    cli.anchor()
    task = cli.user("[[hang]]")
    cli.init()
    request = cli.request(
        "rewind_conversation", target_message_uuid=task, interrupt_if_running=True
    )
    assert is_aborted(cli.result(), "aborted_streaming")
    assert cli.answer(request)["response"]["rewound"] is True


def test_a_rewind_without_a_uuid_is_never_answered_nor_is_anything_after_it(cli: Driver) -> None:
    cli.anchor()
    cli.ask("hello")
    at = len(cli.lines)
    cli.request("rewind_conversation")
    cli.request("mcp_status")
    cli.signal(signal.SIGTERM)
    cli.exit_code()
    assert cli.lines[at:] == []


# Interrupt


def test_an_interrupt_ends_a_task_that_hangs(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    assert cli.control("interrupt")["subtype"] == "success"
    assert is_aborted(cli.result(), "aborted_streaming")


def test_an_interrupt_is_acknowledged_before_the_result(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.request("interrupt")
    result = cli.result()
    kinds = [line["type"] for line in cli.lines[-3:]]
    assert kinds == ["control_response", "user", "result"]
    assert "result" not in result


def test_an_interrupt_kills_the_command_of_bash(cli: Driver, tmp_path: Path) -> None:
    cli.user(f"[[bash echo $$ > {tmp_path}/pid; sleep 300]]")
    shell = read_pid(tmp_path / "pid")
    cli.control("interrupt")
    assert is_aborted(cli.result(), "aborted_tools")
    wait_until_gone(shell)


def test_after_an_interrupt_the_process_is_reusable(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.control("interrupt")
    cli.idle()
    assert cli.ask("hello")["result"] == "echo: hello"


def test_an_interrupted_task_stays_in_the_context(cli: Driver) -> None:
    cli.user("remember me [[hang]]")
    cli.init()
    cli.control("interrupt")
    cli.idle()
    assert texts_in_context(cli) == ["remember me [[hang]]"]


def test_an_interrupt_ends_an_answer_that_is_being_streamed(cli: Driver) -> None:
    cli.user("[[say 0123456789]] [[slow 300]]")
    cli.init()
    cli.control("interrupt")
    assert is_aborted(cli.result(), "aborted_streaming")


# While busy


def test_a_ping_is_answered_while_busy(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    assert cli.control("get_binary_version")["response"]["version"].startswith("2.1.197")


def test_plain_messages_that_wait_are_merged_into_one_task(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.user("SECOND")
    cli.user("THIRD")
    cli.control("interrupt")
    cli.result()
    cli.result()
    cli.idle()
    assert sum(line["type"] == "result" for line in cli.lines) == 2


def test_a_message_sent_while_a_tool_runs_gets_no_result_of_its_own(
    cli: Driver, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    cli.user(f"[[bash echo $$ > {tmp_path}/pid; cat {tmp_path}/gate]]")
    read_pid(tmp_path / "pid")
    cli.user("SECOND")
    cli.control("mcp_status")
    (tmp_path / "gate").write_text("open\n")
    assert cli.result()["num_turns"] == 2
    cli.idle()
    assert cli.ask("THIRD")["result"] == "echo: THIRD"


def test_a_waiting_clear_runs_after_the_task(cli: Driver) -> None:
    cli.user("[[hang]]")
    first = cli.init()
    cli.user("/clear")
    cli.control("interrupt")
    assert is_aborted(cli.result(), "aborted_streaming")
    cleared = cli.result()
    assert (cleared["result"], cleared["num_turns"]) == ("", 0)
    assert cleared["session_id"] != first["session_id"]


def test_a_waiting_message_can_be_withdrawn(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    waiting = cli.user("SECOND")
    answer = cli.control("cancel_async_message", message_uuid=waiting)
    assert answer["response"] == {"cancelled": True}
    cli.control("interrupt")
    cli.idle()
    assert texts_in_context(cli) == ["[[hang]]"]


# Other control requests and odd lines


def test_the_permission_mode_can_be_set(cli: Driver) -> None:
    answer = cli.control("set_permission_mode", mode="plan")["response"]
    assert answer == {"mode": "plan"}
    cli.user("hello")
    assert cli.init()["permissionMode"] == "plan"


def test_the_model_can_be_set(cli: Driver) -> None:
    assert cli.control("set_model", model="claude-haiku-4-5")["subtype"] == "success"
    cli.user("hello")
    assert cli.init()["model"] == "claude-haiku-4-5"


@pytest.mark.parametrize("raw", [b"\n", b"{}\n", b"[]\n", b"42\n", b'{"type":"nonsense"}\n'])
def test_a_line_that_says_nothing_is_ignored(cli: Driver, raw: bytes) -> None:
    cli.write(raw)
    assert cli.ask("hello")["result"] == "echo: hello"


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\n",
        b"   \n",
        b"null\n",
        b"\xff\xfe\n",
        b'{"type":"user"}\n',
        b'{"type":"user","message":{"role":"assistant","content":"x"}}\n',
        b'{"type":"control_request","request_id":"1"}\n',
    ],
)
def test_a_bad_line_ends_the_process_with_1_and_says_why(cli: Driver, raw: bytes) -> None:
    cli.write(raw)
    assert cli.exit_code() == 1
    assert "Error" in cli.stderr()


# Permissions


def test_a_refused_command_is_told_in_the_result(start: Start, tmp_path: Path) -> None:
    cli = start(bash=False)
    result = cli.ask("[[bash touch /nowhere/file]]")
    denied = [(d["tool_name"], d["tool_input"]["command"]) for d in result["permission_denials"]]
    assert denied == [("Bash", "touch /nowhere/file")]
    assert (result["subtype"], result["is_error"]) == ("success", False)


def test_a_rule_allows_a_command(start: Start, tmp_path: Path) -> None:
    cli = start("--allowedTools", "Bash(touch:*)", bash=False)
    assert cli.ask("[[bash touch file]]")["permission_denials"] == []
    assert (tmp_path / "file").exists()


def test_accept_edits_allows_to_touch_a_file_of_the_working_directory(
    start: Start, tmp_path: Path
) -> None:
    cli = start("--permission-mode", "acceptEdits", bash=False)
    assert cli.ask("[[bash touch file]]")["permission_denials"] == []
    assert (tmp_path / "file").exists()


# The end


def test_end_session_when_idle_exits_with_0(cli: Driver) -> None:
    cli.ask("hello")
    assert cli.control("end_session", reason="test")["subtype"] == "success"
    assert cli.exit_code() == 0


def test_end_session_after_an_error_exits_with_1(cli: Driver) -> None:
    cli.ask("[[error 400]]")
    cli.control("end_session", reason="test")
    assert cli.exit_code() == 1


def test_end_session_when_busy_ends_the_task_and_exits_with_1(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.control("end_session", reason="test")
    assert is_aborted(cli.result(), "aborted_streaming")
    assert cli.exit_code() == 1


def test_end_session_kills_the_command_of_bash(cli: Driver, tmp_path: Path) -> None:
    cli.user(f"[[bash echo $$ > {tmp_path}/pid; sleep 300]]")
    shell = read_pid(tmp_path / "pid")
    cli.control("end_session", reason="test")
    cli.exit_code()
    wait_until_gone(shell)


def test_end_session_still_carries_out_what_waits(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.user("SECOND")
    cli.control("end_session", reason="test")
    assert is_aborted(cli.result(), "aborted_streaming")
    assert cli.result()["result"] == "echo: SECOND"
    assert cli.exit_code() == 0


def test_the_end_of_stdin_when_idle_exits_with_0(cli: Driver) -> None:
    cli.ask("hello")
    cli.end_input()
    assert cli.exit_code() == 0


def test_the_end_of_stdin_after_an_error_exits_with_1(cli: Driver) -> None:
    cli.ask("[[error 400]]")
    cli.end_input()
    assert cli.exit_code() == 1


def test_the_end_of_stdin_while_busy_lets_the_task_finish(cli: Driver) -> None:
    cli.user("[[sleep 0.5]] done")
    cli.init()
    cli.end_input()
    assert cli.result()["result"] == "echo: done"
    assert cli.exit_code() == 0


def test_sigterm_exits_with_143_at_once(cli: Driver) -> None:
    cli.user("[[hang]]")
    cli.init()
    cli.signal(signal.SIGTERM)
    assert cli.exit_code() == 143


def test_sigterm_leaves_the_command_of_bash_behind(cli: Driver, tmp_path: Path) -> None:
    cli.user(f"[[bash echo $$ > {tmp_path}/pid; sleep 300]]")
    shell = read_pid(tmp_path / "pid")
    cli.signal(signal.SIGTERM)
    try:
        assert cli.exit_code() == 143
        assert os.getpgid(shell) == os.getsid(shell) == shell
    finally:
        os.killpg(shell, signal.SIGKILL)
    wait_until_gone(shell)
