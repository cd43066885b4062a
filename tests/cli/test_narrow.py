"""What tables of processes and tasks show where a line is short, and where it is not."""

from supervisor.cli._calls import _gone
from supervisor.cli._ps import Row, table_of
from supervisor.cli._top import HEAD, _narrowed
from supervisor.pool.config import ENVIRONMENT, ConfigError, Problem
from supervisor.pool.refusals import config_error

LONG = "claude " + "x" * 200
ROW = Row(7, 1, "agent", "coder", None, "/s", "/p", 2**20, 3.0, LONG)
BUSY = (
    "code-explorer", "busy", "4711", "12%", "250 MiB", "3", "0", "1", "0", "$0.0100", "12.3 s",
    "t-0123456789ab", "Bash: make test",
)  # fmt: skip


def test_a_command_line_of_ps_is_whole_in_a_pipe() -> None:
    assert table_of([ROW], None).endswith(LONG)


def test_a_line_of_ps_fits_a_terminal() -> None:
    assert max(map(len, table_of([ROW], 60).splitlines())) == 60


def test_top_shows_on_80_columns_what_is_done_now() -> None:
    head, row = _narrowed([HEAD, BUSY], 80)

    assert head[-3:] == ("RAN", "TASK", "DOING")
    assert row[-1] == "Bash: make test"


def test_top_leaves_nothing_out_where_there_is_room() -> None:
    assert _narrowed([HEAD, BUSY], 200) == [HEAD, BUSY]


def test_a_pool_that_went_in_mid_call_leaves_the_command_for_its_task() -> None:
    gone = _gone("invoke", "coder: working (3 s; task t-0123456789ab)", OSError("reset"))

    assert gone.task_id == "t-0123456789ab"
    assert "agent-pool result t-0123456789ab" in str(gone)


def test_of_a_wrong_variable_it_is_not_said_that_it_is_read_again() -> None:
    wrong = ConfigError([Problem(ENVIRONMENT, None, "TASK_TIMEOUT_MS", "does not fit")])

    assert "read again" not in config_error(wrong).advice
    assert "agent-pool stop" in config_error(wrong).advice
