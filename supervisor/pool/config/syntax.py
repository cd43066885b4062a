"""From a text that may be no TOML in places to its values, and what is wrong in those places.

`tomllib` gives up at the first mistake. So the statement that holds it is taken out, and the rest
is read again: one run tells of all of them, and of what is wrong in the values beside them.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from supervisor.pool.config.lines import At, locate
from supervisor.pool.config.problems import written
from supervisor.pool.config.values import upon

MISTAKES = 20
"""More are not looked for: this is no TOML at all."""

RETRIED = 20_000
"""Characters of a text above which its first mistake is all that is looked for: it takes time."""

_LOOKED_AT = 1000  # characters of a line: patterns with many ways to match take long on more
_BOM = "\ufeff"
_TYPOGRAPHIC = "\u201c\u201d\u201e\u2018\u2019\u00ab"
_WRONG_HEADER = re.compile(r"\s*\[+\s*([^\[\]#]*[^\[\]#\s])\s*\]*\s*(?:#.*)?")
_HEADER = re.compile(r"\s*\[")
_PAIR = re.compile(r"""\s*(?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*\s*=""")

_PROSE = re.compile(
    r"(?!\s*(?:supervisor|agent|default))\s*[\w-]+(?:[ \t]+[\w-]+)+[ \t.!]*(?:#.*)?"
)
"""Two words or more; not with the name of a table first, whose brackets may be missing."""


@dataclass(frozen=True)
class Parsed:
    """What could be read of a file."""

    values: dict[str, Any]
    """By table and key."""
    lines: Mapping[At, int]
    """Where each of them stands, counted from 1."""
    mistakes: tuple[tuple[int | None, str], ...]
    """Where the text is no TOML, and why; what stands there is not in `values`."""
    lost: frozenset[At] = frozenset()
    """The keys that stand there, as far as they can be told."""
    lost_in: frozenset[At] = frozenset()
    """The tables in which a key is lost that cannot be told."""
    is_whole: bool = True
    """Nothing else is lost."""


def parse(text: str) -> Parsed:
    """The values of a TOML text, without what is no TOML in it. Raises nothing."""
    return _parse(text)


def _parse(text: str, *, is_one_table: bool = False) -> Parsed:
    lines = text.split("\n")
    mistakes: list[tuple[int | None, str]] = []
    lost: list[At | None] = []
    lost_in: list[At] = []
    aside: list[Parsed] = []
    most = MISTAKES if len(text) < RETRIED else 0
    while len(mistakes) <= most:
        rest = "\n".join(lines)
        try:
            keys = frozenset(key for key in lost if key is not None)
            read = Parsed(
                tomllib.loads(rest),
                locate(rest),
                tuple(mistakes),
                keys,
                frozenset(lost_in),
                None not in lost,
            )
        except (ValueError, RecursionError) as error:
            place = _place(lines, rest, error)
            mistakes.append((place and place[0], _reason(lines, place, error)))
            if place is None:
                break
            table = None if is_one_table else _table_below(lines, place[0])
            if table is not None:
                aside.append(_parse(table, is_one_table=True))
            inside = _table_of_prose(lines, place[0]) if place[0] == place[1] else None
            if inside is not None:
                lost_in.append(inside)
            else:
                lost.append(() if table is not None else _key_at(lines, place[0]))
            if not _take_out(lines, *place):
                break
        else:
            return _together(read, aside)
    return Parsed({}, {}, tuple(mistakes), is_whole=False)


def _table_below(lines: list[str], number: int) -> str | None:
    """The table below a header that is wrong, with the header that was meant, in the same lines;
    None: nobody knows what was meant."""
    match = _WRONG_HEADER.fullmatch(lines[number - 1][:_LOOKED_AT])
    if match is None:
        return None
    *tables, last = match[1].split(".")
    last = written(last) if re.search(r"\s", last) and last[:1] not in "\"'" else last
    header = f"[{'.'.join((*tables, last))}]"
    if not _reads(header):
        return None
    last_line = number
    while last_line < len(lines) and not _HEADER.match(lines[last_line]):
        last_line += 1
    return "\n".join((*[""] * (number - 1), header, *lines[number:last_line]))


def _together(read: Parsed, aside: list[Parsed]) -> Parsed:
    """All of it in one; what stands there twice counts as it is said first."""
    values, lines = read.values, dict(read.lines)
    for part in aside:
        values = upon(part.values, values)
        lines = {**part.lines, **lines}
    parts = (read, *aside)
    return Parsed(
        values,
        lines,
        tuple(mistake for part in parts for mistake in part.mistakes),
        frozenset().union(*(part.lost for part in parts)),
        frozenset().union(*(part.lost_in for part in parts)),
        all(part.is_whole for part in parts),
    )


# where


def _place(lines: list[str], text: str, error: Exception) -> tuple[int, int] | None:
    """The first line and the last one of the statement that is no TOML; None: nobody knows."""
    told = _told_line(text, error)
    if told is None or isinstance(error, RecursionError):
        return None
    if text.startswith(_BOM):
        return 1, 1
    said = str(error)
    if "at end of document" in said:
        return _to_the_end(lines)
    column = re.search(r"column (\d+)", said)
    here = lines[told - 1]
    if column and int(column[1]) <= len(here) - len(here.lstrip()) + 1:
        above = _statement(lines, told - 1)
        if not _reads("\n".join(lines[above - 1 : told - 1])):
            return above, told - 1  # it is not closed, and goes on into this line
    first = _statement(lines, told)
    is_inside = not _reads("\n".join(lines[first - 1 : told - 1]))
    return (first if is_inside else told), told


def _to_the_end(lines: list[str]) -> tuple[int, int]:
    """The statement that is not closed where the text ends."""
    for quotes in ('"""', "'''"):
        opened = [number for number, line in enumerate(lines, 1) if line.count(quotes) % 2]
        if len(opened) % 2:
            return opened[-1], len(lines)
    return _statement(lines, len("\n".join(lines).rstrip().split("\n"))), len(lines)


def _statement(lines: list[str], number: int) -> int:
    """The line in which the statement begins that the line `number` belongs to."""
    while number > 1 and not _begins(lines[number - 1]) and not _is_header(lines[number - 2]):
        number -= 1
    return max(number, 1)


def _is_header(line: str) -> bool:
    """Whether a table begins there, rightly: no statement goes on below it."""
    return bool(_HEADER.match(line)) and _reads(line)


def _begins(line: str) -> bool:
    return bool(_PAIR.match(line) or _HEADER.match(line))


def _reads(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _take_out(lines: list[str], first: int, last: int) -> bool:
    """Blank a statement, and with a table's header all of that table; False: nothing is left."""
    if lines[first - 1].startswith(_BOM):
        lines[first - 1] = lines[first - 1].removeprefix(_BOM)
        return True
    if _HEADER.match(lines[first - 1]):
        while last < len(lines) and not _HEADER.match(lines[last]):
            last += 1
    if re.search(r"=\s*\{\s*(#.*)?$", lines[first - 1]):  # in several lines, as JSON has it
        last = next(
            (n for n, line in enumerate(lines, 1) if n > last and line.startswith("}")), last
        )
    while last < len(lines) and not _begins(lines[last]):
        last += 1
    taken = [number for number in range(first - 1, last) if lines[number].strip()]
    for number in taken:
        lines[number] = ""
    return bool(taken)


def _key_at(lines: list[str], number: int) -> At | None:
    """The key of the statement that begins in a line; `()`: of none; None: it cannot be told."""
    if lines[number - 1].startswith(_BOM):
        return ()
    pair = _PAIR.match(lines[number - 1])
    if pair is None:
        return None
    found = locate("\n".join((*lines[: number - 1], f"{pair[0]} 0")))
    here = [at for at, line in found.items() if line == number]
    return max(here, key=len, default=())  # a key that stands twice is lost once only


def _table_of_prose(lines: list[str], number: int) -> At | None:
    """The table that a line stands in which is words alone, as those below it that go with it, so
    that no table can begin there; None: it is no such line."""
    below = takewhile(lambda line: not _begins(line), lines[number:])
    taken = [lines[number - 1], *(line for line in below if re.match(r"\s*[^\s#]", line))]
    if not all(_PROSE.fullmatch(line[:_LOOKED_AT]) for line in taken):
        return None
    mark = "_"
    while mark in "\n".join(lines[: number - 1]):
        mark += "_"
    found = locate("\n".join((*lines[: number - 1], f"{mark} = 0")))
    return next((at[:-1] for at in found if at[-1] == mark), None)


def _told_line(text: str, error: Exception) -> int | None:
    """The line (from 1) at which `tomllib` gave up, where that can be told."""
    said = str(error)
    if match := re.search(r"at line (\d+)", said):
        return int(match[1])
    if "at end of document" in said:
        return text.rstrip("\n").count("\n") + 1
    # A number of so many digits is refused by Python itself, which knows no lines.
    digits = re.search(r"\d{4300}", text) if "digits" in said else None
    return None if digits is None else text.count("\n", 0, digits.start()) + 1


# why


def _reason(lines: list[str], place: tuple[int, int] | None, error: Exception) -> str:
    """What is wrong where a file is no TOML, with the likely cause."""
    if isinstance(error, RecursionError):
        return "no valid TOML: it is nested too deeply"
    if "set_int_max_str_digits" in str(error):
        return "no valid TOML: a number of too many digits"
    said = re.sub(r" \(at [a-z].*\)$", "", str(error))
    said = re.sub(r"\(('.*?),?\)", lambda names: f"[{_names(names[1])}]", said)
    if place is None:
        return f"no valid TOML: {said}"
    here = lines[place[0] - 1][:_LOOKED_AT]
    said, cause = _cause(here, said)
    return f"no valid TOML: {said[:1].lower()}{said[1:]}{cause}"


def _names(listed: str) -> str:
    return listed.replace("', '", ".").strip("'")


def _cause(line: str, said: str) -> tuple[str, str]:
    """What is wrong, in other words where there are better ones, and what to do about it."""
    if line.startswith(_BOM):
        return said, "; the file begins with a byte order mark: save it as UTF-8 without one"
    if "overwrite a value" in said:
        return said, ": the key is in this table already; take one of the two out"
    if "twice" in said:
        return said, "; put its keys under the first one"
    if _HEADER.match(line):
        return said, _cause_in_header(line)
    pair = re.match(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)[\w."'\s-]*?)\s*=(.*)""", line, re.ASCII)
    if pair is None:
        return said, _cause_in_key(line)
    if (opened := _opened(pair[2].strip())) is not None:
        what, closing = opened
        return (
            f"{what} that begins here is not closed",
            f"; {closing} is missing before the next key",
        )
    return said, _cause_in_value(pair[1], pair[2].strip())


def _opened(value: str) -> tuple[str, str] | None:
    """What a value begins in its line and does not end there, and what would end it."""
    kinds = {'"""': ("text", '"""'), "'''": ("text", "'''"), "[": ("list", "]")}
    for opening, (what, closing) in kinds.items():
        if value.startswith(opening) and closing not in value[len(opening) :]:
            return f"the {what}", closing
    return None


def _cause_in_header(line: str) -> str:
    name = line.split("#")[0].strip().strip("[]").strip()
    if re.match(r"\s*\[[^\[\]]*\]\]", line):
        return f"; write [{name}], in single brackets"
    if not re.match(r"\s*\[[^\]]*\]", line):
        return '; a table\'s name ends with "]"'
    if re.search(r"\s", name) and not re.search(r"[\"']", name):
        *tables, last = name.split(".")
        quoted = ".".join((*tables, written(last)))
        return f"; a name with spaces stands in quotes: [{quoted}]"
    return ""


def _cause_in_key(line: str) -> str:
    if re.match(r"\s*(//|/\*|--|;)", line):
        return "; a comment begins with #"
    if re.match(r"\s*[{}]", line):
        return "; this looks like JSON: write tables as [table], and a key a line: key = value"
    if match := re.match(r"\s*-\s+(\S.*)", line):
        return f"; this looks like YAML: write a list as key = [{written(match[1].strip())}]"
    match = re.match(r"\s*([\w.-]+)\s*(:|$|\s)\s*(.*)", line)
    if match is None or not match[1].isascii():
        odd = next((one for one in line if not one.isascii() or not one.isprintable()), None)
        name = "" if odd is None else f"; {written(odd)} cannot stand in a key without quotes"
        return name or "; a key is written key = value"
    if match[2] == ":" and not match[3]:
        return f"; this looks like YAML: a table is written [{match[1]}], a key {match[1]} = …"
    return f"; a key is written {match[1]} = …"


def _cause_in_value(key: str, value: str) -> str:
    plain = re.sub(r"\s+#.*", "", value)
    if not plain or plain.startswith("#"):
        return "; the value is missing"
    if plain.lower() in ("true", "false"):
        return f"; write {plain.lower()}"
    if plain.lower() in ("yes", "no", "on", "off"):
        return f"; write {'true' if plain.lower() in ('yes', 'on') else 'false'}"
    if plain.lower() in ("none", "null", "nil"):
        return "; there is no such value: leave the key out"
    if plain.endswith(",") and plain.count(",") == 1:
        return "; no comma stands at the end of a line: take it out"
    if plain[0] in "=:":
        return f"; a key is written {key} = …"
    if plain[0] in _TYPOGRAPHIC:
        return """; quotes are the plain ones, " or ', not typographic ones"""
    if "\\" in plain and plain[0] == '"':
        single = plain.strip('"')
        return f"; a backslash stands in single quotes: '{single}', or is doubled"
    if re.search(r"\s(//|--|;)", plain):
        return "; a comment begins with #"
    if re.fullmatch(r"[0-9]+,[0-9]+", plain):
        return f"; a number has a point: {plain.replace(',', '.')}"
    if re.fullmatch(r"[+-]?0[0-9]+", plain):
        return f"; a number has no zeros in front: {int(plain)}"
    if re.fullmatch(r"[+-]?\.[0-9]+|[+-]?[0-9]+\.", plain):
        return f"; a number has digits before and after its point: {float(plain)}"
    if plain[0] not in "\"'[{" and not re.fullmatch(r"[0-9_.+-]+", plain):
        return f"; texts, durations and sizes stand in quotes: {written(plain)}"
    return _cause_in_brackets(plain)


def _cause_in_brackets(value: str) -> str:
    """The likely mistake in a text, a list or an inline table that is wrong in its one line."""
    if value[0] in "\"'" and (len(value) == 1 or value[-1] != value[0]):
        return f"; the closing {value[0]} is missing, or stands in the wrong place"
    if value[0] == "'" and value.count("'") > 2:
        return "; a text with ' in it stands in double quotes"
    if value[0] == '"' and value.count('"') > 2:
        return '; one text is allowed here; a list is written ["…", "…"], and " in a text \\"'
    if value.startswith("["):
        return '; a list is written ["…", "…"], each text in quotes, commas between them'
    if value.startswith("{"):
        return "; an inline table stands in one line, { key = value, key = value }"
    return ""
