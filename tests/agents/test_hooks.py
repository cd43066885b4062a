"""The key `hooks`: what is a hook, and what is told where one is not."""

from __future__ import annotations

import json

import pytest

from .test_definition import described, only

HOOK = ["hooks:", "  PreToolUse:", "    - matcher: Bash", "      hooks:"]


def of(*lines: str) -> str:
    agent = described(*lines)
    assert agent.findings == ()
    assert agent.hooks is not None
    return agent.hooks


def test_hooks_are_kept_as_settings_json_has_them() -> None:
    command = "        - {type: command, command: ./check.sh, timeout: 5, async: true}"
    assert json.loads(of(*HOOK, command)) == {
        "PreToolUse": [
            {
                "matcher": "Bash",
                "hooks": [
                    {"type": "command", "command": "./check.sh", "timeout": 5, "async": True}
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    "hook",
    [
        "{type: prompt, prompt: Is it done}",
        "{type: agent, prompt: Verify it.}",
        "{type: http, url: 'http://127.0.0.1/hook'}",
        "{type: mcp_tool, server: scan, tool: run}",
    ],
)
def test_every_type_of_hook_is_one(hook: str) -> None:
    assert of("hooks:", "  Stop:", "    - hooks:", f"        - {hook}")


def test_the_order_of_keys_does_not_matter() -> None:
    first = of("hooks: {Stop: [{hooks: [{type: command, command: x}]}]}")
    second = of("hooks: {Stop: [{hooks: [{command: x, type: command}]}]}")
    assert first == second


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (["hooks: ./hooks.json"], 4, "must be a mapping of events"),
        (["hooks: [x]"], 4, "must be a mapping of events"),
        (["hooks:", "  PreToolUs: []"], 5, 'Did you mean "PreToolUse"?'),
        (["hooks:", "  Stop: ./x.sh"], 5, "Stop must be a list"),
        (["hooks:", "  Stop:", "    - matcher: Bash"], 6, "must have a list `hooks`"),
        (["hooks:", "  Stop:", "    - command: x"], 6, "must have a list `hooks`"),
        (["hooks:", "  Stop:", "    - matcher: [a]", "      hooks: []"], 6, "must be text"),
        ([*HOOK, "        - command: x"], 8, "must have a `type`: command, prompt"),
        ([*HOOK, "        - type: shell"], 8, "must have a `type`"),
        ([*HOOK, "        - x"], 8, "must have a `type`"),
        ([*HOOK, "        - type: command"], 8, "must have a text `command`"),
        ([*HOOK, "        - type: command", "          command: 5"], 9, "a text `command`"),
        ([*HOOK, "        - type: http"], 8, "must have a text `url`"),
        ([*HOOK, "        - {type: command, command: x, timeout: soon}"], 8, "number of seconds"),
        ([*HOOK, "        - {type: command, command: x, timeout: 0}"], 8, "number of seconds"),
        ([*HOOK, "        - {type: command, command: x, timeout: true}"], 8, "number of seconds"),
    ],
)
def test_a_hook_that_would_not_run_is_an_error_at_its_line(
    lines: list[str], line: int, said: str
) -> None:
    agent = described(*lines)
    error = only(agent, "error")
    assert (error.line, error.key) == (line, "hooks")
    assert said in error.message
    assert agent.hooks is None


def test_an_event_of_a_newer_claude_code_is_kept_with_a_warning() -> None:
    agent = described("hooks: {Zap: [{hooks: [{type: command, command: x}]}]}")
    assert "it may not run" in only(agent, "warning").message
    assert agent.hooks is not None
