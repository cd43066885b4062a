"""A scenario of the corpus: read from its file, every word of it checked.

A word that the replay does not know is refused here, before anything runs. Where child specs and
flags hold wrong values (some do on purpose), that is the supervisor's business, not ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

Json: TypeAlias = Any
Step: TypeAlias = dict[str, Json]
Trace: TypeAlias = list[dict[str, Json]]

LEFT_OUT: Final = {
    "orphans": "a supervisor that is killed dies before its children: Trio's tasks cannot",
    "unlink": "a child whose end is not told to its supervisor: Trio tells every end",
}
"""Tags of scenarios that are not replayed, and why."""

CORPUS: Final = Path(__file__).parent / "corpus"
FORMAT: Final = "otp-sup/1"
CALLS: Final[dict[str, set[str]]] = {
    "start_child": {"sup", "child", "name", "start", "on_shutdown"},
    "restart_child": {"sup", "id"},
    "terminate_child": {"sup", "id", "by"},
    "delete_child": {"sup", "id"},
    "get_childspec": {"sup", "id", "by"},
    "which_children": {"sup"},
    "count_children": {"sup"},
}
"""The calls on a supervisor, and the keys of each."""
ITEMS: Final[dict[str, set[str]]] = {**CALLS, "exit": {"path", "reason"}, "shutdown": set()}
"""What can be part of a batch or a window."""
STEPS: Final[dict[str, set[str]]] = {
    **ITEMS,
    "start_children": {"sup", "names"},
    "sleep": {"ms"},
    "batch": {"sup", "items"},
    "window": {"hold", "cause", "items"},
}
TREE_KEYS: Final = {"strategy", "intensity", "period", "auto_shutdown", "children", "start"}
CHILD_KEYS: Final = {
    *("id", "type", "restart", "significant", "shutdown", "tree", "start", "on_shutdown")
}
SUPERVISOR_STARTS: Final = {"ok", "ignore", "error", "crash", "bad_return"}
WORKER_STARTS: Final = {*SUPERVISOR_STARTS, "ok_extra", "ok_then_exit"}
BEHAVIOURS: Final = {"obey", "ignore", "slow", "exit", "hold"}
HOLD_POINTS: Final = {"start", "stop"}
REASON: Final = re.compile(r"normal|shutdown(:\w+)?|crash|killed")


class BadScenario(Exception):  # noqa: N818 - the file is bad
    """A file that cannot be replayed; the message names it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done, and what OTP's supervisor did."""

    name: str
    doc: str
    tags: frozenset[str]
    tree: dict[str, Json]
    steps: list[Step]
    trace: Trace
    """One entry for the start of the tree, and one for each step."""

    @property
    def left_out(self) -> str | None:
        """The tag for which it is not replayed."""
        return min(self.tags & LEFT_OUT.keys(), default=None)


def files_in(folder: Path) -> list[Path]:
    """The scenario files of a folder; none if there is no such folder."""
    return sorted(path for path in folder.glob("*.json") if path.name != "MANIFEST.json")


def load(path: Path) -> Scenario:
    """Read a file; raises `BadScenario` for what is no scenario, or not in these words."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        told = content["scenario"]
        scenario = Scenario(
            name=told["name"],
            doc=told.get("doc", ""),
            tags=frozenset(told["tags"]),
            tree=told["tree"],
            steps=told["steps"],
            trace=content["trace"],
        )
        unknown = [] if scenario.left_out else list(_unknown_words(told))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise BadScenario(f"{path}: not a scenario: {exc!r}") from exc
    if unknown:
        raise BadScenario(f"{path}: not implemented: {', '.join(unknown)}")
    return scenario


def variant(word: Json) -> str:
    """The name of a word that may carry a value: `"ok"` and `{"ok_extra": X}`."""
    if isinstance(word, dict):
        (name,) = word
        return str(name)
    return str(word)


def _unknown_words(scenario: Json) -> Iterator[str]:
    if scenario["format"] != FORMAT:
        yield f"format {scenario['format']!r}"
    yield from _in_tree(scenario["tree"])
    for step in scenario["steps"]:
        yield from _in_step(step, STEPS)


def _in_step(step: Step, allowed: dict[str, set[str]]) -> Iterator[str]:
    op = step["op"]
    if op not in allowed:
        yield f"op {op!r}" if op not in STEPS else f"op {op!r} here"
        return
    yield from _strange(f"key of {op}", step.keys() - {"op"}, allowed[op])
    if "reason" in step:
        yield from _in_reason(step["reason"])
    if "child" in step:
        yield from _in_child(step["child"])
    if "name" in step:
        yield from _in_worker(step)
    if "by" in step:
        yield from _strange("by", [step["by"]], {"id"})
    if "hold" in step:
        yield from _strange("hold", [step["hold"]["at"]], HOLD_POINTS)
        yield from _in_step(step["cause"], ITEMS)
    for item in step.get("items", []):
        yield from _in_step(item, ITEMS)


def _in_tree(tree: Json) -> Iterator[str]:
    yield from _strange("key of a tree", tree, TREE_KEYS)
    yield from _strange("start of a supervisor", _starts(tree), SUPERVISOR_STARTS)
    for child in tree.get("children", []):
        yield from _in_child(child)


def _in_child(child: Json) -> Iterator[str]:
    if not isinstance(child, dict):
        return
    yield from _strange("key of a child", child, CHILD_KEYS)
    if "tree" not in child:
        yield from _in_worker(child)
        return
    yield from _in_tree(child["tree"])
    yield from _strange("start of a supervisor", _starts(child), SUPERVISOR_STARTS)
    yield from _strange("key of a supervisor", child.keys() & {"on_shutdown"}, set())


def _in_worker(worker: Json) -> Iterator[str]:
    yield from _strange("start", _starts(worker), WORKER_STARTS)
    for entry in worker.get("start") or []:
        if variant(entry) == "ok_then_exit":
            yield from _in_reason(entry["ok_then_exit"])
    behaviour = worker.get("on_shutdown", "obey")
    yield from _strange("on_shutdown", [variant(behaviour)], BEHAVIOURS)
    if variant(behaviour) == "exit":
        yield from _in_reason(behaviour["exit"])


def _starts(child: Json) -> list[str]:
    return [variant(entry) for entry in child.get("start") or []]


def _in_reason(reason: str) -> Iterator[str]:
    if not REASON.fullmatch(reason):
        yield f"reason {reason!r}"


def _strange(what: str, words: Iterable[str], known: set[str]) -> Iterator[str]:
    return (f"{what} {word!r}" for word in words if word not in known)
