"""`agent-pool init`: what a project needs to have agents of its own, put where it is looked for.

It writes only files that are not there, whatever they hold; the commented pool.toml is made of
the shipped one, so that the two cannot differ.
"""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from supervisor.cli._failure import fail
from supervisor.cli._manual import FAILED
from supervisor.place import built_in

_HEAD = """\
# agent-pool: how the pool behaves in this project. Every key is here, switched off with a "#"
# that no space follows; what it shows is the default. Take that "#" away where you want
# something else. A pool that runs takes a change at once; one with a mistake changes nothing.
# What is left open here is looked for in ~/.config/agent-pool/pool.toml, then in the defaults;
# a file that --config or $AGENT_POOL_CONFIG names comes before this one. What is marked (!) counts
# here only once you trust this project: agent-pool trust. agent-pool check finds mistakes.
# Durations: "250ms", "90s", "30min", "2h". Sizes: "512MiB", "1.5GiB".
"""

_AGENT = """\
---
# An example of an agent: copy it to agents/<name>.md and change it, or delete it.
name: example
# By this text a caller chooses the agent: what it is for, what to give it, what comes back.
description: An example agent. Explains one file of this project in a few sentences; give it a path.
# All that it can use, and it may. For commands: Bash, or only some, such as Bash(git log:*);
# with `permissionMode: default` as well, since Claude Code else also lets it rm, mv and touch.
tools: Read, Grep, Glob
# Both are put into its prompt: .claude/skills/<name>/SKILL.md, how to do something, ...
skills:
  - example-answers
# ... and .claude/expertise/<name>.md, what is good to know.
expertise:
  - example-project
# Left out here: model (such as sonnet), effort, maxTurns, disallowedTools, permissionMode, and what
# else the files of Claude Code's own sub-agents have.
---
You explain a file of this project to somebody who is about to change it. Nobody can answer a
question of yours, and whoever called you sees only your final message.

Read the file whole, and find who uses it. Say what it is for, what its parts are, and what one
must not break. If there is no such file, say which one you took instead.
"""

_SKILL = """\
---
name: example-answers
description: An example of a skill for agents of agent-pool. How to answer a busy reader.
# Keeps Claude Code from offering this example as a skill of its own.
disable-model-invocation: true
---
- The answer itself in the first sentence, then what supports it.
- Every claim about the code with its place, `path/to/file.py:42`, from a line that you have read.
- At most ten sentences. What you could not determine is the last one.
"""

_EXPERTISE = """\
What everybody who works on this project has to know. This is an example: replace it.

- The tests and the documentation say what the code promises; where they differ from it, mention it.
- Files that a program generates are not edited; the program is.
"""


class InitError(Exception):
    """Something cannot be written; the message says why and what to do."""


@dataclass(frozen=True)
class Written:
    """What was done in one project."""

    root: Path
    """The project."""
    written: tuple[Path, ...]
    """Files that were not there before."""
    kept: tuple[Path, ...]
    """Files that were there, and are as they were."""


def init(root: Path, as_json: bool, dry_run: bool, environ: Mapping[str, str]) -> int:
    """Put the files into the project `root` and print what to do next; 1 where that fails."""
    files = contents((Path(built_in()) / "config" / "pool.toml").read_text(encoding="utf-8"))
    try:
        done = write_all(root, files, dry_run)
    except InitError as error:
        return fail(as_json, FAILED, "not_written", str(error))
    register = ["claude", "mcp", "add", "agent-pool", "--", *program(environ), "serve"]
    print(_json(done, register, dry_run) if as_json else _text(done, register, dry_run, environ))
    return 0


def contents(shipped: str) -> dict[Path, str]:
    """What goes where, by path below the project; `shipped` is the built-in pool.toml."""
    folder = Path(".claude")
    return {
        folder / "pool.toml": commented(shipped),
        folder / "agents" / "example.md": _AGENT,
        folder / "skills" / "example-answers" / "SKILL.md": _SKILL,
        folder / "expertise" / "example-project.md": _EXPERTISE,
    }


def commented(shipped: str) -> str:
    """A pool.toml with every key switched off.

    The tables' own lines stay, so that a key that is switched on stands in its table.
    """
    _, _, body = shipped.partition("\n\n")  # its head speaks of itself
    return f"{_HEAD}\n" + "".join(_switched_off(line) for line in body.splitlines(keepends=True))


def _switched_off(line: str) -> str:
    is_table = re.fullmatch(r"\[[\w.-]+\]\s*(#.*)?", line.strip())
    return line if not line.strip() or line.startswith("#") or is_table else f"#{line}"


def write_all(root: Path, files: Mapping[Path, str], dry_run: bool) -> Written:
    """Write those of `files` that are not there.

    Raises:
        InitError: one cannot be written; those before it stay.
    """
    if not root.is_dir():
        raise InitError(f"there is no folder {root}")
    written: list[Path] = []
    kept: list[Path] = []
    for path, text in files.items():
        is_new = not os.path.lexists(root / path) if dry_run else _write_new(root / path, text)
        (written if is_new else kept).append(path)
    return Written(root, tuple(written), tuple(kept))


def _write_new(path: Path, text: str) -> bool:
    """Write a file that is not there; False: something is there, be it a link to nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In one step with the question whether it is there, and never through a link.
        with path.open("x", encoding="utf-8") as file:
            _write_or_remove(path, file, text)
    except FileExistsError as error:
        if Path(error.filename) == path:
            return False
        raise InitError(f"{error.filename} is not a folder; move it away") from None
    except OSError as error:
        where = error.filename or path
        raise InitError(
            f"{where} cannot be written: {error.strerror}; make its folder writable, "
            "or name another project with --root"
        ) from None
    return True


def _write_or_remove(path: Path, file: IO[str], text: str) -> None:
    try:
        file.write(text)
        file.flush()
    except OSError:  # half a file would be taken for somebody's own the next time
        path.unlink()
        raise


def program(environ: Mapping[str, str]) -> list[str]:
    """How an MCP client starts this agent-pool: its name where PATH finds it, else its path."""
    ours = _own_path()
    found = shutil.which("agent-pool", path=environ.get("PATH", os.defpath))
    if ours is None:
        return [sys.executable, "-P", "-m", "agent_pool"]
    if found is not None and os.path.realpath(found) == os.path.realpath(ours):
        return ["agent-pool"]
    return [ours]


def _own_path() -> str | None:
    """The program file of this installation, wherever it was called from."""
    beside = os.path.join(os.path.dirname(sys.executable), "agent-pool")
    called = os.path.abspath(sys.argv[0])
    paths = [called] if os.path.basename(called) == "agent-pool" else []
    return next((path for path in [*paths, beside] if os.access(path, os.X_OK)), None)


def _some_file(root: Path) -> str:
    """A file that can be asked about: most projects have a README, and all have what we wrote."""
    found = sorted(path.name for path in root.glob("README*") if path.is_file())
    return found[0] if found else ".claude/pool.toml"


def _json(done: Written, register: list[str], dry_run: bool) -> str:
    return json.dumps(
        {
            "root": str(done.root),
            "dry_run": dry_run,
            "written": [str(path) for path in done.written],
            "kept": [str(path) for path in done.kept],
            "register": register,
        }
    )


def _text(done: Written, register: list[str], dry_run: bool, environ: Mapping[str, str]) -> str:
    lines = [f"{done.root}{' (nothing is written: --dry-run)' if dry_run else ''}"]
    lines += [f"  {'would write' if dry_run else 'wrote'}  {path}" for path in done.written]
    lines += [f"  was there already, left as it is: {path}" for path in done.kept]
    for variable in ("AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR", "AGENT_POOL_CONFIG"):
        if environ.get(variable):
            lines.append(f"  note: {variable} is set, and comes before what is in .claude")
    lines += ["", "Register it in Claude Code, once, in that folder:", f"  {shlex.join(register)}"]
    lines += [
        f"Then ask there, for example: Have the example agent explain {_some_file(done.root)}."
    ]
    return "\n".join(lines)
