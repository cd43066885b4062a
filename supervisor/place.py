"""Where a pool lives: its root, its state folder, its socket, and the first line spoken there.

One pool serves one project *root*, and keeps everything in one *state folder* (mode 0700)::

    ${XDG_STATE_HOME:-~/.local/state}/agent-pool/<name>-<hash of root>/    (or below state_folder)
        pool.lock    held (flock) for the pool's whole life: who holds it is the pool
        start.lock   held by a relay while it starts a pool, so that only one does
        pool.sock    the pool's socket (a link where the path would be too long to bind)
        greeting.json  what a pool answers every client alike: for the next start
        http.token   what clients over HTTP bear, where that is served (mode 0600)
        pool.err     what the pool printed before its log was open
        cgroup       where the pool's agents have their cgroups, if they have any
        tmp          leads to where they have their temporary files
        log/         the structured log, and transcripts of tasks where they are switched on

The relay imports this module, so it uses the standard library alone, and little of it.
"""

import errno
import fcntl
import hashlib
import json
import os
import shlex
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLES = (
    "AGENTS_DIR",
    "SKILLS_DIR",
    "EXPERTISE_DIR",
    "TASK_TIMEOUT_MS",
    "CLAUDE_CLI",
    "AGENT_POOL_CONFIG",
)
"""The environment variables that configure a pool: whoever starts it settles them."""

PATH_VARIABLES = ("AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR")

TAG = "AGENT_POOL_TAG"
"""Every process that a pool starts carries this variable, and hands it to its children.

Its value is `<mark of the place>.<pool>.<number>.<agent>`: the mark is that of one place's pools,
one after the other, `<mark>.<pool>` that of one pool.
"""

INSTEAD_OF_NESTING = (
    "hand the work back to the caller, who can ask the pool, or take agent-pool out of the MCP "
    "servers and commands that agents use"
)
"""What to do who wants a pool inside a pool."""

FOLDER = "AGENT_POOL_FOLDER"
"""And this one, which names the state folder of its pool: who has lost its pool is still found."""

STATE_FOLDER = 'an absolute path, or one that begins with "~/", or "" for the usual place'
"""What pool.toml may hold as its state_folder, in words."""

LOCK = "pool.lock"
"""The name of the lock file in a state folder."""

SOCKET_PATH_LIMIT = 100
"""Bytes: the kernel takes 108 with the closing zero, macOS 104; a margin for both."""

HELLO_LIMIT = 256 * 1024
"""Bytes of a hello line, both ways."""


class PlaceError(Exception):
    """The state folder cannot be used; the message says why and what to do."""


def find_root(environ: "Mapping[str, str]", cwd: str) -> str:
    """The project root (a real path) for a client that runs in `cwd`.

    `CLAUDE_PROJECT_DIR` where it is set, else the nearest folder from `cwd` upwards that holds
    `.claude` or `.git`, else `cwd`. The `.claude` in a user's home marks no project: every user
    of Claude Code has one, and all projects below would share one pool.
    """
    given = environ.get("CLAUDE_PROJECT_DIR")
    if given:
        return os.path.realpath(os.path.join(cwd, given))
    start = folder = os.path.realpath(cwd)
    home = os.path.realpath(environ.get("HOME") or os.path.expanduser("~"))
    while True:
        marks = (".git",) if folder == home else (".claude", ".git")
        if any(os.path.exists(os.path.join(folder, mark)) for mark in marks):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent


def settled_variables(environ: "Mapping[str, str]", cwd: str) -> dict[str, str]:
    """The variables that configure a pool, those that are set, with paths made absolute.

    Relative paths mean what they mean where the client runs; the pool runs elsewhere.
    """
    found = {name: environ[name] for name in VARIABLES if environ.get(name)}
    for name in PATH_VARIABLES:
        if name in found:
            found[name] = _absolute(found[name], cwd)
    if "AGENT_POOL_CONFIG" in found:
        files = asked_for(found, cwd)
        found["AGENT_POOL_CONFIG"] = os.pathsep.join(_absolute(file, cwd) for file in files)
    if "CLAUDE_CLI" in found:
        found["CLAUDE_CLI"] = settled_command(found["CLAUDE_CLI"], cwd)
    return found


def asked_for(environ: "Mapping[str, str]", cwd: str = "") -> list[str]:
    """The files that `AGENT_POOL_CONFIG` names: one, or several as in PATH, the first decides."""
    given = environ.get("AGENT_POOL_CONFIG", "")
    if os.path.exists(os.path.join(cwd, os.path.expanduser(given))):
        return [given] if given else []
    return [file for file in given.split(os.pathsep) if file]


def with_config(environ: "Mapping[str, str]", file: "str | None", cwd: str) -> dict[str, str]:
    """`environ` with a pool.toml that comes before all others; None: as it is."""
    if file is None:
        return dict(environ)
    files = [_absolute(file, cwd), *asked_for(environ, cwd)]
    return {**environ, "AGENT_POOL_CONFIG": os.pathsep.join(files)}


def user_folder(environ: "Mapping[str, str]") -> str:
    """Where the user's own configuration is: pool.toml, and which projects are trusted."""
    base = environ.get("XDG_CONFIG_HOME") or ""
    return os.path.join(base if os.path.isabs(base) else _home(environ, ".config"), "agent-pool")


def trust_list(environ: "Mapping[str, str]") -> str:
    """The file that says which projects the user trusts."""
    return os.path.join(user_folder(environ), "trusted.json")


def config_files(root: str, environ: "Mapping[str, str]") -> list[str]:
    """Every pool.toml, there or not, that says how the pool of `root` is configured."""
    return [*asked_for(environ), project_config(root), user_config(environ)]


def project_config(root: str) -> str:
    """The project's own pool.toml."""
    return os.path.join(root, ".claude", "pool.toml")


def user_config(environ: "Mapping[str, str]") -> str:
    """The user's own pool.toml."""
    return os.path.join(user_folder(environ), "pool.toml")


def _home(environ: "Mapping[str, str]", *below: str) -> str:
    return os.path.join(environ.get("HOME") or os.path.expanduser("~"), *below)


def _absolute(path: str, cwd: str) -> str:
    return os.path.abspath(os.path.join(cwd, os.path.expanduser(path)))


def settled_command(command: str, cwd: str) -> str:
    """`command` with the files that it names relative to `cwd` made absolute."""
    whole = os.path.join(cwd, os.path.expanduser(command))
    if "/" in command and os.path.isfile(whole):
        return os.path.abspath(whole)
    try:
        words = shlex.split(command)
    except ValueError:
        return command  # the pool reports it, with the reason, to whoever calls a tool
    return shlex.join(_settled_word(word, cwd, at == 0) for at, word in enumerate(words))


def _settled_word(word: str, cwd: str, is_program: bool) -> str:
    path = os.path.join(cwd, os.path.expanduser(word))
    # A program's path is settled also while nothing is there, so that it still means the same
    # once something is.
    return os.path.abspath(path) if "/" in word and (is_program or os.path.isfile(path)) else word


def split_command(command: str) -> list[str]:
    """`CLAUDE_CLI` as an argument vector: a path to a file, or words as a shell splits them.

    Raises:
        ValueError: the quotes do not match, or nothing is left.
    """
    if "/" in command and os.path.isfile(os.path.expanduser(command)):
        return [os.path.expanduser(command)]
    words = shlex.split(command)
    if not words:
        raise ValueError("the command is empty")
    return [os.path.expanduser(words[0]), *words[1:]]


def built_in() -> str:
    """The folder of the built-in agents, skills, expertise and config.

    In an installed package they lie inside it, in a checkout beside it.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    packed = os.path.join(package, "_builtin")
    return packed if os.path.isdir(packed) else os.path.dirname(package)


def find_place(root: str, environ: "Mapping[str, str]") -> "Place":
    """The place of the pool of `root`, below the `state_folder` of pool.toml where there is one.

    Raises:
        PlaceError: a file that says where that is cannot be understood.
    """
    return Place(root, environ, _state_folder(root, environ))


def _state_folder(root: str, environ: "Mapping[str, str]") -> "str | None":
    # Only the user's own files may say where things are written, so the project's is not read.
    for file in (*asked_for(environ), user_config(environ)):
        given = _state_folder_in(file) if file != project_config(root) else None
        if given == "":
            return None
        if given is not None:
            return given if os.path.isabs(given) else _home(environ, given[2:])
    return None


def _state_folder_in(file: str) -> "str | None":
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except OSError:
        return None  # the pool tells of it
    lines = [line.lstrip() for line in data.splitlines()]
    if not any(b"state_folder" in line and line[:1] != b"#" for line in lines):
        return None
    import tomllib  # here: it takes as long as all the rest of a relay's start

    advice = "mend it: until then nobody knows where the pool is"
    try:
        table = tomllib.loads(data.decode()).get("pool")
    except (ValueError, RecursionError) as error:
        raise PlaceError(f"{file}: no valid TOML: {error}; {advice}") from None
    given = table.get("state_folder") if isinstance(table, dict) else None
    if given is None or (isinstance(given, str) and is_state_folder(given)):
        return given
    raise PlaceError(
        f"{file}: pool.state_folder: {json.dumps(given, default=str)} does not fit: allowed is "
        f"{STATE_FOLDER}; {advice}"
    )


def is_state_folder(path: str) -> bool:
    """Whether pool.toml may name `path` as its state_folder."""
    return not path or os.path.isabs(path) or path.startswith("~/")


class Place:
    """The paths of the pool of one project root. Making one touches no file."""

    def __init__(self, root: str, environ: "Mapping[str, str]", base: "str | None" = None) -> None:
        """Compute the paths for `root` (a real path), for the user that `environ` describes.

        `base` is where all of this user's state folders are; None: where XDG has them.
        """
        self.root = root
        """The project root."""
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        state_home = environ.get("XDG_STATE_HOME") or ""
        if not os.path.isabs(state_home):
            state_home = _home(environ, ".local", "state")
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in os.path.basename(root))
        self.base = base or os.path.join(state_home, "agent-pool")
        """Where the state folders of all of this user's projects are."""
        self.folder = os.path.join(self.base, f"{name[:40] or 'root'}-{digest}")
        """The state folder."""
        self.mark = mark_of(self.folder)
        """What the tag of every process of this place's pools begins with, one after the other."""
        self.lock = os.path.join(self.folder, LOCK)
        self.cgroup = cgroup_of(self.folder)
        """What the name begins with of the cgroup that its agents are in, where there is one."""
        self.cgroup_note = cgroup_note(self.folder)
        """Says where that cgroup is."""
        self.start_lock = os.path.join(self.folder, "start.lock")
        self.errors = os.path.join(self.folder, "pool.err")
        self.log = os.path.join(self.folder, "log", "pool.jsonl")
        self.transcripts = os.path.join(self.folder, "log", "transcripts")
        self.greeting = os.path.join(self.folder, "greeting.json")
        """What a relay answers by itself while the pool that it starts is not up yet."""
        self.http_token = os.path.join(self.folder, "http.token")
        self.link = os.path.join(self.folder, "pool.sock")
        self._short = os.path.join(f"/tmp/agent-pool-{os.getuid()}", f"{digest}.sock")
        short_enough = len(os.fsencode(self.link)) <= SOCKET_PATH_LIMIT
        self.socket = self.link if short_enough else self._short
        """Where the pool listens: in the state folder, or under /tmp where that is too long."""

    def prepare(self) -> None:
        """Make the folders, private to this user.

        Raises:
            PlaceError: a folder cannot be made, or somebody else owns it.
        """
        private_folder(self.folder)
        private_folder(os.path.dirname(self.log))
        if self.socket != self.link:
            private_folder(os.path.dirname(self.socket))

    def noted_cgroup(self) -> "str | None":
        """The folder of the cgroup that a pool of this place has noted, or None."""
        return noted_cgroup(self.folder)

    def holder(self) -> "dict[str, Any] | None":
        """What the holder of the pool's lock wrote, `{"pid": …}` or {}; None: nobody holds it."""
        return holder_of(self.lock)


def mark_of(folder: str) -> str:
    """What the tags of all pools begin with that have their state in `folder`."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


def cgroup_of(folder: str) -> str:
    """What the names begin with of the cgroups of pools that have their state in `folder`.

    Each pool has one of its own: where somebody removes the folder of one that runs, the next one
    is not to share its agents' end.
    """
    return f"agent-pool-{mark_of(folder)}"


def cgroup_note(folder: str) -> str:
    """The file that says where that cgroup is."""
    return os.path.join(folder, "cgroup")


def noted_cgroup(folder: str) -> "str | None":
    """The folder of that cgroup, as a pool has noted it, or None."""
    try:
        with open(cgroup_note(folder), encoding="utf-8") as file:
            path = file.read()
    except OSError:
        return None
    # By its name too: what is noted there gets killed.
    name = os.path.basename(path)
    return path if name == cgroup_of(folder) or name.startswith(f"{cgroup_of(folder)}-") else None


def holder_of(lock: str) -> "dict[str, Any] | None":
    """What the holder of the lock file `lock` wrote into it; None: nobody holds it."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _first_object(os.read(fd, HELLO_LIMIT))
    else:
        return None
    finally:
        os.close(fd)


def signed_by(lock: str) -> "dict[str, Any]":
    """What its holder wrote into the lock file `lock`, or the last one that there was; else {}."""
    try:
        with open(lock, "rb") as file:
            return _first_object(file.read(HELLO_LIMIT))
    except OSError:
        return {}


def private_folder(path: str) -> None:
    """Make the folder `path`, with those above it, for this user alone.

    Raises:
        PlaceError: it cannot be made, or somebody else owns it.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        facts = os.lstat(path)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
            raise PlaceError(f"{path} does not belong to this user, so it is not used: remove it")
        if facts.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise PlaceError(unusable(path, error)) from error


def unusable(path: str, error: OSError) -> str:
    """What is wrong with the state folder `path`, and what to do."""
    advice = "make it writable, or set XDG_STATE_HOME to a folder that is"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = (
            "its disk is full: make room there, or set XDG_STATE_HOME to a folder on another disk"
        )
    return f"the state folder {path} cannot be used: {error.strerror}; {advice}"


def _first_object(data: bytes) -> "dict[str, Any]":
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def hello_line(version: str, root: str, variables: "Mapping[str, str] | None") -> bytes:
    """The first line on the socket; `variables` None: this client does not care how it is set."""
    words = {"agent-pool": 1, "version": version, "root": root, "variables": variables}
    return json.dumps(words).encode() + b"\n"


def parse_hello(line: bytes) -> "dict[str, Any]":
    """The object of a hello line or of its answer.

    Raises:
        ValueError: it is none.
    """
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict) or value.get("agent-pool") != 1:
        raise ValueError("not a hello of agent-pool")
    if not isinstance(value.get("variables"), dict | None):
        raise ValueError("its variables are no table")  # noqa: TRY004 - of the peer, not the caller
    return value


def differences(
    ours: "Mapping[str, Any]", theirs: "Mapping[str, Any]", version: str
) -> "list[str]":
    """What a client's hello (`theirs`) asks for that the running pool (`ours`) is not."""
    found = []
    if theirs.get("version") != version:
        found.append(f"version: the pool is {version}, this client is {theirs.get('version')}")
    wanted = theirs.get("variables")
    if wanted is None:
        return found
    for name in VARIABLES:
        if ours.get(name) != wanted.get(name):
            found.append(
                f"{name}: the pool has {_shown(ours, name)}, this client {_shown(wanted, name)}"
            )
    return found


def _shown(variables: "Mapping[str, Any]", name: str) -> str:
    value = variables.get(name)
    return "nothing set" if value is None else f'"{value}"'
