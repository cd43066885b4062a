"""One mistake a file: is what is said enough to mend it without the manual?

Each has to be told once, with its line and its key, and with all the words that are given here:
the value, what is allowed, and what was meant where that can be guessed.
"""

from dataclasses import dataclass

import pytest

from tests.pool.config.conftest import Files


@dataclass(frozen=True)
class Mistake:
    """A file, and what has to be said of it."""

    text: str
    """The whole file."""
    line: int
    key: str
    says: tuple[str, ...]
    """What the message has to contain."""


def one(text: str, line: int, key: str, *says: str) -> Mistake:
    return Mistake(text, line, key, says)


DURATIONS = {
    "a number without a unit": one(
        '[pool]\n\nlinger = "60"\n', 3, "pool.linger",
        '"60" does not fit', 'a duration, such as "250ms"', 'did you mean "60s"?',
    ),
    "no text": one("[pool]\nlinger = 60\n", 2, "pool.linger", "60 does not", 'mean "60s"?'),
    "a fraction that is no text": one(
        "[pool]\nlinger = 1.5\n", 2, "pool.linger", "1.5 does not", 'did you mean "1.5s"?'
    ),
    "zero without a unit": one(
        "[defaults.agent]\nmax_age = 0\n", 2, "defaults.agent.max_age", 'did you mean "0s"?'
    ),
    "a long unit": one(
        '[pool]\nlinger = "60 seconds"\n', 2, "pool.linger", 'did you mean "60s"?'
    ),
    "a short unit": one('[pool]\nlinger = "5m"\n', 2, "pool.linger", 'did you mean "5min"?'),
    "hours": one('[pool]\nlinger = "2 hours"\n', 2, "pool.linger", 'did you mean "2h"?'),
    "a unit in capitals": one('[pool]\nlinger = "90S"\n', 2, "pool.linger", 'mean "90s"?'),
    "weeks": one('[pool]\nlinger = "1w"\n', 2, "pool.linger", '"1w" does not fit', '"2h"'),
    "a negative one": one('[pool]\nlinger = "-1s"\n', 2, "pool.linger", '"-1s" does not fit'),
    "two units": one('[pool]\nlinger = "1h30min"\n', 2, "pool.linger", '"1h30min" does not fit'),
    "an exponent": one('[pool]\nlinger = "1e3s"\n', 2, "pool.linger", '"1e3s" does not fit'),
    "a word": one('[pool]\nlinger = "forever"\n', 2, "pool.linger", '"forever" does not fit'),
    "nothing in it": one('[pool]\nlinger = ""\n', 2, "pool.linger", '"" does not fit'),
    "a truth value": one("[pool]\nlinger = true\n", 2, "pool.linger", "true does not fit"),
    "a time of day": one("[pool]\nlinger = 07:32:00\n", 2, "pool.linger", "07:32:00 does not fit"),
    "a list": one('[pool]\nlinger = ["1s"]\n', 2, "pool.linger", '["1s"] does not fit'),
    "a table": one("[pool.linger]\nx = 1\n", 1, "pool.linger", "{ … } does not fit", "a duration"),
    "too large": one(
        f'[pool]\nlinger = "{"9" * 400}s"\n', 2, "pool.linger", '99…" does not fit', "too large"
    ),
    "a period of no time": one(
        '[defaults.supervisor]\nperiod = "0s"\n', 2, "defaults.supervisor.period",
        '"0s" does not fit', "above 0",
    ),
    "an infinite one": one("[pool]\nlinger = inf\n", 2, "pool.linger", "inf does not fit"),
}  # fmt: skip

SIZES = {
    "a size in small letters": one(
        '[logs]\nmax_size = "10 mb"\n', 2, "logs.max_size",
        '"10 mb" does not fit', 'a size, such as "64KiB"', 'did you mean "10MB"?',
    ),
    "a size without a unit": one(
        '[logs]\nmax_size = "10"\n', 2, "logs.max_size", 'did you mean "10B"?'
    ),
    "a size that is no text": one(
        "[pool]\nbudget = 1073741824\n", 2, "pool.budget", 'did you mean "1073741824B"?'
    ),
    "a size with a short unit": one(
        '[pool]\nbudget = "4G"\n', 2, "pool.budget", 'did you mean "4GiB"?'
    ),
    "a size in wrong letters": one(
        '[pool]\nbudget = "4gib"\n', 2, "pool.budget", 'did you mean "4GiB"?'
    ),
    "a size with a comma": one('[pool]\nbudget = "1,5GiB"\n', 2, "pool.budget", '"1.5GiB"'),
    "a size in terabytes": one('[pool]\nbudget = "1TiB"\n', 2, "pool.budget", '"1TiB" does not'),
    "a size in percent": one('[pool]\nbudget = "50%"\n', 2, "pool.budget", '"50%" does not fit'),
    "a size that is too large": one(
        f'[logs]\nmax_size = "{"9" * 400}GiB"\n', 2, "logs.max_size", "it is too large"
    ),
    "no limit in a word": one(
        '[pool]\nbudget = "unlimited"\n', 2, "pool.budget", '"unlimited" does not fit'
    ),
    "a size that is a duration": one(
        '[defaults.agent]\nsoft_ceiling = "1s"\n', 2, "defaults.agent.soft_ceiling", "a size"
    ),
    "a duration that is a size": one(
        '[defaults.agent]\nshutdown = "1GiB"\n', 2, "defaults.agent.shutdown", "a duration"
    ),
    "a hard ceiling below the soft one": one(
        '[defaults.agent]\nsoft_ceiling = "2GiB"\nhard_ceiling = "1GiB"\n', 3,
        "defaults.agent.hard_ceiling",
        "hard_ceiling must not be below soft_ceiling", 'hard_ceiling = "1GiB"',
        'soft_ceiling = "2GiB"',
    ),
    "a soft ceiling above the hard one that another file gives": one(
        '[defaults.agent]\nsoft_ceiling = "3GiB"\n', 2, "defaults.agent.soft_ceiling",
        "hard_ceiling must not be below soft_ceiling", 'hard_ceiling = "2GiB"', "config/pool.toml",
    ),
    "an agent's hard ceiling below everybody's soft one": one(
        '[agents.x]\nhard_ceiling = "1MiB"\n', 2, "agents.x.hard_ceiling", 'soft_ceiling = "1GiB"'
    ),
}  # fmt: skip

NUMBERS = {
    "a number too small": one(
        "[defaults.agent]\nqueue_limit = 0\n", 2, "defaults.agent.queue_limit",
        "0 does not fit", "a whole number, 1 or more",
    ),
    "a negative number": one(
        "[pool]\nspawn_limit = -1\n", 2, "pool.spawn_limit", "-1 does not", "0 or more"
    ),
    "a number too large": one(
        "[defaults.supervisor.backoff]\njitter = 1.5\n", 2, "defaults.supervisor.backoff.jitter",
        "1.5 does not fit", "a number from 0 to 1",
    ),
    "a part in percent": one(
        "[defaults.supervisor.backoff]\njitter = 20\n", 2, "defaults.supervisor.backoff.jitter",
        "did you mean 0.2?",
    ),
    "a part as a text": one(
        '[defaults.supervisor.backoff]\njitter = "0.2"\n', 2, "defaults.supervisor.backoff.jitter",
        "did you mean 0.2?",
    ),
    "no number": one("[logs]\nkeep = nan\n", 2, "logs.keep", "nan does not fit", "whole number"),
    "a truth value for a number": one("[logs]\nkeep = true\n", 2, "logs.keep", "true does not fit"),
    "a text for a number": one('[logs]\nkeep = "5"\n', 2, "logs.keep", '"5"', "did you mean 5?"),
    "a whole number with a point": one("[logs]\nkeep = 5.0\n", 2, "logs.keep", "did you mean 5?"),
    "half a number": one("[logs]\nkeep = 5.5\n", 2, "logs.keep", "5.5 does not fit", "whole"),
    "a duration for a number": one(
        '[defaults.supervisor]\nintensity = "5s"\n', 2, "defaults.supervisor.intensity",
        '"5s" does not fit', "a whole number, 0 or more",
    ),
    "a date for a number": one(
        "[logs]\nkeep = 1979-05-27\n", 2, "logs.keep", "1979-05-27 does not fit"
    ),
}  # fmt: skip

FRONTEND = {
    "no such tool": one(
        '[frontend]\ntools = ["invoke", "wiat"]\n', 2, "frontend.tools",
        '"wiat" is no tool; did you mean "wait"?',
        "(allowed: invoke, invoke_many, submit, wait, result, list, warmup, reset, consult",
    ),
    "a word that is nearly one": one(
        '[frontend]\ntools = "al"\n', 2, "frontend.tools",
        '"al" does not fit: allowed is "usual", "all", or a list of tools', 'mean "all"?',
    ),
    "a tool without a list": one(
        '[frontend]\ntools = "consult"\n', 2, "frontend.tools", 'did you mean ["consult"]?'
    ),
    "no tools": one("[frontend]\ntools = []\n", 2, "frontend.tools", "[] does not fit"),
    "a tool that is no text": one(
        "[frontend]\ntools = [7]\n", 2, "frontend.tools", "7 does not fit", "in quotes"
    ),
    "a key of the front end that is none": one(
        '[frontend]\ntool = "all"\n', 2, "frontend.tool", 'did you mean "tools"?',
        "(allowed: tools)",
    ),
}  # fmt: skip

WORDS = {
    "a misspelled word": one(
        '[defaults.agent]\nrestart = "permanant"\n', 2, "defaults.agent.restart",
        '"permanant" does not fit', '"permanent", "transient" or "temporary"',
        'did you mean "permanent"?',
    ),
    "a word in capitals": one('[logs]\nlevel = "INFO"\n', 2, "logs.level", 'mean "info"?'),
    "a word of another program": one(
        '[logs]\nlevel = "warn"\n', 2, "logs.level", 'did you mean "warning"?'
    ),
    "a word like no other": one(
        '[logs]\nlevel = "q"\n', 2, "logs.level", '"debug", "info", "warning" or "error"'
    ),
    "no address": one('[http]\naddress = "8765"\n', 2, "http.address", '"8765"', "an IP address"),
    "a name for an address": one(
        '[http]\naddress = "example.org:80"\n', 2, "http.address", '"127.0.0.1:8765"'
    ),
    "a number for an address": one("[http]\naddress = 8765\n", 2, "http.address", "8765"),
    "no word": one('[logs]\nlevel = ""\n', 2, "logs.level", '"" does not fit', '"debug"'),
    "a number for a word": one("[logs]\nlevel = 3\n", 2, "logs.level", "3 does not fit", '"info"'),
    "a strategy with hyphens": one(
        '[defaults.supervisor]\nstrategy = "one-for-all"\n', 2, "defaults.supervisor.strategy",
        'did you mean "one_for_all"?',
    ),
    "OTP's strategy that is not here": one(
        '[supervisors.g]\nstrategy = "simple_one_for_one"\n', 2, "supervisors.g.strategy",
        '"one_for_one", "one_for_all" or "rest_for_one"',
    ),
    "a permission mode in snake case": one(
        '[agents.x]\npermission_mode = "accept_edits"\n', 2, "agents.x.permission_mode",
        'did you mean "acceptEdits"?',
    ),
    "always, for never": one(
        '[supervisors.g]\nauto_shutdown = "always"\n', 2, "supervisors.g.auto_shutdown",
        '"never", "any_significant" or "all_significant"',
    ),
    "a switch that is a text": one(
        '[agents.x]\nsignificant = "false"\n', 2, "agents.x.significant",
        '"false" does not fit', "true or false", "did you mean false?",
    ),
    "a switch that is a number": one(
        "[agents.x]\nsignificant = 0\n", 2, "agents.x.significant", "did you mean false?"
    ),
    "a group that is a number": one(
        "[agents.x]\nsupervisor = 1\n", 2, "agents.x.supervisor", "1 does not fit", "a text"
    ),
    "a group that is a list": one(
        '[supervisors.g]\n[agents.x]\nsupervisor = ["g"]\n', 3, "agents.x.supervisor", '["g"]'
    ),
}  # fmt: skip

KEYS = {
    "a misspelled key": one(
        '# first\n[pool]\nlnger = "1s"\n', 3, "pool.lnger",
        'no such key; did you mean "linger"?', "allowed: ", "linger",
    ),
    "a key in camel case": one(
        '[agents.x]\ntaskTimeout = "1s"\n', 2, "agents.x.taskTimeout", 'mean "task_timeout"?'
    ),
    "a key with a hyphen": one(
        '[agents.x]\ntask-timeout = "1s"\n', 2, "agents.x.task-timeout", 'mean "task_timeout"?'
    ),
    "a key like no other": one("[pool]\nxyzzy = 1\n", 2, "pool.xyzzy", "no such key (allowed: "),
    "a key of every supervisor, misspelled in a group": one(
        "[supervisors.a]\nintensty = 3\n", 2, "supervisors.a.intensty", 'did you mean "intensity"?'
    ),
    "a key of agents in the pool's table": one(
        '[pool]\ntask_timeout = "1s"\n', 2, "pool.task_timeout",
        "no such key in [pool]; it belongs to [defaults.agent] or [agents.<name>]",
    ),
    "a key of supervisors in an agent's table": one(
        "[agents.x]\nintensity = 3\n", 2, "agents.x.intensity",
        "no such key in [agents.x]; it belongs to [defaults.supervisor] or [supervisors.<name>]",
    ),
    "a key of groups alone in the defaults": one(
        '[defaults.supervisor]\nparent = "g"\n', 2, "defaults.supervisor.parent",
        "it belongs to [supervisors.<name>]",
    ),
    "a key of the backoff in its supervisor's table": one(
        '[supervisors.g]\ninitial = "1s"\n', 2, "supervisors.g.initial",
        "it belongs to [defaults.supervisor.backoff]",
    ),
    "a key of no table": one('linger = "1s"\n', 1, "linger", "no such key here", "[pool]"),
    "a key in the defaults of nobody": one(
        '[defaults]\nrestart = "temporary"\n', 2, "defaults.restart",
        "no such key in [defaults]; it belongs to [defaults.agent] or [agents.<name>]",
    ),
    "a misspelled table": one("[deflauts.agent]\n", 1, "deflauts", 'did you mean "defaults"?'),
    "a table in the singular": one(
        '[agent.x]\nrestart = "temporary"\n', 1, "agent", 'no such key; did you mean "agents"?'
    ),
    "supervisors in the singular": one(
        "[supervisor.g]\n", 1, "supervisor", 'did you mean "supervisors"?'
    ),
    "a table of another program": one("[server]\nport = 1\n", 1, "server", "allowed: agents, "),
    "a table in a table": one(
        '[defaults.agents]\nrestart = "temporary"\n', 1, "defaults.agents", 'did you mean "agent"?'
    ),
    "a value for a table": one("pool = 1\n", 1, "pool", "a table is expected here: [pool]"),
    "a value for all defaults": one("defaults = 1\n", 1, "defaults", "[defaults]"),
    "a value for all agents": one("agents = 1\n", 1, "agents", "a table is expected here"),
    "a list of agents": one('agents = ["x"]\n', 1, "agents", '["x"]', "a table is expected"),
    "a value for an agent": one(
        "[agents]\nx = 1\n", 2, "agents.x", "1 does not fit", "a table is expected here: [agents.x]"
    ),
    "a key of all agents where their names are": one(
        '[agents]\nrestart = "temporary"\n', 2, "agents.restart",
        "each key of [agents] is the name of an agent",
        "what holds for every agent belongs to [defaults.agent]",
    ),
    "a key of all groups where their names are": one(
        "[supervisors]\nintensity = 3\n", 2, "supervisors.intensity",
        "what holds for every supervisor belongs to [defaults.supervisor]",
    ),
    "tables in double brackets": one(
        '[[agents.x]]\nrestart = "temporary"\n', 1, "agents.x",
        "a table is expected here", "[agents.x], in single brackets",
    ),
    "a dotted key": one('pool.linger = "x"\n', 1, "pool.linger", '"x" does not fit'),
    "a key in an inline table": one(
        '\npool = { spawn_limit = 1, linger = "x" }\n', 2, "pool.linger", '"x" does not fit'
    ),
    "a quoted key": one('["pool"]\n"linger" = "x"\n', 2, "pool.linger", '"x" does not fit'),
    "a key after a text of several lines": one(
        '[pool]\nname = """\\\n[logs]\\\nlinger"""\nspawn_limit = -1\n', 5, "pool.spawn_limit", "-1"
    ),
    "a key after a hash in a text": one(
        '[pool]\nname = "# [logs]"\nspawn_limit = -1 # [logs]\n', 3, "pool.spawn_limit", "-1"
    ),
    "an agent whose name has a dot in it": one(
        '[agents."a.b"]\nrestart = "no"\n', 2, 'agents."a.b".restart', '"no" does not fit'
    ),
    "a line after one with a line separator in it": one(
        '[pool]\n# \u2028 \x85\nlinger = "x"\n', 3, "pool.linger", '"x" does not fit'
    ),
    "lines that end as on windows": one(
        '[pool]\r\n\r\nlinger = "x"\r\n', 3, "pool.linger", '"x" does not fit'
    ),
}  # fmt: skip

GROUPS = {
    "a group that is not there": one(
        '[agents.a]\nsupervisor = "nobody"\n', 2, "agents.a.supervisor",
        'there is no group "nobody"', "none is configured", "[supervisors.<name>]",
    ),
    "a group that everybody is to be in and that is not there": one(
        '[defaults.agent]\nsupervisor = "nobody"\n[agents.a]\n[agents.b]\n', 2,
        "defaults.agent.supervisor", 'there is no group "nobody"',
    ),
    "a misspelled group": one(
        '[supervisors.delivery]\n[agents.a]\nsupervisor = "delivry"\n', 3, "agents.a.supervisor",
        'there is no group "delivry"; did you mean "delivery"?', 'allowed: "delivery"',
    ),
    "a parent that is not there": one(
        '[supervisors.a]\nparent = "b"\n[supervisors.c]\n', 2, "supervisors.a.parent",
        'there is no group "b"', 'allowed: "c"',
    ),
    "the only group's parent": one(
        '[supervisors.a]\nparent = "b"\n', 2, "supervisors.a.parent", "none is configured"
    ),
    "a group within itself": one(
        '[supervisors.a]\nparent = "a"\n', 2, "supervisors.a.parent",
        '"a" would be within itself', "name another group, or none",
    ),
    "significant for good, and always restarted": one(
        '[supervisors.g]\nauto_shutdown = "any_significant"\n[agents.a]\nsupervisor = "g"\n'
        "significant = true\n", 5, "agents.a.significant",
        'significant = true does not fit restart = "permanent"', '"transient" or "temporary"',
    ),
    "significant for everybody, and one that is always restarted": one(
        '[supervisors.g]\nauto_shutdown = "any_significant"\n[defaults.agent]\nsupervisor = "g"\n'
        'restart = "transient"\nsignificant = true\n[agents.a]\nrestart = "permanent"\n', 8,
        "agents.a.restart", 'significant = true does not fit restart = "permanent"',
    ),
    "significant without a group": one(
        '[agents.a]\nrestart = "transient"\nsignificant = true\n', 3, "agents.a.significant",
        "needs a group", "auto_shutdown", '"any_significant"',
    ),
    "significant by default without a group": one(
        '[defaults.agent]\nrestart = "transient"\nsignificant = true\n', 3,
        "defaults.agent.significant", "needs a group",
    ),
    "a group's name with a slash": one(
        '[supervisors."a/b"]\n', 1, 'supervisors."a/b"',
        '"a/b" is no name', "letters, digits", 'did you mean "a-b"?',
    ),
    "a group without a name": one('[supervisors.""]\n', 1, 'supervisors.""', '"" is no name'),
    "a group's name of many characters": one(
        f"[supervisors.{'a' * 101}]\n", 1, f"supervisors.{'a' * 101}", "100 characters at most"
    ),
    "an agent's name that is a path": one(
        '[agents."../x"]\n', 1, 'agents."../x"', '"../x" is no name', 'did you mean "x"?'
    ),
    "an agent's name with a line break": one(
        '[agents."a\\nb"]\n', 1, 'agents."a\\nb"', '"a\\nb" is no name'
    ),
    "an agent's name that begins with a hyphen": one(
        "[agents.-x]\n", 1, "agents.-x", '"-x" is no name', 'did you mean "x"?'
    ),
    "a backoff that begins above its maximum": one(
        '[defaults.supervisor.backoff]\ninitial = "20s"\nmaximum = "10s"\n', 3,
        "defaults.supervisor.backoff.maximum",
        "maximum must not be below initial", 'initial = "20s"',
    ),
    "a group's backoff that begins above everybody's maximum": one(
        '[supervisors.g.backoff]\ninitial = "20s"\n', 2, "supervisors.g.backoff.initial",
        "maximum must not be below initial", 'maximum = "10s"',
    ),
}  # fmt: skip

LAUNCH = {
    "a text for a list": one(
        '[agents.x]\ntools = "Read, Bash"\n', 2, "agents.x.tools",
        '"Read, Bash" does not fit', 'a list of texts, such as', 'did you mean ["Read", "Bash"]?',
    ),
    "a number in a list": one(
        '[agents.x]\ntools = [\n  "Read",\n  3,\n]\n', 4, "agents.x.tools",
        "3 does not fit", "a text in quotes",
    ),
    "no tool": one(
        '[agents.x]\ntools = ["Read Bash"]\n', 2, "agents.x.tools",
        '"Read Bash" is no tool', '"Bash(git log:*)"',
    ),
    "tools by another key": one(
        '[agents.x]\nallowed_tools = ["Read"]\n', 2, "agents.x.allowed_tools", "no such key"
    ),
    "a denied tool that there is not": one(
        '[agents.a]\ndisallowed_tools = ["Wrte"]\n', 2, "agents.a.disallowed_tools",
        '"Wrte"', "no tool that is known", 'did you mean "Write"?',
    ),
    "the frontmatter's key": one(
        '[agents.x]\ndisallowedTools = ["Read"]\n', 2, "agents.x.disallowedTools",
        'did you mean "disallowed_tools"?',
    ),
    "a model of several words": one(
        '[agents.x]\nmodel = "Claude Sonnet"\n', 2, "agents.x.model",
        '"Claude Sonnet" does not fit', 'one word, such as "sonnet"',
    ),
    "an effort in another word": one(
        '[agents.x]\neffort = "maximum"\n', 2, "agents.x.effort", '"xhigh" or "max"'
    ),
    "a variable with its value": one(
        '[agents.x]\nenvironment = ["A=1"]\n', 2, "agents.x.environment",
        '"A=1" holds a value', 'name the variable alone, "A"',
    ),
    "variables as a table": one(
        '[agents.x.environment]\nA = "1"\n', 1, "agents.x.environment", "a list of texts"
    ),
    "all variables": one(
        '[agents.x]\nenvironment = ["*"]\n', 2, "agents.x.environment",
        '"*" is no variable\'s name', '"MY_*"',
    ),
    "an argument that has a key of its own": one(
        '[agents.x]\nextra_arguments = ["--model", "opus"]\n', 2, "agents.x.extra_arguments",
        '"--model" is agent-pool\'s to set', "use the key model",
    ),
    "an argument with its value in one word": one(
        '[agents.x]\nextra_arguments = ["--permission-mode=plan"]\n', 2,
        "agents.x.extra_arguments", "use the key permission_mode",
    ),
    "an argument that would break the conversation": one(
        '[agents.x]\nextra_arguments = ["--output-format", "text"]\n', 2,
        "agents.x.extra_arguments", "cannot talk to the CLI", "leave it out",
    ),
    "arguments without an option": one(
        '[agents.x]\nextra_arguments = ["do it"]\n', 2, "agents.x.extra_arguments",
        '"do it" is no option', "begins with -",
    ),
    "arguments as one text": one(
        '[agents.x]\nextra_arguments = "--betas x"\n', 2, "agents.x.extra_arguments",
        'did you mean ["--betas", "x"]?',
    ),
    "a command whose quotes do not match": one(
        '[agents.x]\ncommand = "claude \\"x"\n', 2, "agents.x.command",
        "no closing quotation", 'a program or a command line, such as "claude"',
    ),
    "no command": one('[agents.x]\ncommand = ""\n', 2, "agents.x.command", "command is empty"),
    "a command as a list": one(
        '[agents.x]\ncommand = ["claude"]\n', 2, "agents.x.command", '["claude"] does not fit'
    ),
    "a state folder that is relative": one(
        '[pool]\nstate_folder = "state"\n', 2, "pool.state_folder",
        '"state" does not fit', "an absolute path",
    ),
    "a name of several lines": one(
        '[pool]\nname = "a\\nb"\n', 2, "pool.name", "one line of 100 characters at most"
    ),
}  # fmt: skip

ELSEWHERE = {
    "a frontmatter's key": one(
        '[agents.x]\ndescription = "It."\n', 2, "agents.x.description",
        "the agent's own file says it, in its frontmatter: description: …",
    ),
    "an agent's table in another": one(
        '[pool.agents.x]\nmodel = "opus"\n', 1, "pool.agents",
        "the table stands by itself: [agents.x]",
    ),
    "a group that lists its agents": one(
        '[supervisors.g]\nagents = ["x"]\n', 2, "supervisors.g.agents",
        "an agent says itself which group it is in", 'supervisor = "g" under [agents.<name>]',
    ),
    "a table of limits": one(
        '[agents.x.limits]\nmemory = "1GiB"\n', 1, "agents.x.limits", "no such key (allowed: "
    ),
    "what others call the environment": one(
        '[agents.x]\nenv = ["A"]\n', 2, "agents.x.env", 'did you mean "environment"?'
    ),
    "what others call the folder": one(
        '[agents.x]\ncwd = ""\n', 2, "agents.x.cwd", 'did you mean "working_directory"?'
    ),
    "what others call the deadline": one(
        '[agents.x]\ntimeout = "5min"\n', 2, "agents.x.timeout", 'did you mean "task_timeout"?'
    ),
    "what others call the intensity": one(
        "[defaults.supervisor]\nmax_restarts = 3\n", 2, "defaults.supervisor.max_restarts",
        'did you mean "intensity"?',
    ),
    "what others call the log": one(
        '[logging]\nlevel = "info"\n', 1, "logging", 'did you mean "logs"?'
    ),
    "a deadline of no time": one(
        '[agents.x]\ntask_timeout = "0s"\n', 2, "agents.x.task_timeout", "above 0"
    ),
    "a port for an address": one(
        "[http]\naddress = 8765\n", 2, "http.address", 'did you mean "127.0.0.1:8765"?'
    ),
    "a host for an address": one(
        '[http]\naddress = "localhost"\n', 2, "http.address", 'mean "localhost:8765"?'
    ),
    "a port that is none": one(
        '[http]\naddress = "127.0.0.1:99999"\n', 2, "http.address", "an IP address"
    ),
    "an amount with its currency": one(
        '[pool]\nmax_cost_usd_per_day = "5 USD"\n', 2, "pool.max_cost_usd_per_day", "such as 2.5"
    ),
    "a negative amount": one(
        "[agents.x]\nmax_cost_usd = -1\n", 2, "agents.x.max_cost_usd", "0 or more"
    ),
    "too many spares": one("[pool]\nspares = 99\n", 2, "pool.spares", "0 to 16"),
    "a folder with a NUL in it": one(
        '[agents.x]\nworking_directory = "a\\u0000"\n', 2, "agents.x.working_directory",
        "holds a NUL character; take it out",
    ),
    "an argument with a NUL in it": one(
        '[agents.x]\nextra_arguments = ["--x\\u0000"]\n', 2, "agents.x.extra_arguments",
        "holds a NUL character; take it out",
    ),
    "a priority in another word": one(
        '[agents.x]\npriority = "urgent"\n', 2, "agents.x.priority", '"high", "normal" or "low"'
    ),
}  # fmt: skip

SYNTAX = {
    "a windows path": one(
        '[agents.x]\nworking_directory = "C:\\Users\\me"\n', 2, "",
        "a backslash stands in single quotes: 'C:\\Users\\me'",
    ),
    "an apostrophe in single quotes": one(
        "[pool]\nname = 'it's'\n", 2, "", "a text with ' in it stands in double quotes"
    ),
    "typographic quotes": one(
        "[pool]\nname = \u201cx\u201d\n", 2, "", "quotes are the plain ones"
    ),
    "a list without commas": one(
        '[agents.x]\ntools = ["Read" "Grep"]\n', 2, "", "commas between them"
    ),
    "a list without quotes": one(
        "[agents.x]\ntools = [Read, Grep]\n", 2, "", "each text in quotes"
    ),
    "a list that goes on without an end": one(
        '[agents.x]\ntools = ["Read",\n  "Grep"\nreplicas = 2\n', 2, "",
        "the list that begins here is not closed; ] is missing before the next key",
    ),
    "a text of several lines without an end": one(
        '[pool]\nname = """x\nspares = 1\n', 2, "", 'the text that begins here is not closed; """'
    ),
    "a table in several lines": one(
        "[agents]\nx = {\n  replicas = 2\n}\n", 2, "", "an inline table stands in one line"
    ),
    "a key that is not written to its end": one(
        "[pool]\nlinge\t", 2, "", "expected '='", "a key is written linge = …"
    ),
    "a comma at the end of a line": one("[pool]\nspares = 1,\n", 2, "", "take it out"),
    "a decimal comma": one("[pool]\nmax_cost_usd_per_day = 1,5\n", 2, "", "a point: 1.5"),
    "zeros in front": one("[pool]\nspares = 01\n", 2, "", "no zeros in front: 1"),
    "a point in front": one(
        "[defaults.supervisor.backoff]\njitter = .2\n", 2, "", "after its point: 0.2"
    ),
    "two signs": one("[pool]\nspares == 1\n", 2, "", "a key is written spares = …"),
    "yes for true": one("[ledger]\nenabled = yes\n", 2, "", "write true"),
    "a comment as in C after a value": one(
        "[pool]\nspares = 1 // one\n", 2, "", "a comment begins with #"
    ),
    "YAML": one(
        "agents:\n  x:\n    model: opus\n", 1, "", "this looks like YAML", "[agents]"
    ),
    "an item as in YAML": one("- x\n", 1, "", "this looks like YAML: write a list as"),
    "a name with spaces": one(
        "[agents.my agent]\n", 1, "", 'stands in quotes: [agents."my agent"]'
    ),
    "brackets that do not match": one(
        "[agents.x]]\n", 1, "", "write [agents.x], in single brackets"
    ),
    "a key that is no value's": one('[pool]\n= "x"\n', 2, "", "a key is written key = value"),
    "a letter of another alphabet in a key": one(
        "[pool]\nn\u00e4me = 1\n", 2, "", "cannot stand in a key without quotes"
    ),
    "no value": one("[pool]\nlinger = \n", 2, "", "no valid TOML", "the value is missing"),
    "a text without quotes": one(
        "[agents.x]\nrestart = permanent\n", 2, "", "no valid TOML", 'in quotes: "permanent"'
    ),
    "a duration without quotes": one("[pool]\nlinger = 60s\n", 2, "", 'in quotes: "60s"'),
    "a size without quotes": one("[pool]\nbudget = 1.5GiB\n", 2, "", 'in quotes: "1.5GiB"'),
    "Python's True": one("[agents.x]\nsignificant = True\n", 2, "", "write true"),
    "Python's None": one(
        "[agents.x]\nsupervisor = None\n", 2, "", "no such value: leave the key out"
    ),
    "YAML's colon": one('[pool]\nlinger: "1s"\n', 2, "", "a key is written linger = …"),
    "a table's name that does not end": one("[pool\n", 1, "", '''a table's name ends with "]"'''),
    "a text that does not end": one('[pool]\nlinger = "1s\n', 2, "", 'the closing " is missing'),
    "a list that does not end": one('x = ["a"\n', 1, "", "no valid TOML"),
    "a key twice": one(
        '[pool]\nlinger = "1s"\nlinger = "2s"\n', 3, "",
        "no valid TOML", "the key is in this table already; take one of the two out",
    ),
    "a table twice": one(
        "[pool]\n[logs]\n[pool]\n", 3, "", "annot declare [pool] twice", "under the first one"
    ),
    "two keys in one line": one('[pool]\nlinger = "1s" spawn_limit = 1\n', 2, "", "no valid TOML"),
    "a comment as in C": one("// pool\n[pool]\n", 1, "", "no valid TOML"),
    "JSON": one('{"pool": {"linger": "1s"}}\n', 1, "", "no valid TOML"),
    "a byte order mark": one("\ufeff[pool]\n", 1, "", "byte order mark", "without one"),
    "a number of thousands of digits": one(
        f"[logs]\nkeep = {'9' * 5000}\n", 2, "", "a number of too many digits"
    ),
    "tables in tables without end": one(
        f"[pool]\nspawn_limit = 1\n[agents.x]\n{'.'.join('a' * 3000)} = 1\n", 4,
        "agents.x…", "nested too deeply", "16 levels",
    ),
}  # fmt: skip

PARTS = (
    DURATIONS, SIZES, NUMBERS, WORDS, KEYS, GROUPS, LAUNCH, FRONTEND, ELSEWHERE, SYNTAX,
)  # fmt: skip
MISTAKES = {name: mistake for part in PARTS for name, mistake in part.items()}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_its_key_and_what_to_write(
    files: Files, name: str
) -> None:
    mistake = MISTAKES[name]
    path = files.write(files.user, mistake.text)

    (problem,) = files.problems()

    assert (problem.path, problem.line, problem.key) == (path, mistake.line, mistake.key)
    assert all(words in problem.message for words in mistake.says), problem.message
    assert str(problem).startswith(f"{path}:{mistake.line}: ")


def test_there_are_more_than_a_hundred_mistakes() -> None:
    assert len(MISTAKES) == sum(map(len, PARTS)) > 100


def test_each_group_of_a_circle_is_told_with_all_of_it(files: Files) -> None:
    files.write(files.user, '[supervisors.a]\nparent = "b"\n[supervisors.b]\nparent = "a"\n')

    assert [(p.line, p.key, p.message) for p in files.problems()] == [
        (
            2,
            "supervisors.a.parent",
            'groups within each other: "a" in "b" in "a"; take parent out of one of them',
        ),
        (
            4,
            "supervisors.b.parent",
            'groups within each other: "b" in "a" in "b"; take parent out of one of them',
        ),
    ]


def test_lists_in_lists_without_end_are_no_traceback(files: Files) -> None:
    path = files.write(files.user, f"x = {'[' * 5000}\n")

    assert files.problem() == f"{path}: no valid TOML: it is nested too deeply"
