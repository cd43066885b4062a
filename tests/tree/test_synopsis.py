"""The synopsis of the room runs."""

import doctest

import supervisor.tree


def test_the_synopsis_in_the_docstring_runs_as_printed() -> None:
    result = doctest.testmod(supervisor.tree)
    assert result.attempted > 0
    assert result.failed == 0
