"""From a request to the model's answer, and from an answer to the API's wire format. No I/O."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.loopback.directives import TOOLS, Directive, parse
from tests.loopback.requests import Request

PARTS_OF_A_SLOW_ANSWER: Final = 10
ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
SIDE_ANSWER: Final = '{"title": "A title"}'
Event = tuple[str, dict[str, Any]]
ToolUse = tuple[str, dict[str, Any]]
"""A tool's name and its input."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the scripted model does with one request."""

    text: str = ""
    """No text at all if empty."""
    uses: tuple["ToolUse", ...] = ()
    """The tools that it uses after the text, all in one message."""
    delay_s: float = 0.0
    """Seconds of silence before the first byte."""
    slow_s: float = 0.0
    """Seconds over which the text is streamed; at once if 0."""
    hangs: bool = False
    """Never answered."""
    error_status: int = 0
    """The HTTP status of the error that is answered instead; none if 0."""

    @property
    def output_tokens(self) -> int:
        """Bytes of the text and of the tools' inputs, divided by four."""
        inputs = "".join(json.dumps(written) for _, written in self.uses)
        return -(-len((self.text + inputs).encode()) // 4)


def answer_to(request: Request) -> Answer:
    """What the directives of the newest task text say, continued after its last tool results.

    A side request is answered at once with a title, whatever the task it quotes may say.

    Raises:
        ValueError: a directive's argument is not what it must be, with the directive.
    """
    if not request.is_task:
        return Answer(SIDE_ANSWER)
    directives = parse(request.last_user_text())
    results = request.tool_results()
    parts: list[str] = []
    if results:
        used, count, directives = _split_after_tool(directives, len(results))
        parts = [f"{used}: {result}" for result in results[-count:]]
    return _carry_out(directives, parts, request)


def _split_after_tool(
    directives: list[Directive], results: int
) -> tuple[str, int, list[Directive]]:
    """The directive of the last of so many results, its number of uses, and what follows it."""
    for index, directive in enumerate(directives):
        uses = len(_uses(directive)) if directive.name in TOOLS else 0
        if 0 < results <= uses:
            return directive.name, uses, directives[index + 1 :]
        results -= uses
    return "tool", 1, []


def _carry_out(directives: list[Directive], parts: list[str], request: Request) -> Answer:
    delay_s = slow_s = 0.0
    for directive in directives:
        argument = directive.argument
        match directive.name:
            case "echo":
                parts.append(f"echo: {argument}")
            case "say":
                parts.append(argument)
            case "context":
                parts.append(_context(request))
            case "system":
                parts.append(request.system_text())
            case "size":
                parts.append("x" * int(_number(directive)))
            case "sleep":
                delay_s += _number(directive)
            case "slow":
                slow_s += _number(directive)
            case "hang":
                return Answer(hangs=True)
            case "error":
                return Answer(error_status=int(_number(directive)), delay_s=delay_s)
            case "bash" | "tool":
                return Answer("\n".join(parts), _uses(directive), delay_s, slow_s)
    return Answer("\n".join(parts), delay_s=delay_s, slow_s=slow_s)


def _context(request: Request) -> str:
    earlier = request.task_texts()[:-1]
    return f"context: {len(earlier)} user texts: {json.dumps(earlier)}"


def _number(directive: Directive) -> float:
    try:
        return float(directive.argument)
    except ValueError:
        raise ValueError(
            f"[[{directive.name} …]] wants a number, not {directive.argument!r}"
        ) from None


def _uses(directive: Directive) -> tuple[ToolUse, ...]:
    if directive.name == "bash":
        command = {"command": directive.argument, "description": "as the task says"}
        return (("Bash", command),)
    uses: list[ToolUse] = []
    rest = directive.argument
    while rest:
        name, _, written = (part.strip() for part in rest.partition(" "))
        tool_input, end = json.JSONDecoder().raw_decode(written) if written else ({}, 0)
        if not isinstance(tool_input, dict):
            raise ValueError(f"[[tool {name} …]] wants a JSON object, not {written!r}")  # noqa: TRY004
        uses.append((name, tool_input))
        rest = written[end:].strip()
    return tuple(uses)


def error_body(status: int, message: str) -> dict[str, Any]:
    """The API's error JSON."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def message(answer: Answer, request: Request, number: int) -> dict[str, Any]:
    """The whole answer as the API gives it without streaming. `number` makes its ids unique."""
    content: list[dict[str, Any]] = []
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    for index, (name, tool_input) in enumerate(answer.uses):
        use_id = f"toolu_loopback_{number}_{index}"
        content.append({"type": "tool_use", "id": use_id, "name": name, "input": tool_input})
    return {
        "id": f"msg_loopback_{number}",
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model", ""),
        "content": content,
        "stop_reason": "tool_use" if answer.uses else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": request.input_tokens(),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.output_tokens,
        },
    }


def events(whole: dict[str, Any], parts: int) -> Iterator[Event]:
    """The same message as the API streams it, each text in `parts` deltas."""
    usage = whole["usage"]
    opening = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield "message_start", {"message": opening}
    for index, block in enumerate(whole["content"]):
        yield from _block_events(index, block, parts)
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    yield "message_stop", {}


def _block_events(index: int, block: dict[str, Any], parts: int) -> Iterator[Event]:
    if block["type"] == "text":
        opening: dict[str, Any] = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in _split(block["text"], parts)]
    else:
        opening = {**block, "input": {}}
        written = json.dumps(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": written}]
    yield "content_block_start", {"index": index, "content_block": opening}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def _split(text: str, parts: int) -> list[str]:
    size = max(1, -(-len(text) // parts))
    return [text[at : at + size] for at in range(0, len(text), size)]


def encode(event: Event) -> bytes:
    """One server-sent event."""
    name, data = event
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
