"""The YAML between two `---` lines at the top of a markdown file.

    ---
    name: reviewer          # a comment
    tools: [Read, Grep]
    ---
    The body.

It is read by PyYAML's safe loader as far as the node tree, because only nodes know their
lines. Nothing is ever constructed from a tag. Aliases are refused, depth and size are
limited, so no small file becomes a large value.

Two mistakes that Claude Code's own reader forgives are forgiven here as well, with a
warning: an unquoted `: ` (or another YAML sign) in a one-line text, and tabs used for
indentation. The first one not in the keys that decide what an agent may do and be, apart from the
`*` of `tools`: a guess could be wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from ._finding import Finding, closest, shown

MAX_BYTES = 64 * 1024
_MAX_DEPTH = 20
_MOST_MISTAKES = 20
_RETRIED = 8 * 1024  # characters; of a longer one, only the first mistake is looked for

Kind = Literal["text", "nothing", "list", "mapping", "number", "true/false", "date", "unknown"]

_SCALAR_KINDS: Mapping[str, Kind] = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "true/false",
    "tag:yaml.org,2002:timestamp": "date",
}

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_OPENING = re.compile(r"\s*^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_NAME_LINE = re.compile(r"^name:[ \t]*(.*?)[ \t]*(?:[ \t]#.*)?$", re.MULTILINE)
_KEY_LINE = re.compile(r"^([^\s#:][^:]*):(?:\s|$)")
_QUOTE_IN_QUOTES = re.compile(r"""^[\w-]+:\s+(?:'.*'.*'|".*".*")\s*$""")
_REPAIRABLE = re.compile(r"^([A-Za-z_][\w-]*):[ \t]+(?![\"'|>])(\S.*)$")
_TEXTS = frozenset({"name", "description"})
_STARTS_WITH_STAR = frozenset({"tools", "disallowedTools"})
_NOT_GUESSED = frozenset({
    "tools", "disallowedTools", "model", "permissionMode", "maxTurns", "effort", "skills",
    "expertise", "mcpServers", "hooks", "omitClaudeMd", "settingSources", "memory", "isolation",
    "background", "experimental",
})  # fmt: skip
_KNOWN = _NOT_GUESSED | _TEXTS | {"color", "initialPrompt"}
_WHOLE_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")

_HINTS = {
    "mapping values are not allowed": 'put quotes around a value that contains ": "',
    "cannot start any token": "indent with spaces, and quote a value that starts with a sign",
    "could not find expected ':'": "every line is `key: value`, or an item `- value` of a list",
    "while parsing a flow sequence": "close the list with ]",
    "while parsing a block": "align the keys, and the items of a list, under each other",
    "while scanning a quoted scalar": "close the quotes",
    "while scanning an alias": "put quotes around a value that starts with *",
    "while scanning an anchor": "put quotes around a value that starts with &",
}


@dataclass(frozen=True, slots=True)
class Value:
    """What stands behind a key, or one item of a list."""

    kind: Kind
    """What YAML takes it for."""
    text: str
    """A scalar as it was written; a list or a mapping in a word."""
    line: int
    """The line of its key, or of the item; counted from 1 in the file."""
    items: tuple[Value, ...] = ()
    """The items of a list."""
    entries: tuple[tuple[str, Value], ...] = ()
    """The keys of a mapping, in the file's order, and what stands behind each."""

    def plain(self) -> object:
        """The value as JSON can write it.

        What YAML 1.2, which Claude Code reads, takes for text is text here as well: dates,
        `yes`, `1:30`.
        """
        match self.kind:
            case "list":
                return [item.plain() for item in self.items]
            case "mapping":
                return {key: value.plain() for key, value in self.entries}
            case "nothing":
                return None
            case "true/false" if self.text.casefold() in ("true", "false"):
                return self.text.casefold() == "true"
            case "number" if _WHOLE_NUMBER.fullmatch(self.text):
                return int(self.text)
            case "number" if _DECIMAL.fullmatch(self.text):
                return float(self.text)
        return self.text


@dataclass(frozen=True, slots=True)
class Frontmatter:
    """A markdown file, taken apart."""

    present: bool
    """Whether the file starts with `---` at all."""
    values: Mapping[str, Value]
    """The top-level keys in the file's order; empty when the YAML could not be read."""
    body: str
    """All that follows the frontmatter."""
    findings: tuple[Finding, ...] = ()
    name_by_sight: str | None = None
    """The first `name: …` line, found without YAML: it tells whose file a broken one is."""


@dataclass(slots=True)
class _Reader:
    """One pass over one file's YAML."""

    path: Path
    first_line: int
    """The file's line on which the YAML starts."""
    findings: list[Finding] = field(default_factory=list)

    def read(self, source: str) -> dict[str, Value]:
        try:
            return self._values(source)
        except yaml.YAMLError:
            repaired = self._repair(source)
        for _ in range(_MOST_MISTAKES if len(source) < _RETRIED else 1):
            try:
                return self._values(repaired)
            except yaml.YAMLError as error:
                rest = _without_key(repaired, self._report(error, repaired))
                if rest is None:
                    break
                repaired = rest
        return {}

    def _values(self, source: str) -> dict[str, Value]:
        root = _compose(source)
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            text = root.value if isinstance(root, yaml.ScalarNode) else "a list"
            message = f"the frontmatter is {shown(text)}; it must be lines of `key: value`"
            self._error(self._line(source, root.start_mark), None, message)
            return {}
        return self._entries(source, root)

    def _entries(self, source: str, mapping: yaml.MappingNode) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for key_node, node in mapping.value:
            line = self._line(source, key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._error(line, None, "a key must be a word; write `key: value`")
                continue
            key = key_node.value
            if key in values:
                first = values[key].line
                self._error(line, key, f"the key stands twice, first on line {first}; remove one")
                continue
            values[key] = self._value(source, node, line)
        return values

    def _value(self, source: str, node: yaml.Node, line: int) -> Value:
        if isinstance(node, yaml.ScalarNode):
            return Value(_SCALAR_KINDS.get(node.tag, "unknown"), node.value, line)
        if isinstance(node, yaml.SequenceNode):
            items = (self._value(source, n, self._line(source, n.start_mark)) for n in node.value)
            return Value("list", "a list", line, tuple(items))
        entries: tuple[tuple[str, Value], ...] = ()
        if isinstance(node, yaml.MappingNode):
            entries = tuple(self._entries(source, node).items())
        return Value("mapping", "a mapping", line, entries=entries)

    def _repair(self, source: str) -> str:
        """The source with what Claude Code forgives set right; a warning for each kind."""
        lines = source.split("\n")
        told: set[str] = set()
        for number, line in enumerate(lines):
            if line.startswith("\t"):
                text = line.lstrip("\t")
                lines[number] = "  " * (len(line) - len(text)) + text
                if "tab" not in told:
                    self._warn(number, None, "tabs indent this line; use two spaces for each")
                told.add("tab")
            if self._folds_description(lines, number):
                told.add("description")
                continue
            following = lines[number + 1] if number + 1 < len(lines) else ""
            match = _REPAIRABLE.match(line)
            if match is None or match[1] in told or following.startswith((" ", "\t")):
                continue
            key, value = match[1], match[2].rstrip()
            told.add(key)
            if _stands_alone(line) or not _is_guessed(key, value):
                continue
            lines[number] = f"{key}: '" + value.replace("'", "''") + "'"
            message = f"{shown(value)} is not valid YAML without quotes; taken as if quoted"
            self._warn(number, key, f"{message}: put quotes around it")
        return "\n".join(lines)

    def _folds_description(self, lines: list[str], number: int) -> bool:
        """Whether the description that begins in a line is one of many lines without quotes, as
        generators write it, examples and all: it is quoted then."""
        match = _REPAIRABLE.match(lines[number])
        end = _end_of(lines, number)
        below = [line for line in lines[number + 1 : end] if line.strip()]
        if match is None or match[1] != "description" or not below:
            return False
        if not below[0].lstrip().startswith("<"):  # <example>
            return False
        if any(_holds_rights(line.strip()) for line in below):
            return False  # a guess could give the agent more than its author meant
        if _stands_alone("\n".join(lines[number:end])):
            return False
        text = "\n".join([match[2], *lines[number + 1 : end]]).rstrip()
        lines[number:end] = [f"description: {json.dumps(text)}", *[""] * (end - number - 1)]
        message = f"{shown(match[2])} and the lines below are not valid YAML without quotes; taken"
        self._warn(number, "description", f"{message} as if quoted: write description: |, and "
                   "indent them")  # fmt: skip
        return True

    def _report(self, error: yaml.YAMLError, source: str) -> int:
        """Note a mistake; returns its line in the source, from 0."""
        index, problem = _place_and_problem(error)
        line = source.count("\n", 0, index)
        lines = source.split("\n")
        line, hint = _culprit(lines, line, error)
        advice = f"; {hint}" if hint else ""
        text = f"bad YAML: {problem}, at {shown(lines[line].strip())}{advice}"
        self._error(line + self.first_line, _key_above(lines, line), text)
        return line

    def _line(self, source: str, mark: yaml.Mark) -> int:
        # Not mark.line: YAML also counts U+0085 and U+2028 as line breaks, editors do not.
        return source.count("\n", 0, mark.index) + self.first_line

    def _error(self, line: int, key: str | None, message: str) -> None:
        self.findings.append(Finding(self.path, line, key, message, "error"))

    def _warn(self, number: int, key: str | None, message: str) -> None:
        line = number + self.first_line
        self.findings.append(Finding(self.path, line, key, message, "warning"))


def split(path: Path, text: str) -> Frontmatter:
    """Take a markdown file apart.

    Args:
        path: Named in the findings; not opened.
        text: As `decode` gives it: no byte order mark, `\\n` between lines.

    Returns:
        Always a value: what is wrong is in its `findings`.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return Frontmatter(present=False, values={}, body=text)
    fence_line = text.count("\n", 0, text.index("---")) + 1
    closing = _FENCE.search(text, opening.end())
    if closing is None:
        message = "the frontmatter is never closed; put a line `---` after its last key"
        error = Finding(path, fence_line, None, message, "error")
        return Frontmatter(
            True, {}, "", (error,), _name_by_sight(text[: opening.end() + MAX_BYTES])
        )
    source, body = text[opening.end() : closing.start()], text[closing.end() :]
    name = _name_by_sight(source[:MAX_BYTES])
    size = len(source.encode())
    if size > MAX_BYTES:
        message = f"the frontmatter has {size} bytes; at most {MAX_BYTES} are allowed"
        error = Finding(path, fence_line, None, message, "error")
        return Frontmatter(True, {}, body, (error,), name)
    reader = _Reader(path, fence_line + 1)
    values = reader.read(source)
    return Frontmatter(True, values, body, tuple(reader.findings), name)


class _Loader(yaml.SafeLoader):
    """The safe loader without aliases and without deep nesting."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not allowed; write the value out, or in quotes"
        if self._depth >= _MAX_DEPTH:
            problem = f"nested more than {_MAX_DEPTH} levels deep"
        if problem is not None:
            mark: yaml.Mark = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(source: str) -> yaml.Node | None:
    loader = _Loader(source)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


def _is_guessed(key: str, value: str) -> bool:
    """Whether a value that is no valid YAML can only have been meant as text."""
    if key in _TEXTS:
        return True
    if key in _NOT_GUESSED:
        return key in _STARTS_WITH_STAR and value.startswith("*")
    return value[0] not in "[{&*!"


def _stands_alone(line: str) -> bool:
    """Whether a line is valid YAML by itself, so that the mistake is not in it."""
    try:
        _compose(line)
    except yaml.YAMLError:
        return False
    return True


def _place_and_problem(error: yaml.YAMLError) -> tuple[int, str]:
    if isinstance(error, yaml.reader.ReaderError):
        return error.position, f"the character U+{error.character:04X} is not allowed"
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        if re.match("while (scanning a quoted|parsing a flow)", error.context or ""):
            mark = error.context_mark or mark  # where it begins that is not closed
        return (mark.index if mark else 0), error.problem or error.context or "not readable"
    return 0, str(error)


def _culprit(lines: list[str], line: int, error: yaml.YAMLError) -> tuple[int, str]:
    """The line (from 0) that has to be mended, and how."""
    here = lines[line]
    if "mapping values are not allowed" in str(error):
        above = next((n for n in range(line - 1, -1, -1) if lines[n].strip()), None)
        is_pair = bool(_KEY_LINE.match(here.strip()))
        is_sound = is_pair and here[:1] not in " \t" and _stands_alone(here)
        if is_sound and above is not None and not _KEY_LINE.match(lines[above]):
            return above, "every line is `key: value`, with a blank after the colon"
        if is_pair and here[:1] in " \t" and above is not None and _KEY_LINE.match(lines[above]):
            return line, "a key begins at the left, under the one above; or quote the whole text"
    if re.search(r"""["'],? ["']""", here) and "found '<scalar>'" in str(error):
        return line, "take the quotes out, and put commas between the words"
    if _QUOTE_IN_QUOTES.match(here) and "found '<scalar>'" in str(error):
        return line, "a quote stands inside of the quotes: take the other kind around the text"
    return line, next((h for sign, h in _HINTS.items() if sign in str(error)), "")


def _without_key(source: str, number: int) -> str | None:
    """The source with the known key blanked in which a line (from 0) is; None: it is in none."""
    lines = source.split("\n")
    first = next((n for n in range(number, -1, -1) if _KEY_LINE.match(lines[n])), None)
    if first is None or not _begins_known(lines[first]):
        return None  # where one key ends and the next begins, nobody knows
    last = _end_of(lines, first)
    return "\n".join([*lines[:first], *[""] * (last - first), *lines[last:]])


def _begins_known(line: str) -> bool:
    match = _KEY_LINE.match(line)
    return match is not None and match[1] in _KNOWN


def _holds_rights(line: str) -> bool:
    match = _KEY_LINE.match(line)
    return match is not None and bool(closest(match[1], _NOT_GUESSED))  # misspelt, it may be one


def _end_of(lines: list[str], first: int) -> int:
    """The line (from 0) after the last one that can belong to the key in the line `first`."""
    last = first + 1
    while last < len(lines) and not _begins_known(lines[last]):
        last += 1
    return last


def _key_above(lines: list[str], number: int) -> str | None:
    """The top-level key in whose value a line stands."""
    for line in reversed(lines[: number + 1]):
        match = _KEY_LINE.match(line)
        if match:
            return match[1]
    return None


def _name_by_sight(source: str) -> str | None:
    match = _NAME_LINE.search(source)
    return match[1].strip("\"'") or None if match else None
