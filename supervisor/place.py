"""Where a pool lives: its root, its state folder, its socket, and the first line spoken there.

One pool serves one project *root*, and keeps everything in one *state folder* (mode 0700)::

    ${XDG_STATE_HOME:-~/.local/state}/agent-pool/<name>-<hash of root>/
        pool.lock    held (flock) for the pool's whole life: who holds it is the pool
        start.lock   held by a relay while it starts a pool, so that only one does
        pool.sock    the pool's socket (a link where the path would be too long to bind)
        pool.err     what the pool printed before its log was open
        cgroup       where the pool's agents have their cgroups, if they have any
        tmp          leads to where they have their temporary files
        log/         the structured log, and transcripts of tasks where they are switched on

The relay imports this module, so it uses the standard library alone, and little of it.
"""

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

PATH_VARIABLES = ("AGENTS_DIR", "SKILLS_DIR", "EXPERTISE_DIR", "AGENT_POOL_CONFIG")

TAG = "AGENT_POOL_TAG"
"""Every process that a pool starts carries this variable, and hands it to its children.

Its value is `<mark of the place>.<pool>.<number>.<agent>`: the mark is that of one place's pools,
one after the other, `<mark>.<pool>` that of one pool.
"""

FOLDER = "AGENT_POOL_FOLDER"
"""And this one, which names the state folder of its pool: who has lost its pool is still found."""

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
            found[name] = os.path.abspath(os.path.join(cwd, os.path.expanduser(found[name])))
    if "CLAUDE_CLI" in found:
        found["CLAUDE_CLI"] = _settled_command(found["CLAUDE_CLI"], cwd)
    return found


def _settled_command(command: str, cwd: str) -> str:
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


class Place:
    """The paths of the pool of one project root. Making one touches no file."""

    def __init__(self, root: str, environ: "Mapping[str, str]") -> None:
        """Compute the paths for `root` (a real path), for the user that `environ` describes."""
        self.root = root
        """The project root."""
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        base = environ.get("XDG_STATE_HOME") or ""
        if not os.path.isabs(base):
            home = environ.get("HOME") or os.path.expanduser("~")
            base = os.path.join(home, ".local", "state")
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in os.path.basename(root))
        self.base = os.path.join(base, "agent-pool")
        """Where the state folders of all of this user's projects are."""
        self.folder = os.path.join(self.base, f"{name[:40] or 'root'}-{digest}")
        """The state folder."""
        self.mark = mark_of(self.folder)
        """What the tag of every process of this place's pools begins with, one after the other."""
        self.lock = os.path.join(self.folder, LOCK)
        self.cgroup = f"agent-pool-{self.mark}"
        """The name of the cgroup that its agents are in, where there is one."""
        self.cgroup_note = os.path.join(self.folder, "cgroup")
        """Says where that cgroup is."""
        self.start_lock = os.path.join(self.folder, "start.lock")
        self.errors = os.path.join(self.folder, "pool.err")
        self.log = os.path.join(self.folder, "log", "pool.jsonl")
        self.transcripts = os.path.join(self.folder, "log", "transcripts")
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
        try:
            with open(self.cgroup_note, encoding="utf-8") as file:
                path = file.read()
        except OSError:
            return None
        return path if os.path.basename(path) == self.cgroup else None

    def holder(self) -> "dict[str, Any] | None":
        """What the holder of the pool's lock wrote, `{"pid": …}` or {}; None: nobody holds it."""
        return holder_of(self.lock)


def mark_of(folder: str) -> str:
    """What the tags of all pools begin with that have their state in `folder`."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]


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
        raise PlaceError(
            f"the state folder {path} cannot be used: {error.strerror}; "
            "make it writable, or set XDG_STATE_HOME to a folder that is"
        ) from error


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
