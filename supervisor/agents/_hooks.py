"""The key `hooks`: commands that Claude Code runs at the agent's events.

    hooks:
      PreToolUse:
        - matcher: Bash
          hooks:
            - type: command
              command: ./check.sh

The form is that of settings.json. A hook may be what keeps an agent from doing harm, and the CLI
drops all hooks of a file without a word where one of them is malformed (measured), so a mistake
here is an error.
"""

from __future__ import annotations

import json

from ._fields import Fields
from ._finding import closest, shown
from ._frontmatter import Value

EVENTS = (
    "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification",
    "UserPromptSubmit", "UserPromptExpansion", "SessionStart", "SessionEnd", "Stop",
    "StopFailure", "SubagentStart", "SubagentStop", "PreCompact", "PostCompact",
    "PreModelSwitch", "PostModelSwitch", "PermissionRequest", "PermissionDenied", "Setup",
    "TeammateIdle", "TaskCreated", "TaskCompleted", "Elicitation", "ElicitationResult",
    "ConfigChange", "WorktreeCreate", "WorktreeRemove", "InstructionsLoaded", "CwdChanged",
    "FileChanged", "DirectoryAdded", "MessageDisplay",
)  # fmt: skip
"""The events of 2.1.330. A newer CLI may know more; an older one ignores those it does not know."""

_NEEDS = {
    "command": ("command",),
    "prompt": ("prompt",),
    "agent": ("prompt",),
    "http": ("url",),
    "mcp_tool": ("server", "tool"),
}
"""Each type of hook, and the texts that it must have."""

_KEY = "hooks"


def hooks(fields: Fields) -> str | None:
    """The hooks as canonical JSON; None: there are none, or they are wrong."""
    value = fields.value(_KEY)
    if value is None or (value.kind == "mapping" and not value.entries):
        return None
    errors = len(fields.findings)
    if value.kind != "mapping":
        _wrong(fields, value, "it must be a mapping of events, as in settings.json")
        return None
    for event, groups in value.entries:
        _check_event(fields, event, groups)
    if any(finding.is_error for finding in fields.findings[errors:]):
        return None
    return json.dumps(value.plain(), sort_keys=True)


def _check_event(fields: Fields, event: str, groups: Value) -> None:
    if event not in EVENTS:
        near = next(iter(closest(event, EVENTS, count=1)), None)
        if near is not None:
            message = f'{shown(event)} is no event. Did you mean "{near}"?'
            fields.error(groups.line, _KEY, message)
            return
        fields.warn(groups.line, _KEY, f"{shown(event)} is no event that is known; it may not run")
    if groups.kind != "list":
        _wrong(fields, groups, f"{event} must be a list of {{matcher, hooks}}")
        return
    for group in groups.items:
        _check_group(fields, event, group)


def _check_group(fields: Fields, event: str, group: Value) -> None:
    entries = dict(group.entries)
    listed = entries.get("hooks")
    if group.kind != "mapping" or listed is None or listed.kind != "list":
        _wrong(fields, group, f"each item of {event} must have a list `hooks`, and may have a "
               "`matcher`")  # fmt: skip
        return
    matcher = entries.get("matcher")
    if matcher is not None and matcher.kind not in ("text", "nothing"):
        _wrong(fields, matcher, "a matcher must be text, in quotes if need be")
    for hook in listed.items:
        _check_hook(fields, hook)


def _check_hook(fields: Fields, hook: Value) -> None:
    entries = dict(hook.entries)
    kind = entries.get("type")
    if kind is None or kind.text not in _NEEDS:
        _wrong(fields, hook, f"a hook must have a `type`: {', '.join(_NEEDS)}")
        return
    for key in _NEEDS[kind.text]:
        value = entries.get(key)
        if value is None or value.kind != "text" or not value.text.strip():
            _wrong(fields, value or hook, f"a {kind.text} hook must have a text `{key}`")
    timeout = entries.get("timeout")
    number = timeout.plain() if timeout is not None else 1
    if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
        _wrong(fields, timeout or hook, "a timeout must be a number of seconds above 0")


def _wrong(fields: Fields, value: Value, allowed: str) -> None:
    given = "" if value.kind in ("list", "mapping") else f"{shown(value.text)} does not fit: "
    fields.error(value.line, _KEY, given + allowed)
