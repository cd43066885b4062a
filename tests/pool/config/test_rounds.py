"""One run tells of everything: no finding hides another, and none is told twice."""

import pytest

from supervisor.pool.config import ConfigError
from tests.pool.config.conftest import Files


def told(files: Files, text: str) -> list[tuple[int | None, str]]:
    """Line and key of every error in the user's file."""
    files.write(files.user, text)
    return [(one.line, one.key) for one in files.problems()]


def test_values_keys_and_what_does_not_fit_together_are_told_at_once_by_line(files: Files) -> None:
    text = """\
[agents.a]
replicas = 2
min_replicas = 3
linger = "1s"
[agents.b]
supervisor = "nobody"
hard_ceiling = "1MiB"
tools = "Read"
[supervisors.g]
parent = "g"
strategy = "all"
"""

    assert told(files, text) == [
        (3, "agents.a.min_replicas"),
        (4, "agents.a.linger"),
        (6, "agents.b.supervisor"),
        (7, "agents.b.hard_ceiling"),
        (8, "agents.b.tools"),
        (10, "supervisors.g.parent"),
        (11, "supervisors.g.strategy"),
    ]


def test_an_item_of_a_list_hides_no_other(files: Files) -> None:
    files.write(files.user, '[agents.a]\ntools = [\n  "Raed",\n  3,\n  "Bsh",\n]\n')

    with pytest.raises(ConfigError) as told:
        files.load()

    assert [one.line for one in told.value.problems] == [4]
    assert [one.line for one in told.value.warnings] == [3, 5]


def test_a_top_level_mistake_hides_nothing(files: Files) -> None:
    text = '[server]\n[agents.a]\nmin_replicas = 3\n[logs]\nlevel = "q"\n'

    assert told(files, text) == [
        (1, "server"),
        (3, "agents.a.min_replicas"),
        (5, "logs.level"),
    ]


def test_a_value_for_all_defaults_hides_nothing_in_the_tables_of_agents(files: Files) -> None:
    text = "defaults = 1\n[agents.a]\nqueue_limit = 0\nmin_replicas = 3\nreplicas = 2\n"

    assert told(files, text) == [
        (1, "defaults"),
        (3, "agents.a.queue_limit"),
        (4, "agents.a.min_replicas"),
    ]


def test_what_is_in_a_table_that_is_misspelled_is_judged_as_if_it_were_not(files: Files) -> None:
    text = '[agent.a]\nrestart = "always"\nreplcas = 0\n'

    assert told(files, text) == [
        (1, "agent"),
        (2, "agents.a.restart"),
        (3, "agents.a.replcas"),
        (3, "agents.a.replicas"),
    ]


def test_a_misspelled_key_is_read_as_it_was_meant(files: Files) -> None:
    text = "[agents.a]\nreplcas = 5\nmin_replicas = 3\n"

    assert told(files, text) == [(2, "agents.a.replcas")]


def test_a_value_that_is_wrong_is_not_told_again_for_what_it_would_have_fitted(
    files: Files,
) -> None:
    text = '[agents.a]\nsoft_ceiling = "4GiB"\nhard_ceiling = "8 gigs"\n'

    assert told(files, text) == [(3, "agents.a.hard_ceiling")]


def test_every_item_of_a_list_is_told_in_its_own_line(files: Files) -> None:
    text = """\
[agents.a]
environment = [
  "A=1",
  "B",
  "C=2",
]
extra_arguments = ["--verbose", "--model"]
disallowed_tools = ["Wrte", "Bsh"]
[frontend]
tools = ["invok", "list", "wiat"]
"""

    assert told(files, text) == [
        (3, "agents.a.environment"),
        (5, "agents.a.environment"),
        (7, "agents.a.extra_arguments"),
        (7, "agents.a.extra_arguments"),
        (8, "agents.a.disallowed_tools"),
        (8, "agents.a.disallowed_tools"),
        (10, "frontend.tools"),
        (10, "frontend.tools"),
    ]


def test_a_mistake_that_another_file_overrides_is_told_all_the_same(files: Files) -> None:
    files.write(files.project, '[pool]\nlinger = "1s"\n')

    assert told(files, "[pool]\nlinger = 5\n") == [(2, "pool.linger")]


def test_an_unknown_group_is_told_once_also_where_its_agent_is_significant(files: Files) -> None:
    text = '[agents.a]\nsupervisor = "g"\nrestart = "transient"\nsignificant = true\n'

    assert told(files, text) == [(2, "agents.a.supervisor")]


# what is no TOML


def test_each_place_that_is_no_toml_is_told_and_the_rest_is_judged(files: Files) -> None:
    text = """\
[pool]
linger = 60s
spares = 99
[agents.a
model = 7
[agents.b]
tools = ["Read",
  "Grep"
replicas = 2
min_replicas = 3
[agents.c]
working_directory = "C:\\work"
queue_limit = 0
"""

    assert told(files, text) == [
        (2, ""),
        (3, "pool.spares"),
        (4, ""),
        (5, "agents.a.model"),
        (7, ""),
        (10, "agents.b.min_replicas"),
        (12, ""),
        (13, "agents.c.queue_limit"),
    ]


def test_of_a_file_that_is_no_toml_in_places_what_it_may_say_there_is_not_held_against_the_rest(
    files: Files,
) -> None:
    text = '[supervisors.\n[agents.a]\nsupervisor = "g"\nmin_replicas = 3\nreplicas = 3O\n'

    assert told(files, text) == [(1, ""), (5, "")]


def test_one_statement_that_is_no_toml_keeps_nothing_else_from_being_judged(files: Files) -> None:
    text = '[pool]\nlinger = 60s\n[agents.a]\nsupervisor = "nobody"\nmin_replicas = 3\n'

    assert told(files, text) == [
        (2, ""),
        (4, "agents.a.supervisor"),
        (5, "agents.a.min_replicas"),
    ]


def test_a_line_of_words_hides_no_group_that_is_not_there(files: Files) -> None:
    text = '[agents.a]\nsupervisor = "g"\n[supervisors.h]\n[pool]\nthis is no toml\n# why\n'

    assert told(files, text) == [(2, "agents.a.supervisor"), (5, "")]


def test_a_line_of_words_may_have_been_what_its_table_lacks(files: Files) -> None:
    text = '[defaults.agent]\nhard_ceiling = "1MiB"\nsoft ceiling 512KiB\n'

    assert told(files, text) == [(3, "")]


def test_a_line_of_words_is_no_other_value_of_what_its_table_says(files: Files) -> None:
    text = '[agents.a]\nhard_ceiling = "1MiB"\nsoft_ceiling = "2MiB"\nthis is no toml\n'

    assert told(files, text) == [(2, "agents.a.hard_ceiling"), (4, "")]


@pytest.mark.parametrize("lost", ["supervisors g", "supervisors.g", "g:", "this is\nsupervisors.g"])
def test_a_line_that_may_have_been_a_group_is_one(files: Files, lost: str) -> None:
    assert told(files, f'[agents.a]\nsupervisor = "g"\n[pool]\n{lost}\n') == [(4, "")]


def test_what_stands_below_a_header_that_is_wrong_is_judged_as_it_was_meant(files: Files) -> None:
    text = """\
[agents.a]
model = "opus"
[agents.my agent]
queue_limit = 0
[agents.a]
model = 7
min_replicas = 3
[supervisors.g
[agents.b]]
supervisor = "g"
replicas = 0
"""

    assert told(files, text) == [
        (3, ""),
        (4, 'agents."my agent".queue_limit'),
        (5, ""),
        (7, "agents.a.min_replicas"),
        (8, ""),
        (9, ""),
        (11, "agents.b.replicas"),
    ]


def test_a_group_whose_statement_is_no_toml_may_still_be_one(files: Files) -> None:
    text = '[supervisors]\ng = {\n[agents.a]\nsupervisor = "g"\n'

    assert told(files, text) == [(2, "")]


def test_a_text_that_is_never_closed_is_told_where_it_begins(files: Files) -> None:
    text = '[pool]\nlinger = "5"\nname = """a\n[agents.a]\nqueue_limit = 0\n'

    assert told(files, text) == [(2, "pool.linger"), (3, "")]


def test_what_follows_a_byte_order_mark_is_judged(files: Files) -> None:
    assert told(files, "\ufeff[pool]\nlinger = 5\n") == [(1, ""), (2, "pool.linger")]


def test_a_file_that_is_no_toml_anywhere_is_given_up(files: Files) -> None:
    assert len(told(files, "this is prose\n" * 200)) <= 21


# what a project may not say


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[http]\naddress = "localhost"\n', "http.address"),
        ('[agents.a]\nenvironment = ["A=1"]\n', "agents.a.environment"),
        ("[agents.a]\ncommand = 7\n", "agents.a.command"),
        ('[pool]\nstate_folder = "here"\n', "pool.state_folder"),
        ('[agents.a]\nworking_directory = "\\u0000"\n', "agents.a.working_directory"),
        ('[agents.a]\nextra_directories = ["\\u0000"]\n', "agents.a.extra_directories"),
    ],
)
def test_a_value_that_is_left_out_is_judged_too(files: Files, text: str, key: str) -> None:
    files.write(files.project, text)

    (problem,) = files.problems()

    assert (problem.line, problem.key) == (2, key)
    assert "does not fit" in problem.message or "holds a" in problem.message


# warnings


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        (
            '[agents.a]\ntools = [\n  "Read",\n  "Raed",\n]\n', 4, "agents.a.tools",
            '"Raed" is no tool that is known; did you mean "Read"?',
        ),
        (
            '[agents.a]\ntools = ["all"]\n', 2, "agents.a.tools", 'did you mean "*"?',
        ),
        (
            '[defaults.agent]\ntools = ["Bsh(ls)"]\n[agents.a]\n', 2, "defaults.agent.tools",
            'did you mean "Bash"?',
        ),
        (
            '[agents.a]\ntools = ["Read", "Read"]\n', 2, "agents.a.tools",
            '"Read" is listed twice',
        ),
        (
            '[agents.a]\ntools = ["Read"]\ndisallowed_tools = ["Read"]\n', 2, "agents.a.tools",
            "denied by disallowed_tools as well",
        ),
        (
            '[agents.a]\nmodel = "sonnett"\n', 2, "agents.a.model", 'did you mean "sonnet"?',
        ),
        (
            "[pool]\n[supervisors.unused]\n", 2, "supervisors.unused",
            'supervisor = "unused" under [agents.<name>]',
        ),
    ],
)  # fmt: skip
def test_what_can_be_and_is_hardly_meant_is_a_warning(
    files: Files, text: str, line: int, key: str, says: str
) -> None:
    files.write(files.user, text)

    (warning,) = files.warnings()

    assert (warning.line, warning.key) == (line, key)
    assert says in warning.message


@pytest.mark.parametrize(
    "text",
    [
        '[supervisors.g]\n[agents.a]\nsupervisor = "g"\n',
        '[supervisors.g]\n[defaults.agent]\nsupervisor = "g"\n',
        '[supervisors.g]\n[supervisors.h]\nparent = "g"\n[agents.a]\nsupervisor = "h"\n',
        '[agents.a]\nmodel = "claude-sonnet-4-5"\ntools = ["Bash(ls)", "mcp__a__b", "New"]\n',
    ],
)
def test_what_is_in_order_gives_no_warning(files: Files, text: str) -> None:
    files.write(files.user, text)

    assert files.warnings() == []


def test_a_group_that_is_named_by_a_misspelled_name_is_not_unused_as_well(files: Files) -> None:
    files.write(files.user, '[supervisors.team]\n[agents.a]\nsupervisor = "taem"\n')

    error = files.error()

    assert ([one.key for one in error.problems], error.warnings) == (["agents.a.supervisor"], ())


def test_a_name_that_is_none_is_not_told_to_be_unknown_as_well(files: Files) -> None:
    files.write(files.user, '[agents."a/b"]\n')

    rest = files.error().rest

    assert rest is not None
    assert rest.undefined({"a"}) == []


def test_an_agent_that_has_a_table_is_suggested_where_no_other_is_near(files: Files) -> None:
    files.write(files.project, "[agents.example]\n[agents.exmple]\n")

    (found,) = files.find().read().undefined({"example"})

    assert 'did you mean "example"?' in found.message
