"""What there is to say of every command: `--help` prints it, and docs/commands.md has it, too.

The exit statuses stand here and nowhere else; a test compares the page with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DONE, FAILED, MISUSED, NO_POOL, UNFINISHED = range(5)
"""Exit statuses. What each means for a command says its entry."""

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

STARTERS = "agent-pool list, invoke or run start one"
"""What to do where no pool runs."""

USUAL: Mapping[int, str] = {MISUSED: "wrong usage", INTERRUPTED: "Ctrl-C"}
"""What holds for every command whose entry says nothing else."""

NOT_THERE = "no pool runs, none could be started or joined, or it went in the middle"
NOT_RUNNING = "no pool could be asked: none runs, it is starting or ending, or went in the middle"
NOT_YET = "the pool is starting, or ending: ask again in a moment"
FOUND: Mapping[int, str] = {
    DONE: "no error was found",
    FAILED: "there are warnings (--strict)",
    MISUSED: "wrong usage, or errors were found",
}
HEALTH: Mapping[int, str] = {
    DONE: "a pool runs, and no agent is down",
    FAILED: "it is degraded, an agent is down, or it does not answer",
    NO_POOL: "no pool runs",
    UNFINISHED: NOT_YET,
}


@dataclass(frozen=True)
class Entry:
    """One command."""

    group: str
    """What it is there for: one of `GROUPS`."""
    brief: str
    """What it does, in a few words."""
    examples: tuple[str, ...]
    """Lines for a shell."""
    statuses: Mapping[int, str]
    """What its exit statuses mean, but for those of `USUAL`."""
    more: str = ""
    """What else is to be said of it."""

    @property
    def every_status(self) -> dict[int, str]:
        """All of them, in order."""
        return dict(sorted({**USUAL, **self.statuses}.items()))

    def description(self) -> str:
        """What its help begins with."""
        return f"{self.brief[:1].upper()}{self.brief[1:]}.{' ' if self.more else ''}{self.more}"

    def epilog(self) -> str:
        """What its help ends with: examples, and exit statuses."""
        word = "examples" if len(self.examples) > 1 else "example"
        lines = [f"{word}:", *(f"  {line}" for line in self.examples), "", "exit status:"]
        lines += [f"  {status:<4} {means}" for status, means in self.every_status.items()]
        return "\n".join(lines)


TASKS, FOLLOW, AGENTS = "hand over tasks", "follow them", "look after agents"
LOOK, BEGIN = "see what goes on", "begin, and find what is wrong"
RUN, TRY = "run the pool, and end it", "try it without an account"

GROUPS = (TASKS, FOLLOW, AGENTS, LOOK, BEGIN, RUN, TRY)
"""In the order of the list of commands."""

MANUAL: Mapping[str, Entry] = {
    "invoke": Entry(
        TASKS,
        "hand a task to an agent, and print its answer",
        (
            "git diff | agent-pool invoke code-reviewer > review.md",
            'agent-pool invoke code-explorer "Where are timeouts set?" --timeout 300',
        ),
        {
            DONE: "the answer is on standard output",
            FAILED: "the task failed, or was refused: standard error tells why",
            NO_POOL: NOT_THERE,
            UNFINISHED: "the task goes on, and its id is on standard output (--if-longer-than)",
            INTERRUPTED: "Ctrl-C; the task is cancelled",
        },
        "A terminal shows progress meanwhile, a pipe gets the answer and nothing else. Ctrl-C "
        "cancels the task.",
    ),
    "consult": Entry(
        TASKS,
        "as invoke, but only for an agent that cannot change anything",
        ('agent-pool consult code-explorer "Where are timeouts set?"',),
        {
            DONE: "the answer is on standard output",
            FAILED: "the task failed, or was refused: standard error tells why",
            NO_POOL: NOT_THERE,
            INTERRUPTED: "Ctrl-C; the task is cancelled",
        },
        "Refused for other agents.",
    ),
    "invoke-many": Entry(
        TASKS,
        "hand over many tasks side by side, and print every answer in their order",
        (
            "agent-pool invoke-many tasks.jsonl --max-parallel 4",
            'echo \'{"agent": "code-explorer", "task": "List the tests."}\' | '
            "agent-pool invoke-many -",
        ),
        {
            DONE: "every answer is on standard output",
            FAILED: "at least one task failed: its place has its error",
            NO_POOL: NOT_THERE,
            INTERRUPTED: "Ctrl-C; the tasks are cancelled",
        },
    ),
    "submit": Entry(
        TASKS,
        "hand over a task, print its id, and let it run in the background",
        (
            'id=$(agent-pool submit test-writer "Cover src/parser.py.")',
            'agent-pool wait "$id" && agent-pool result "$id"',
        ),
        {
            DONE: "the task's id is on standard output",
            FAILED: "it was refused: standard error tells why",
            NO_POOL: NOT_THERE,
        },
    ),
    "wait": Entry(
        FOLLOW,
        "wait until tasks have ended, and tell how",
        ("agent-pool wait t-0123456789ab t-ba9876543210 --any --timeout 60",),
        {
            DONE: "they have ended, well or not; with --any, one of them has",
            FAILED: "there is no such task",
            NO_POOL: NOT_RUNNING,
            UNFINISHED: "some go on (--timeout)",
            INTERRUPTED: "Ctrl-C; the tasks go on",
        },
    ),
    "result": Entry(
        FOLLOW,
        "print the outcome of a task that has ended, as invoke does",
        ("agent-pool result t-0123456789ab",),
        {
            DONE: "the answer is on standard output",
            FAILED: "the task failed, or there is none: standard error tells why",
            NO_POOL: NOT_RUNNING,
            UNFINISHED: "the task goes on: it has no outcome yet",
        },
    ),
    "cancel": Entry(
        FOLLOW,
        "end a task that waits or runs",
        ("agent-pool cancel t-0123456789ab",),
        {
            DONE: "it has ended, now or before",
            FAILED: "there is no such task",
            NO_POOL: NOT_RUNNING,
        },
    ),
    "tasks": Entry(
        FOLLOW,
        "list the newest tasks: state or outcome, times, cost",
        ("agent-pool tasks --agent code-reviewer --state running",),
        {
            DONE: "they are on standard output",
            FAILED: "there is no such agent, or the ledger cannot be read",
            NO_POOL: NOT_RUNNING,
        },
    ),
    "stats": Entry(
        FOLLOW,
        "tell tokens, the share that the prompt cache served, costs, outcomes and durations",
        ("agent-pool stats --by day --days 30",),
        {
            DONE: "they are on standard output",
            FAILED: "there is no such agent, or the ledger cannot be read",
            NO_POOL: NOT_RUNNING,
        },
        "A cost with >= before it is the least that was spent: of some attempts nobody knows the "
        "cost, such as those that were killed.",
    ),
    "list": Entry(
        AGENTS,
        "list the agents that tasks can be given to, and what each is for",
        ("agent-pool list", "agent-pool list --json"),
        {
            DONE: "they are on standard output",
            FAILED: "the pool's configuration is wrong",
            NO_POOL: NOT_THERE,
        },
    ),
    "warmup": Entry(
        AGENTS,
        "start the processes of agents ahead of their first tasks",
        ("agent-pool warmup code-reviewer debugger",),
        {
            DONE: "all of them are ready",
            FAILED: "one of them could not be started",
            NO_POOL: NOT_THERE,
        },
    ),
    "reset": Entry(
        AGENTS,
        "kill an agent's process and all that it started; bring up one that is down",
        ("agent-pool reset debugger", "agent-pool reset debugger --conversation parser"),
        {DONE: "it is done", FAILED: "there is no such agent", NO_POOL: NOT_THERE},
    ),
    "reload": Entry(
        AGENTS,
        "have the running pool read pool.toml and all definitions again",
        ("agent-pool reload",),
        {
            DONE: "what the files say holds now",
            FAILED: "it ended with an error, which standard error tells",
            MISUSED: "wrong usage, or something in the files is wrong: it stays as it was",
            NO_POOL: "no pool runs, or it went in the middle; the next one reads them anyway",
        },
        "Tells what has changed, and what is wrong. The pool also notices changes by itself.",
    ),
    "status": Entry(
        LOOK,
        "say whether this project's pool runs, and how its agents do",
        ("agent-pool status", "agent-pool status --json"),
        {
            **HEALTH,
            DONE: "a pool runs, no agent is down, and its ledger can be written",
            FAILED: "it is degraded, an agent is down, the ledger cannot be written, or it does "
            "not answer",
        },
    ),
    "top": Entry(
        LOOK,
        "show agents, what each does now and what it uses, once a second, until q",
        ("agent-pool top", "agent-pool top --once"),
        {
            **HEALTH,
            DONE: "a pool runs, and no agent is down; live, it was ended by q",
            INTERRUPTED: "Ctrl-C, which also ends the live view",
        },
        "In a pipe, and with --once or --json, it is shown once.",
    ),
    "tree": Entry(
        LOOK,
        "draw the running pool's supervision tree",
        ("agent-pool tree",),
        {
            DONE: "it is on standard output",
            FAILED: "the pool is degraded, or does not answer",
            NO_POOL: "no pool runs",
            UNFINISHED: NOT_YET,
        },
    ),
    "tail": Entry(
        LOOK,
        "show the end of this project's log, whether a pool runs or not",
        (
            "agent-pool tail -f --agent code-reviewer --level warning",
            "agent-pool tail --since 10m --grep timeout",
        ),
        {
            DONE: "the lines are on standard output",
            FAILED: "there is no log, it cannot be read, or there is no such agent",
            INTERRUPTED: "Ctrl-C, which also ends --follow",
        },
    ),
    "logs": Entry(
        LOOK,
        "show the last lines of the log, as the running pool gives them",
        ("agent-pool logs --agent code-reviewer --level warning --since 10m",),
        {
            DONE: "the lines are on standard output",
            FAILED: "there is no such agent, or the log cannot be read",
            NO_POOL: NOT_RUNNING,
        },
        "tail reads the files themselves, without a pool, and follows.",
    ),
    "ps": Entry(
        LOOK,
        "list every process of every pool of this user, and strays",
        ("agent-pool ps", "agent-pool ps --json"),
        {DONE: "they are on standard output"},
        "Strays are what pools have left that were killed together with their reaper.",
    ),
    "init": Entry(
        BEGIN,
        "put an example agent, a skill, an expertise file and a pool.toml into the project",
        ("agent-pool init --dry-run", "agent-pool init"),
        {DONE: "they are there", FAILED: "one of them cannot be written"},
        "They go into its folder .claude, where they are missing; nothing is overwritten. Then it "
        "says how to register the pool in Claude Code.",
    ),
    "check": Entry(
        BEGIN,
        "check pool.toml, every agent, skill and expertise, the CLI and the folders",
        ("agent-pool check --strict",),
        FOUND,
        "Starts nothing.",
    ),
    "doctor": Entry(
        BEGIN,
        "look whether this machine has what a pool needs, and say how to mend what it has not",
        ("agent-pool doctor",),
        FOUND,
    ),
    "config": Entry(
        BEGIN,
        "print what a pool would be configured with, and where each value comes from",
        ("agent-pool config", "agent-pool config --json"),
        {DONE: "it is on standard output", MISUSED: "wrong usage, or the configuration is wrong"},
    ),
    "schema": Entry(
        BEGIN,
        "print the JSON Schema of pool.toml, for editors",
        ("agent-pool schema > .claude/pool.schema.json",),
        {DONE: "it is on standard output"},
    ),
    "trust": Entry(
        BEGIN,
        "trust a project: its own files may then also say what runs code",
        ("agent-pool trust .", "agent-pool trust --list"),
        {DONE: "it is so", FAILED: "what is trusted cannot be read, written, or decided here"},
        "That is command, extra_arguments, environment and bypassPermissions in its pool.toml, and "
        "the hooks and MCP servers of its agents.",
    ),
    "serve": Entry(
        RUN,
        "what an MCP client starts: join this project's pool, or start it (MCP on stdio)",
        ("claude mcp add agent-pool -- agent-pool serve",),
        {
            DONE: "the client closed its end",
            FAILED: "no pool is to be had, or it has gone; the client is told in an MCP error",
        },
    ),
    "run": Entry(
        RUN,
        "run the pool in the foreground, until Ctrl-C or SIGTERM",
        ("agent-pool run", "agent-pool run --http 127.0.0.1:8765"),
        {
            DONE: "it was told to end, and all of it has ended",
            FAILED: "it could not be started, or something of it would not end",
            INTERRUPTED: "Ctrl-C, before it was ready",
        },
    ),
    "stop": Entry(
        RUN,
        "stop this project's pool and all its agents, and wait until they are gone",
        ("agent-pool stop",),
        {
            DONE: "none runs any more, or none ran",
            FAILED: "it has not ended within a minute, or something of it would not go",
            INTERRUPTED: "Ctrl-C; it goes on ending",
        },
        "Also ends what a pool has left that was killed.",
    ),
    "reap": Entry(
        RUN,
        "end strays (see ps), remove the folders and cgroups of their pools, and nothing else",
        ("agent-pool reap --dry-run", "agent-pool reap"),
        {DONE: "there are none any more", FAILED: "something would not go"},
    ),
    "hook": Entry(
        RUN,
        "what the Claude Code plugin runs before each call of the Agent tool",
        ("AGENT_POOL_HOOK=off claude",),
        {DONE: "the call has been judged, or passes"},
        "The call comes on standard input; those for sub-agents that files define are sent to the "
        "pool. AGENT_POOL_HOOK=off switches it off.",
    ),
    "demo": Entry(
        TRY,
        "show it: two agents, a crash in mid-task, the restart, the reset",
        ("agent-pool demo", "CLAUDE_CLI=claude agent-pool demo"),
        {DONE: "all of it truly happened", FAILED: "something did not"},
    ),
    "rehearsal": Entry(
        TRY,
        "a stand-in agent CLI: speaks stream-json, needs no account, misbehaves on request",
        ("CLAUDE_CLI='agent-pool rehearsal' agent-pool run",),
        {
            DONE: "its input has ended",
            FAILED: "it was asked to fail, or refuses as the CLI does; [[crash RC]]: RC",
        },
    ),
}
"""By name."""


def list_of_commands() -> str:
    """All of them by what they are for, a line each."""
    return "\n\n".join("\n".join(_of(group)) for group in GROUPS)


def _of(group: str) -> Iterator[str]:
    yield f"to {group}:"
    for name, entry in MANUAL.items():
        if entry.group == group:
            yield f"  {name:<12} {entry.brief}"
