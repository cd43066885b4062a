"""`reap`: ends what dead pools have left, and nothing else.

The processes are those that `ps` calls strays.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import trio

from supervisor.cli._leftovers import Leftovers, claimed, end_leftovers, find_leftovers
from supervisor.cli._manual import DONE, FAILED
from supervisor.cli._ps import Row, Survey, table_of
from supervisor.cli._screen import columns
from supervisor.place import TAG
from supervisor.process import find_marked, kill_until_gone


def reap(
    base: str, only: str | None, environ: Mapping[str, str], as_json: bool, dry_run: bool
) -> int:
    """End strays, remove what else their pools have left, and nothing else.

    Args:
        base, only: as for `ps`.
        environ: says where temporary files are, as far as the state folders do not.
        as_json: report as one JSON object, for programs.
        dry_run: end nothing, report what would be.

    Returns:
        1 where something would not go, else 0.
    """
    survey = Survey(base, only)
    rows = [row for row in survey.rows() if row.role == "stray"]
    there = {folder: find_leftovers(folder, environ, survey.census) for folder in survey.dead}
    found = {folder: what for folder, what in there.items() if what}
    left = Leftovers()
    if not dry_run:
        left = trio.run(_end, sorted(survey.stray_instances()), sorted(found), environ)
    paths = [path for what in found.values() for path in what.paths]
    if as_json:
        strays = [asdict(row) for row in rows]
        facts: dict[str, Any] = {"dry_run": dry_run, "strays": strays, "left": sorted(left.pids)}
        facts |= {"folders": paths, "folders_left": left.paths}
        if left:
            facts |= {"error": f"these would not go: {_names(left)}", "code": "strays_left"}
        print(json.dumps(facts))
    else:
        print(_told(rows, paths, left, dry_run))
    return FAILED if left else DONE


async def _end(instances: list[str], folders: list[str], environ: Mapping[str, str]) -> Leftovers:
    """End the pools of those instances, and what the others of those folders have left.

    Returns what is there still.
    """
    left = Leftovers()
    if instances:
        pids = await kill_until_gone(lambda census: find_marked(TAG, *instances, census=census))
        left += Leftovers(frozenset(pids))
    for folder in folders:
        with claimed(folder) as ours:
            if ours:  # else one has just come up there, which does the same
                left += (await end_leftovers(folder, environ))[1]
    return left


def _told(rows: list[Row], paths: list[str], left: Leftovers, dry_run: bool) -> str:
    if not rows and not paths:
        return "there are no strays"
    would = "would be " if dry_run else ""
    lines = []
    if rows:
        lines += [f"{would}ended: {len(rows)} processes of pools that are gone"]
        lines.append(table_of(rows, columns(sys.stdout)))
    if paths:
        lines += [f"{would}removed: {len(paths)} folders of pools that are gone", *paths]
    if left:
        lines.append(f"these would not go: {_names(left)}")
    return "\n".join(lines)


def _names(left: Leftovers) -> str:
    return ", ".join([*map(str, sorted(left.pids)), *left.paths])
