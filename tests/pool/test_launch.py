"""How an agent's process is started: environment, arguments and permissions."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.agents import AgentDefinition, McpServer, Origin
from supervisor.place import VARIABLES
from supervisor.pool import Config, ConfigFiles
from supervisor.pool.launch import (
    PASSED_ON,
    PASSED_ON_PREFIXES,
    SETTINGS,
    Capabilities,
    arguments,
    environment,
    ignored_mode,
    passed_on,
    permission_mode,
    role,
    variables_of,
)

SHIPPED: Final = Path(__file__).resolve().parents[2] / "config" / "pool.toml"
AGENT: Final = AgentDefinition(
    name="a",
    description="",
    system_prompt="You are a.",
    tools=None,
    disallowed_tools=(),
    model=None,
    permission_mode=None,
    skills=(),
    expertise=(),
    source=Path("/agents/a.md"),
    origin="project",
    digest="",
    warnings=(),
)

CALC: Final = McpServer("calc", '{"command": "c"}', is_listed=True)

# environment

OURS: Final = (
    *VARIABLES, "AGENT_POOL_TAG", "CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_SSE_PORT", "MCP_TIMEOUT", "NODE_OPTIONS", "PYTHONPATH",
    "LD_PRELOAD", "IS_SANDBOX", "GITHUB_TOKEN", "DATABASE_URL", "OPENAI_API_KEY", "SECRET",
)  # fmt: skip
PASSED: Final = (
    *sorted(PASSED_ON), "LC_ALL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "AWS_PROFILE",
    "VERTEX_REGION_CLAUDE", "CLOUDSDK_CONFIG", "AZURE_TENANT_ID",
)  # fmt: skip
NAMES = st.sampled_from([*OURS, *PASSED]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="="), min_size=1
)
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=5)


@given(st.dictionaries(NAMES, VALUES))
def test_nothing_outside_the_allow_list_passes(environ: dict[str, str]) -> None:
    passed = passed_on(environ)

    assert all(name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES) for name in passed)


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_the_sessions_or_the_clients_does_not_pass(name: str) -> None:
    assert passed_on({name: "x"}) == {}


@pytest.mark.parametrize("name", PASSED)
def test_what_the_cli_needs_and_logs_in_with_passes_unchanged(name: str) -> None:
    assert passed_on({name: "a value"}) == {name: "a value"}


def test_variables_that_an_agent_is_to_have_pass_by_name_or_by_their_beginning() -> None:
    environ = {"MY_TOKEN": "1", "MINE": "2", "X_A": "3", "X_B": "4", "Y": "5"}

    assert passed_on(environ, ["MY_TOKEN", "X_*"]) == {"MY_TOKEN": "1", "X_A": "3", "X_B": "4"}


@pytest.mark.parametrize("name", ["AGENT_POOL_TAG", "CLAUDECODE", "IS_SANDBOX", "CLAUDE_CLI"])
def test_what_is_ours_does_not_pass_whoever_asks_for_it(name: str) -> None:
    assert passed_on({name: "x"}, [name]) == {}


@given(st.dictionaries(st.sampled_from([*SETTINGS, *OURS]), VALUES))
def test_our_settings_hold_whatever_the_environment_says(environ: dict[str, str]) -> None:
    assert environment(passed_on(environ), "acceptEdits") == SETTINGS


@pytest.mark.parametrize(
    ("uid", "mode", "expected"),
    [
        (0, "bypassPermissions", "1"),
        (0, "acceptEdits", None),
        (1000, "bypassPermissions", None),
        (1000, "acceptEdits", None),
    ],
)
def test_is_sandbox_is_set_for_root_that_bypasses_permissions_and_only_then(
    monkeypatch: pytest.MonkeyPatch, uid: int, mode: str, expected: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    env = environment(passed_on({"IS_SANDBOX": "yes"}), mode)

    assert env.get("IS_SANDBOX") == expected


# arguments


def options(definition: AgentDefinition) -> dict[str, str | None]:
    """The options and their values."""
    words = arguments(definition, "acceptEdits", Capabilities())
    found: dict[str, str | None] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("-"):
            found[word] = None if following.startswith("-") else following
    return found


def test_it_speaks_stream_json_both_ways_with_no_mcp_servers_but_its_own() -> None:
    given = options(AGENT)

    assert given["--input-format"] == given["--output-format"] == "stream-json"
    assert {"-p", "--verbose", "--strict-mcp-config", "--no-session-persistence"} <= given.keys()
    assert given["--permission-mode"] == "acceptEdits"


def test_without_a_list_it_reads_and_edits_and_runs_no_commands() -> None:
    given = options(AGENT)

    assert given["--tools"] == "Read,Glob,Grep,Edit,Write,NotebookEdit,TodoWrite"
    assert "--allowedTools" not in given


def test_an_empty_list_is_no_tools_at_all() -> None:
    given = options(replace(AGENT, tools=()))

    assert given["--tools"] == ""
    assert "--allowedTools" not in given


def test_the_tools_of_the_list_are_there_and_allowed() -> None:
    given = options(replace(AGENT, tools=("Read", "Bash")))

    assert given["--tools"] == given["--allowedTools"] == "Read,Bash"


def test_a_permission_in_the_list_brings_its_tool_and_allows_no_more_than_it_says() -> None:
    given = options(replace(AGENT, tools=("Bash(git log:*)", "Bash(git diff:*)", "Read")))

    assert given["--tools"] == "Bash,Read"
    assert given["--allowedTools"] == "Bash(git log:*),Bash(git diff:*),Read"


def test_a_star_is_every_tool_as_the_cli_has_them() -> None:
    given = options(replace(AGENT, tools=("*",)))

    assert given["--tools"] == "default"
    assert "--allowedTools" not in given


def test_a_permission_beside_a_star_is_allowed() -> None:
    given = options(replace(AGENT, tools=("*", "Bash(git log:*)")))

    assert (given["--tools"], given["--allowedTools"]) == ("default", "Bash(git log:*)")


def test_disallowed_tools_and_the_model_are_handed_on() -> None:
    given = options(replace(AGENT, disallowed_tools=("Bash", "Write"), model="opus"))

    assert (given["--disallowedTools"], given["--model"]) == ("Bash,Write", "opus")


def test_what_is_not_given_is_left_to_the_cli() -> None:
    assert not options(AGENT).keys() & {
        "--disallowedTools",
        "--model",
        "--append-system-prompt",
        "--effort",
        "--max-turns",
        "--setting-sources",
        "--add-dir",
    }


def test_effort_and_the_limit_of_turns_are_handed_on() -> None:
    given = options(replace(AGENT, effort="low", max_turns=7))

    assert (given["--effort"], given["--max-turns"]) == ("low", "7")


def test_effort_is_left_out_for_a_binary_that_does_not_know_it() -> None:
    known = Capabilities(unknown_options={"--effort"})

    assert "--effort" not in arguments(replace(AGENT, effort="low"), "plan", known)


@pytest.mark.parametrize(
    ("sources", "word"), [(("user",), "user"), (("user", "local"), "user,local"), ((), "")]
)
def test_the_sources_of_settings_are_handed_on(sources: tuple[str, ...], word: str) -> None:
    assert options(replace(AGENT, setting_sources=sources))["--setting-sources"] == word


def test_a_folder_whose_memory_files_are_read_is_added_as_text_only() -> None:
    definition = replace(AGENT, claude_md_folders=(Path("/p"),))

    assert options(definition)["--add-dir"] == "/p"
    assert variables_of(definition) == {"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1"}


@pytest.mark.parametrize(
    ("definition", "variables"),
    [
        (AGENT, {}),
        (replace(AGENT, omit_claude_md=True), {"CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1"}),
        (replace(AGENT, cache_lifetime="1h"), {"ENABLE_PROMPT_CACHING_1H": "1"}),
        (replace(AGENT, cache_lifetime="5m"), {}),
        (replace(AGENT, mcp_servers=(CALC,)), {"MCP_CONNECTION_NONBLOCKING": "0"}),
    ],
)
def test_what_the_cli_takes_by_variables_is_set_by_them(
    definition: AgentDefinition, variables: dict[str, str]
) -> None:
    assert variables_of(definition) == variables


# MCP servers


def test_a_server_that_the_definition_lists_is_allowed_whole() -> None:
    given = options(replace(AGENT, tools=("Read",), mcp_servers=(CALC,)))

    assert (given["--tools"], given["--allowedTools"]) == ("Read", "Read,mcp__calc")


def test_of_a_server_whose_tools_are_listed_those_are_allowed() -> None:
    given = options(replace(AGENT, tools=("mcp__calc__add", "Read"), mcp_servers=(CALC,)))

    assert (given["--tools"], given["--allowedTools"]) == ("Read", "mcp__calc__add,Read")


def test_a_server_that_is_only_named_by_a_tool_is_not_allowed_whole() -> None:
    named = replace(CALC, is_listed=False)

    given = options(replace(AGENT, tools=("Read",), mcp_servers=(named,)))

    assert given["--allowedTools"] == "Read"


@pytest.mark.parametrize("written", ["mcp__calc", "mcp__calc__*"])
def test_all_of_a_server_has_one_form_that_every_version_knows(written: str) -> None:
    definition = replace(AGENT, tools=(written,), disallowed_tools=("mcp__other__*",))

    given = options(replace(definition, mcp_servers=(CALC,)))

    assert (given["--allowedTools"], given["--disallowedTools"]) == ("mcp__calc", "mcp__other")


def test_an_option_that_the_binary_refused_is_left_out() -> None:
    words = arguments(AGENT, "plan", Capabilities(unknown_options={"--no-session-persistence"}))

    assert "--no-session-persistence" not in words


@given(st.from_regex(r"[A-Za-z0-9][\w.:/@\[\]-]{0,9}", fullmatch=True))
def test_the_same_definition_gives_the_same_arguments(model: str) -> None:
    definition = replace(AGENT, model=model, tools=("Bash", "Read"))

    assert arguments(definition, "plan", Capabilities()) == arguments(
        replace(definition), "plan", Capabilities()
    )


# what pool.toml says of it


def config(text: str, tmp_path: Path) -> Config:
    path = tmp_path / "pool.toml"
    path.write_text(text)
    return ConfigFiles(SHIPPED, (path,)).load()


def started(definition: AgentDefinition, text: str, tmp_path: Path) -> dict[str, str | None]:
    """The options of an agent with a pool.toml."""
    return options(role(definition, config(text, tmp_path), Path("/project"), trusted=False))


SAYS_ALL: Final = replace(
    AGENT, tools=("Read",), model="opus", permission_mode="plan", disallowed_tools=("Write",)
)


def test_what_pool_toml_leaves_open_the_definition_says(tmp_path: Path) -> None:
    assert started(SAYS_ALL, "", tmp_path) == options(SAYS_ALL)


def test_what_the_defaults_say_holds_where_the_definition_is_silent(tmp_path: Path) -> None:
    text = '[defaults.agent]\nmodel = "haiku"\neffort = "low"\ntools = ["Read", "Bash"]\n'

    given = started(AGENT, text, tmp_path)

    assert (given["--model"], given["--effort"], given["--tools"]) == ("haiku", "low", "Read,Bash")
    assert "--allowedTools" not in given


def test_the_defaults_do_not_come_before_a_definition(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[defaults.agent]\nmodel = "haiku"\ntools = []\n', tmp_path)

    assert (given["--model"], given["--tools"]) == ("opus", "Read")


def test_an_agents_own_table_comes_before_its_definition(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[agents.a]\nmodel = "haiku"\ntools = ["Bash(ls:*)"]\n', tmp_path)

    assert (given["--model"], given["--tools"], given["--allowedTools"]) == (
        "haiku",
        "Bash",
        "Bash(ls:*)",
    )


def test_an_empty_list_in_an_agents_own_table_is_no_tools_at_all(tmp_path: Path) -> None:
    assert started(SAYS_ALL, "[agents.a]\ntools = []\n", tmp_path)["--tools"] == ""


def test_an_agents_own_permission_mode_comes_before_its_definitions(tmp_path: Path) -> None:
    said = config('[agents.a]\npermission_mode = "dontAsk"\n', tmp_path)

    made = role(SAYS_ALL, said, Path("/project"), trusted=False)

    assert permission_mode(made, said.agent("a").permission_mode) == "dontAsk"


def test_what_either_denies_is_denied(tmp_path: Path) -> None:
    given = started(SAYS_ALL, '[defaults.agent]\ndisallowed_tools = ["Bash"]\n', tmp_path)

    assert given["--disallowedTools"] == "Write,Bash"


def test_extra_directories_are_opened_and_relative_ones_start_in_the_project(
    tmp_path: Path,
) -> None:
    said = config('[agents.a]\nextra_directories = ["docs", "/srv/data"]\n', tmp_path)

    words = arguments(role(AGENT, said, Path("/project"), False), "plan", Capabilities())

    assert words[-4:] == ["--add-dir", "/project/docs", "--add-dir", "/srv/data"]


def test_extra_arguments_come_last_as_they_are(tmp_path: Path) -> None:
    said = config('[agents.a]\nextra_arguments = ["--betas", "x y"]\n', tmp_path)

    words = arguments(role(AGENT, said, Path("/project"), False), "plan", Capabilities())

    assert words[-2:] == ["--betas", "x y"]


def test_an_effort_that_the_binary_refused_is_left_out(tmp_path: Path) -> None:
    said = config('[agents.a]\neffort = "low"\n', tmp_path)
    refused = Capabilities(unknown_options={"--effort"})

    assert "--effort" not in arguments(role(AGENT, said, Path("/"), False), "plan", refused)


@pytest.mark.parametrize(
    "text",
    [
        'model = "haiku"',
        'effort = "low"',
        'tools = ["Read"]',
        'disallowed_tools = ["Read"]',
        'extra_directories = ["/srv"]',
        'working_directory = "docs"',
        'environment = ["MINE"]',
        'extra_arguments = ["--x"]',
    ],
)
def test_the_digest_changes_with_all_that_decides_the_process(tmp_path: Path, text: str) -> None:
    def digest(text: str) -> str:
        return role(AGENT, config(text, tmp_path), Path("/project"), trusted=False).digest

    assert digest(f"[agents.a]\n{text}\n") != digest("") == digest("[agents.b]\nmodel = 'x'\n")


# permission mode


@pytest.mark.parametrize("origin", ["project", "user", "built-in", "AGENTS_DIR"])
def test_a_definitions_own_mode_counts(origin: Origin) -> None:
    definition = replace(AGENT, permission_mode="plan", origin=origin)

    assert permission_mode(definition, "acceptEdits") == "plan"


def test_without_one_the_configured_mode_counts() -> None:
    assert permission_mode(AGENT, "dontAsk") == "dontAsk"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("user", "bypassPermissions"),
        ("project", "acceptEdits"),
        ("built-in", "acceptEdits"),
        ("AGENTS_DIR", "acceptEdits"),
    ],
)
def test_only_the_users_own_definition_may_bypass_permissions(
    origin: Origin, expected: str
) -> None:
    definition = replace(AGENT, permission_mode="bypassPermissions", origin=origin)

    assert permission_mode(definition, "acceptEdits") == expected


@pytest.mark.parametrize(
    ("origin", "expected"), [("project", "bypassPermissions"), ("AGENTS_DIR", "acceptEdits")]
)
def test_a_project_that_is_trusted_may_bypass_permissions(
    tmp_path: Path, origin: Origin, expected: str
) -> None:
    definition = replace(AGENT, permission_mode="bypassPermissions", origin=origin)

    made = role(definition, config("", tmp_path), Path("/project"), trusted=True)

    assert permission_mode(made, "acceptEdits") == expected
    assert made.mode == expected
    assert (ignored_mode(made) is None) == (expected == "bypassPermissions")


@pytest.mark.parametrize("wanted", ["acceptEdits", "auto", "bypassPermissions"])
@pytest.mark.parametrize("configured", ["ask", "default", "dontAsk", "plan"])
def test_a_strangers_file_takes_no_question_away_that_the_user_wants_asked(
    tmp_path: Path, wanted: Any, configured: str
) -> None:
    definition = replace(AGENT, permission_mode=wanted, origin="project")
    said = config(f'[defaults.agent]\npermission_mode = "{configured}"', tmp_path)

    made = role(definition, said, Path("/project"), trusted=False)

    assert made.mode == configured
    assert wanted in (ignored_mode(made) or "")
    assert role(definition, said, Path("/project"), trusted=True).mode == wanted


def test_a_configured_bypass_holds_for_an_agent_that_says_nothing() -> None:
    assert permission_mode(AGENT, "bypassPermissions") == "bypassPermissions"


# capabilities


@pytest.mark.parametrize(
    ("rewind", "clear", "words"),
    [
        (None, None, "unknown"),
        (True, None, "rewind"),
        (True, True, "rewind"),
        (False, None, "unknown"),
        (False, True, "/clear"),
        (False, False, "new process"),
    ],
)
def test_how_the_context_is_reset_is_told_in_words(
    rewind: bool | None, clear: bool | None, words: str
) -> None:
    assert Capabilities(rewind=rewind, clear=clear).reset_by() == words
