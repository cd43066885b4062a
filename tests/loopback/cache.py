"""What requests cost, under a simple model of the prompt cache.

The model, and no evidence of what the real API bills:

* a token is four bytes of the request's JSON (tools, system blocks, message blocks);
* a request's blocks up to its last `cache_control` are written to the cache, if they are 1,024
  tokens or more; nothing is ever evicted;
* what a request shares with an earlier one's written blocks, from its start on and of the same
  model, is read from the cache; then comes what is written, then what is fresh;
* the billing block, which differs from conversation to conversation, is left out;
* a cost unit is a token of fresh input: a token read is 0.1, written 1.25, of output 5.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from tests.loopback.requests import BILLING, Request

BYTES_PER_TOKEN: Final = 4
MINIMUM_TOKENS: Final = 1024
READ: Final = 0.1
WRITTEN: Final = 1.25
FRESH: Final = 1.0
OUTPUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind, of one request or of many."""

    read: float = 0.0
    written: float = 0.0
    fresh: float = 0.0
    output: float = 0.0

    @property
    def units(self) -> float:
        """Their cost, in tokens of fresh input."""
        into = self.read * READ + self.written * WRITTEN + self.fresh * FRESH
        return into + self.output * OUTPUT

    def __add__(self, other: Self) -> "Tokens":
        return Tokens(
            self.read + other.read,
            self.written + other.written,
            self.fresh + other.fresh,
            self.output + other.output,
        )


class PromptCache:
    """One cache, which is sent requests in the order of their arrival."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def send(self, request: Request, output_tokens: int) -> Tokens:
        """What that request costs; the next ones may read what it wrote."""
        ends: list[tuple[bytes, float]] = []
        at = 0.0
        marked = 0
        key = hashlib.sha256(str(request.body.get("model")).encode())
        for block in _blocks(request.body):
            marked = len(ends) + 1 if block.pop("cache_control", None) else marked
            raw = json.dumps(block, ensure_ascii=False, separators=(",", ":")).encode()
            key.update(len(raw).to_bytes(8, "big") + raw)
            at += len(raw) / BYTES_PER_TOKEN
            ends.append((key.digest(), at))
        writable = ends[:marked]
        cached = writable[-1][1] if writable and writable[-1][1] >= MINIMUM_TOKENS else 0.0
        if not cached:
            return Tokens(fresh=at, output=output_tokens)
        read = max((end for digest, end in writable if digest in self._known), default=0.0)
        read = read if read >= MINIMUM_TOKENS else 0.0
        self._known.update(digest for digest, _ in writable)
        return Tokens(read, cached - read, at - cached, output_tokens)


def _blocks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every block in the order in which the cache sees them, each a copy of its own."""
    for tool in body.get("tools") or []:
        yield dict(tool)
    for block in _content(body.get("system") or []):
        if not str(block.get("text", "")).startswith(BILLING):
            yield block
    for message in body.get("messages") or []:
        for block in _content(message["content"]):
            yield {"role": message["role"], **block}


def _content(content: Any) -> Iterator[dict[str, Any]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
        return
    for block in content:
        yield dict(block)
