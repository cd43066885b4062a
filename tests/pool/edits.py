"""A project that is edited at random, well and badly, and what is right of it in the end."""

import random
import re
from collections.abc import Callable
from pathlib import Path

from tests.client import Project

AGENTS = tuple("abcdefgh")
STAYING = ("a", "b")
"""Those that are always there: what is wrong for them is refused, and never comes to hold."""

WRONG = (
    "[agents.a\n",
    "[agents.a]\nreplicas = 900\n",
    '[agents.c]\nsupervisor = "nobody"\n',
    '[agents.b]\nworking_directory = "nowhere"\n',
    '[supervisors.x]\nparent = "y"\n[supervisors.y]\nparent = "x"\n',
)


class Editor:
    """Edits a project's files; `replicas` and `groups` are what holds since the last `settle`."""

    def __init__(self, project: Project, choose: random.Random) -> None:
        self.there: set[str] = set()
        """Agents that are defined."""
        self.replicas: dict[str, int] = {}
        """Workers of each."""
        self.least: dict[str, int] = {}
        """Processes that each has though nobody needs them."""
        self.group: dict[str, str] = {}
        """Its group; empty: none."""
        self._project = project
        self._choose = choose
        self._edits: tuple[tuple[int, Callable[[], object]], ...] = (
            (6, self._config),
            (4, self._wrong_config),
            (6, self._prompt),
            (2, self._broken),
            (3, self._add),
            (2, self._remove),
            (2, self._rename),
        )
        for name in AGENTS[:6]:
            self._define(name)

    def edit(self) -> None:
        """Change one thing."""
        weights, edits = zip(*self._edits, strict=True)
        self._choose.choices(edits, weights)[0]()

    def settle(self) -> None:
        """Have everything right, and nothing stand by."""
        for name in sorted(self.there):
            self._define(name)
        self._config(at_last=True)

    def _file(self, name: str) -> Path:
        return self._project.folder / ".claude" / "agents" / f"{name}.md"

    def _define(self, name: str) -> None:
        self._project.write_agent(name, f"You are {name}. {self._choose.random()}")
        self.there.add(name)

    def _one(self) -> str:
        return self._choose.choice(sorted(self.there))

    def _leaving(self) -> list[str]:
        """One that may go."""
        may_go = sorted(self.there - {*STAYING})
        return self._choose.sample(may_go, min(1, len(may_go)))

    def _absent(self) -> list[str]:
        return sorted(set(AGENTS) - self.there)

    def _prompt(self) -> None:
        self._define(self._one())

    def _broken(self) -> None:
        mistake = self._choose.choice(("tools: [x", "model: {}"))
        self._project.write_agent(self._one(), "You are wrong.", mistake)

    def _add(self) -> None:
        for name in self._absent()[:1]:
            self._define(name)

    def _remove(self) -> None:
        for name in self._leaving():
            self._file(name).unlink()
            self.there.discard(name)

    def _rename(self) -> None:
        for new in self._absent()[-1:]:
            for old in self._leaving():
                text = self._file(old).read_text()
                self._file(old).write_text(re.sub(rf"\b{old}\b", new, text))
                self._file(old).rename(self._file(new))
                self.there = self.there - {old} | {new}

    def _wrong_config(self) -> None:
        self._project.write_config(self._choose.choice(WRONG))

    def _config(self, *, at_last: bool = False) -> None:
        """At last as few processes as are asked for, and nothing replaces them."""
        choose = self._choose
        spares = 0 if at_last else choose.choice((0, 0, 1, 2))
        lines = ["[pool]", f"spares = {spares}", f"spawn_limit = {choose.choice((1, 2, 8))}"]
        groups = choose.sample(("x", "y", "z"), choose.randint(0, 3))
        for number, name in enumerate(groups):
            strategy = choose.choice(("one_for_one", "one_for_all", "rest_for_one"))
            parent = choose.choice(("", *groups[:number]))
            lines += [f"[supervisors.{name}]", f'strategy = "{strategy}"', f'parent = "{parent}"']
        for name in choose.sample(AGENTS, len(AGENTS)):
            self.group[name] = choose.choice(("", *groups))
            self.replicas[name] = choose.randint(1, 3)
            least = self.least[name] = (
                choose.randint(0, self.replicas[name]) if choose.random() < 0.3 else 0
            )
            lines += [f"[agents.{name}]", f'supervisor = "{self.group[name]}"']
            lines += [f"replicas = {self.replicas[name]}", f"min_replicas = {least}"]
            if not at_last:
                lines += choose.sample(SETTINGS, 2)
        self._project.write_config("\n".join(lines) + "\n")


SETTINGS = (
    'soft_ceiling = "1MiB"\nhard_ceiling = "1GiB"',  # recycled after each task
    'hard_ceiling = "3GiB"',
    "max_tasks = 2",
    'restart = "temporary"',
    'idle_timeout = "100ms"',
    'priority = "low"',
    "queue_limit = 2",
    'model = "sonnet"',
    "retries = 1",
)
"""What is configured of agents now and then."""
