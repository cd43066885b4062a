"""`agent-pool doctor`: has this machine what a pool needs, and how is the rest to be had?"""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from supervisor.cli._agent_cli import look_at_cli, look_at_login
from supervisor.cli._report import Report, missing_rights
from supervisor.place import Place, PlaceError, built_in, find_place
from supervisor.pool.config import ConfigError, ConfigFiles
from supervisor.pool.launch import Cli, CliFinder
from supervisor.process import become_subreaper, has_parent_death_signal, writable_cgroup

DESCRIPTORS = 1024
"""Descriptors below which a pool of some dozens of agents may run out of them."""

PROCESSES = 512
"""Processes and threads of a user below which it may run out: a CLI has about ten threads."""

PIDS = 4096
"""The same for the whole machine."""

FREE_DISK = 2**30
"""Bytes of temporary files below which agents soon have no room."""

STATE_DISK = 64 * 2**20
"""Bytes of state below which a pool soon has no room: its log, its ledger and long replies."""

STATE_FULL = 2**20
"""Bytes below which it has none now: every task is refused that cannot be put on record."""

MEMORY = 2 * 2**30
"""Bytes of the machine's memory: an agent takes 0.1 to 0.5 GiB."""

NODE = 18
"""The oldest node that runs a CLI which is a script."""

STARTS_S = 10.0
"""How long a program may take to tell its version."""


def doctor(root: str, environ: Mapping[str, str], strict: bool, as_json: bool) -> int:
    """Print what was found; 0: no error, 1: warnings (with `strict`), 2: errors.

    Args:
        root: the project.
        environ: what a pool would be started with.
        strict: warnings count.
        as_json: print one JSON object.
    """
    report = Report()
    _look_at_limits(report)
    _look_at_mechanisms(report)
    _look_at_memory(report)
    _look_at_folders(root, environ, report)
    finder = CliFinder(environ).otherwise(_command(root, environ), Path(root))
    cli = look_at_cli(finder, "CLI", None, report, ask=True)
    if cli is not None and cli.version is not None:
        look_at_login(environ, Path(root), report)
        _look_at_node(cli, environ, report)
    return report.tell(root, strict, as_json)


def _command(root: str, environ: Mapping[str, str]) -> str:
    """The CLI that pool.toml names for all agents, where that file is right."""
    shipped = Path(built_in()) / "config" / "pool.toml"
    try:
        config = ConfigFiles.find(Path(root), environ, shipped).load()
    except ConfigError as error:  # check tells of it
        config = error.rest.config if error.rest else ConfigFiles(shipped).load()
    return config.defaults.agent.command


def _look_at_limits(report: Report) -> None:
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    _limit(
        report, "nofile", _number(descriptors), DESCRIPTORS, "open files a process may have",
        "raise it: ulimit -Hn 65536, or nofile in /etc/security/limits.conf, or LimitNOFILE= of "
        "a systemd unit",
    )  # fmt: skip
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    _limit(
        report, "nproc", _number(processes), PROCESSES, "processes and threads you may have",
        "raise it: ulimit -u 4096, or nproc in /etc/security/limits.conf, or TasksMax= of a "
        "systemd unit",
    )  # fmt: skip
    _limit(
        report, "pid_max", _read_number("/proc/sys/kernel/pid_max"), PIDS, "pids there are",
        "raise it: sysctl kernel.pid_max=4194304",
    )  # fmt: skip


def _limit(report: Report, key: str, value: int | None, least: int, what: str, advice: str) -> None:
    if value is None:
        report.note(f"no limit to the number of {what}", key)
    elif value < least:
        report.warn(f"only {value} {what}; a pool may need {least} or more: {advice}", key)
    else:
        report.note(f"{value} {what}", key)


def _look_at_mechanisms(report: Report) -> None:
    if sys.platform != "linux":
        report.note("no subreaper, cgroups or parent-death signal here: a guardian stands in")
        return
    if become_subreaper():
        report.note("orphans can be adopted", "subreaper")
    else:
        report.error(
            "orphans cannot be adopted (prctl is refused): daemons of agents may outlive the pool; "
            "allow PR_SET_CHILD_SUBREAPER in the sandbox or seccomp profile",
            "subreaper",
        )
    if has_parent_death_signal():
        report.note("children die with the pool, whoever kills it", "pdeathsig")
    else:
        report.warn(
            "setpriv with --pdeathsig is missing: if pool and reaper are killed at once, agents "
            "live on until the next start; install util-linux",
            "pdeathsig",
        )
    cgroup, has_memory = writable_cgroup()
    if cgroup is None:
        report.note(
            "no cgroup v2 can be made: a daemon without environment and parents is found only at "
            "the pool's end; run the pool as a service with Delegate=yes, or by "
            "systemd-run --user --scope -p Delegate=yes agent-pool run",
            "cgroup",
        )
    else:
        limits = "with memory limits by the kernel" if has_memory else "without memory limits"
        report.note(f"each agent gets a cgroup of its own below {cgroup}, {limits}", "cgroup")
    if os.path.exists("/proc/pressure/memory"):
        report.note("the kernel tells how hard the machine is pressed", "psi")
    else:
        report.note(
            "the kernel does not tell how hard the machine is pressed, so only free memory counts; "
            "boot with psi=1",
            "psi",
        )


def _look_at_memory(report: Report) -> None:
    total = psutil.virtual_memory().total
    message = f"{total / 2**30:.1f} GiB of memory"
    if total < MEMORY:
        report.warn(f"{message}: set budget in pool.toml, and few agents at once", "memory")
    else:
        report.note(message, "memory")


def _look_at_folders(root: str, environ: Mapping[str, str], report: Report) -> None:
    try:
        place = find_place(root, environ)
    except PlaceError as error:
        report.error(str(error), "state")
    else:
        _look_at_state(place, report)
    given = environ.get("TMPDIR") or ""
    shared = given if os.path.isabs(given) else "/tmp"
    if (why := missing_rights(shared)) is not None:
        report.error(f"no temporary files can be made: {why}; set TMPDIR", "tmp")
        return
    free = shutil.disk_usage(shared).free if os.path.isdir(shared) else 0
    message = f"{free / 2**30:.1f} GiB for temporary files in {shared}"
    if free < FREE_DISK:
        report.warn(f"only {message}; make room, or set TMPDIR to another disk", "tmp")
    else:
        report.note(message, "tmp")


def _look_at_state(place: Place, report: Report) -> None:
    if (why := missing_rights(place.folder)) is not None:
        advice = "make it writable, or set XDG_STATE_HOME, or state_folder in your pool.toml"
        report.error(f"{place.folder} cannot be used: {why}; {advice}", "state")
    else:
        _look_at_room(place.folder, report)
    holder = place.holder()
    if holder is None:
        report.note(f"no pool of {place.root} runs", "pool")
    else:
        report.note(
            f"a pool of {place.root} runs (pid {holder.get('pid')}, version "
            f"{holder.get('version')}); agent-pool stop ends it",
            "pool",
        )


def _look_at_room(folder: str, report: Report) -> None:
    there = next(path for path in (Path(folder), *Path(folder).parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    message = f"state is kept in {folder}"
    few = f"{message}, and its disk has only {free / 2**20:.1f} MiB left: make room there, or set "
    few += "XDG_STATE_HOME to a folder on another disk"
    if free < STATE_FULL:
        report.error(few, "state")
    elif free < STATE_DISK:
        report.warn(few, "state")
    else:
        report.note(f"{message} ({free / 2**30:.1f} GiB left)", "state")


def _look_at_node(cli: Cli, environ: Mapping[str, str], report: Report) -> None:
    """A CLI that is a script needs a node that is new enough."""
    if not any(_is_script(word) for word in cli.argv):
        return
    node = shutil.which("node", path=environ.get("PATH"))
    if node is None:
        report.error("the CLI is a script, and there is no node on the PATH; install it", "node")
        return
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=STARTS_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        report.error(f"{node} cannot be started: {error}; install it anew", "node")
        return
    version = re.match(r"v(\d+)\.", done.stdout)
    if version is None:
        report.warn(f"{node} does not tell its version", "node")
    elif int(version[1]) < NODE:
        report.error(f"{node} is {done.stdout.strip()}; the CLI needs {NODE} or newer", "node")
    else:
        report.note(f"{node} {done.stdout.strip()}", "node")


def _is_script(word: str) -> bool:
    path = os.path.realpath(word)
    if path.endswith((".js", ".cjs", ".mjs")):
        return True
    try:
        with open(path, "rb") as file:
            first = file.readline(200)
    except OSError:
        return False
    return first.startswith(b"#!") and b"node" in first


def _number(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
