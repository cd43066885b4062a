"""What is wrong with a line of `invoke-many` is told with its place, and with what is wanted."""

from pathlib import Path

import pytest

from supervisor.cli._input import ALLOWED, TASK_LIMIT, InputError, read_task, read_tasks


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"agent": "a" "task": "b"}', "line 2, column 15: no JSON: expecting ',' delimiter"),
        ("[1, 2]", "line 2: a list, and no object"),
        ('"text"', "line 2: a text, and no object"),
        ("3", "line 2: a number, and no object"),
        ("null", "line 2: null, and no object"),
        ('{"agent": "a"}', 'line 2: "task" is missing'),
        ('{"agent": 1, "task": "b"}', 'line 2: "agent" must be a text that is not empty'),
    ],
)
def test_a_line_that_cannot_be_a_task(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(f'{{"agent": "a", "task": "b"}}\n{line}\n')

    with pytest.raises(InputError) as refused:
        read_tasks(str(file))

    assert f"{file}, {told}" in str(refused.value)
    assert str(refused.value).endswith(ALLOWED)


@pytest.mark.parametrize("limit", ["Infinity", "NaN", "0", '"9"', "true"])
def test_a_timeout_that_is_no_number_of_seconds(tmp_path: Path, limit: str) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(f'{{"agent": "a", "task": "b", "timeout_s": {limit}}}\n')

    with pytest.raises(InputError, match='"timeout_s" must be a number of seconds above 0'):
        read_tasks(str(file))


def test_a_task_that_is_too_long_says_how_long_it_may_be() -> None:
    with pytest.raises(InputError, match=r"10,000,001 bytes; allowed are 10,000,000"):
        read_task("x" * (TASK_LIMIT + 1))
