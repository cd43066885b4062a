"""One session: its identity, its counters, and every line that it prints."""

import os
import time
from typing import Final, NamedTuple

from supervisor.rehearsal import _output, _store
from supervisor.rehearsal._conversation import Conversation, new_uuid
from supervisor.rehearsal._flags import Flags

VERSION: Final = "2.1.197-rehearsal"
DEFAULT_MODEL: Final = "claude-rehearsal"
DEFAULT_TOOLS: Final = ("Bash", "Edit", "Read", "Write")
USD_PER_INPUT_TOKEN: Final = 3e-6
USD_PER_OUTPUT_TOKEN: Final = 15e-6
Line = dict[str, object]


class Outcome(NamedTuple):
    """How a turn ended: what its result line says."""

    text: str = ""
    is_error: bool = False
    terminal_reason: str | None = "completed"
    """None for a turn without a model: a local command."""
    num_turns: int = 1
    api_error_status: int | None = None
    denials: tuple[Line, ...] = ()
    error: str | None = None
    """Given, the subtype is `error_during_execution` and there is no text."""
    stop_reason: str | None = "end_turn"
    origin: str | None = None


class Tokens(NamedTuple):
    """Tokens in and out: bytes divided by four."""

    input: int = 0
    output: int = 0

    def __str__(self) -> str:
        return f"{self.input} input, {self.output} output"

    def plus(self, other: "Tokens") -> "Tokens":
        """The sum."""
        return Tokens(self.input + other.input, self.output + other.output)

    def cost_usd(self) -> float:
        """What an invented price list makes of it."""
        return self.input * USD_PER_INPUT_TOKEN + self.output * USD_PER_OUTPUT_TOKEN


class Session:
    """What outlives a turn. Nothing here reads or waits."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        resumed = flags.last("--resume")
        self.id = resumed or flags.last("--session-id") or new_uuid()
        self.conversation = Conversation((resumed and _store.load(resumed)) or ())
        self.model = flags.last("--model") or DEFAULT_MODEL
        self.permission_mode = _permission_mode(flags)
        self.system_prompt = _joined(flags.last("--system-prompt"), [])
        self._appended = flags.last("--append-system-prompt")
        self.last_result_was_error = False
        self.ballast: list[bytearray] = []
        """Memory that tasks asked to be kept."""
        self._initialized = False
        self._started_at = self._turn_started_at = time.monotonic()
        self._turn_tokens = self._tokens = Tokens()
        self._is_minimal = "minimal" in flags.rehearse
        self._emits_states = os.environ.get("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == "1"

    # What it knows

    def whole_system_prompt(self) -> str:
        """The system prompt with what was appended, parts joined by a blank line."""
        return _joined(self.system_prompt, [self._appended])

    def initialize(self, request: Line) -> Line:
        """Take the prompt of the first `initialize`; every one is answered alike."""
        if not self._initialized:
            self.system_prompt = _joined(request.get("systemPrompt"), []) or self.system_prompt
            self._appended = _joined(self._appended, [request.get("appendSystemPrompt")])
        self._initialized = True
        return {
            "commands": [{"name": "clear", "description": "Forget", "argumentHint": ""}],
            "agents": [],
            "output_style": "default",
            "available_output_styles": ["default"],
            "models": [{"value": "default", "displayName": self.model, "description": "Rehearsal"}],
            "account": {},
            "pid": os.getpid(),
        }

    def tools(self) -> list[str]:
        """The tools that are offered, by the flags."""
        chosen = self.flags.items("--tools")
        removed = self.flags.items("--disallowedTools", "--disallowed-tools") or []
        if chosen is None or chosen == ["default"]:
            chosen = list(DEFAULT_TOOLS)
        return [tool for tool in chosen if tool not in removed]

    def rules(self) -> list[str]:
        """What `--allowedTools` allows."""
        return self.flags.items("--allowedTools", "--allowed-tools") or []

    def asks_host(self) -> bool:
        """Whether the host is asked for what is neither allowed nor forbidden."""
        prompts = self.flags.last("--permission-prompt-tool") == "stdio"
        return prompts and self.permission_mode not in ("dontAsk", "bypassPermissions")

    def spend(self, tokens: Tokens) -> None:
        """Count one request to the model."""
        self._turn_tokens = self._turn_tokens.plus(tokens)
        self._tokens = self._tokens.plus(tokens)

    def cost_text(self) -> str:
        """What `get_session_cost` answers."""
        cost = self._tokens.cost_usd()
        return (
            f"Total cost:            ${cost:.4f}\nUsage by model:\n   {self.model}:  {self._tokens}"
        )

    def usage(self) -> Line:
        """What `get_usage` answers."""
        return {
            "session": {
                "total_cost_usd": self._tokens.cost_usd(),
                "total_api_duration_ms": 0,
                "total_duration_ms": int((time.monotonic() - self._started_at) * 1000),
                "model_usage": self._model_usage(),
            }
        }

    def clear(self) -> None:
        """Forget the conversation; counters, model and permission mode stay."""
        self.conversation.clear()
        self.id = new_uuid()

    # What it prints

    def print(self, line: Line) -> None:
        """Print one line as it is."""
        _output.write(1, _output.encode(line))

    def print_state(self, state: str) -> None:
        """`running` or `idle`, where the environment asks for it."""
        if self._emits_states and not self._is_minimal:
            self._print_system("session_state_changed", state=state)

    def print_status(self) -> None:
        """The permission mode has changed."""
        if not self._is_minimal:
            self._print_system("status", status=None, permissionMode=self.permission_mode)

    def print_init(self) -> None:
        """Start a turn: its clock and its usage begin at nought."""
        self._turn_started_at = time.monotonic()
        self._turn_tokens = Tokens()
        if self._is_minimal:
            return
        self._print_system(
            "init",
            cwd=os.getcwd(),
            tools=self.tools(),
            mcp_servers=[],
            model=self.model,
            permissionMode=self.permission_mode,
            slash_commands=["clear"],
            apiKeySource="ANTHROPIC_API_KEY",
            claude_code_version=VERSION,
            output_style="default",
            agents=[],
            skills=[],
            plugins=[],
        )

    def print_assistant(self, block: Line, uuid: str, *, error: str | None = None) -> None:
        """One content block of the model; synthetic where it is an API error."""
        self._print_assistant(block, uuid, "<synthetic>" if error else self.model, error)

    def print_synthetic(self, text: str) -> None:
        """What the CLI says itself where a local command has run."""
        self._print_assistant({"type": "text", "text": text}, new_uuid(), "<synthetic>", None)

    def print_user(self, block: Line, **more: object) -> None:
        """A tool's result, or a text that the CLI puts into the user's mouth."""
        self._print_user([block], **more)

    def print_model_set(self, text: str) -> None:
        """The line that comes before the answer to `set_model`."""
        self._print_user(text, isReplay=True)

    def print_result(self, outcome: Outcome, *, times: int = 1) -> None:
        """End a turn."""
        self.last_result_was_error = outcome.is_error
        if not self.flags.has("--no-session-persistence"):
            _store.save(self.id, self.conversation)
        line = self._few_fields(outcome) if self._is_minimal else self._result(outcome)
        for _ in range(times):
            self.print(line)

    def _print_system(self, subtype: str, **fields: object) -> None:
        own: Line = {"uuid": new_uuid(), "session_id": self.id}
        self.print({"type": "system", "subtype": subtype, **fields, **own})

    def _print_assistant(self, block: Line, uuid: str, model: str, error: str | None) -> None:
        message: Line = {
            "id": f"msg_{new_uuid()}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [block],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._turn_tokens.input, "output_tokens": 1},
            "context_management": None,
        }
        line: Line = {"type": "assistant", "message": message, "parent_tool_use_id": None}
        line |= {"session_id": self.id, "uuid": uuid}
        self.print(line | ({"error": error} if error else {}))

    def _print_user(self, content: object, **more: object) -> None:
        line: Line = {"type": "user", "message": {"role": "user", "content": content}}
        line |= {"parent_tool_use_id": None, "session_id": self.id, "uuid": new_uuid()}
        line["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        self.print(line | more)

    def _few_fields(self, outcome: Outcome) -> Line:
        subtype = "error_during_execution" if outcome.error else "success"
        line: Line = {"type": "result", "subtype": subtype, "is_error": outcome.is_error}
        return line | {"result": outcome.text, "session_id": self.id}

    def _result(self, outcome: Outcome) -> Line:
        """The fields of 2.1.197; which are absent says as much as the values do."""
        is_local = outcome.terminal_reason is None
        line: Line = {"type": "result", "is_error": outcome.is_error}
        if outcome.error is None:
            line |= {"subtype": "success", "result": outcome.text}
        else:
            line |= {"subtype": "error_during_execution", "errors": [outcome.error]}
        if outcome.error is None and not is_local:
            line["api_error_status"] = outcome.api_error_status
        return line | {
            "duration_ms": int((time.monotonic() - self._turn_started_at) * 1000),
            "duration_api_ms": 0,
            "num_turns": outcome.num_turns,
            "stop_reason": None if is_local else outcome.stop_reason,
            "session_id": self.id,
            "total_cost_usd": self._tokens.cost_usd(),
            "usage": self._usage(),
            "modelUsage": self._model_usage(),
            "permission_denials": list(outcome.denials),
            **({} if is_local else {"terminal_reason": outcome.terminal_reason}),
            **({"origin": {"kind": outcome.origin}} if outcome.origin else {}),
            "fast_mode_state": "off",
            "uuid": new_uuid(),
        }

    def _usage(self) -> Line:
        return {
            "input_tokens": self._turn_tokens.input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": self._turn_tokens.output,
            "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            "service_tier": "standard",
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
        }

    def _model_usage(self) -> Line:
        if self._tokens == Tokens():
            return {}
        return {
            self.model: {
                "inputTokens": self._tokens.input,
                "outputTokens": self._tokens.output,
                "cacheReadInputTokens": 0,
                "cacheCreationInputTokens": 0,
                "costUSD": self._tokens.cost_usd(),
                "contextWindow": 200_000,
                "maxOutputTokens": 32_000,
            }
        }


def _permission_mode(flags: Flags) -> str:
    if flags.has("--dangerously-skip-permissions"):
        return "bypassPermissions"
    return flags.last("--permission-mode") or "default"


def _joined(first: object, rest: list[object]) -> str:
    """Texts, or lists of texts, joined by a blank line; what is neither is left out."""
    parts: list[object] = []
    for item in (first, *rest):
        parts += item if isinstance(item, list) else [item]
    return "\n\n".join(part for part in parts if isinstance(part, str) and part)
