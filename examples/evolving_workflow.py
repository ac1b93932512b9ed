"""An evolving workflow over real files: how much work there is shows only while the work is done.

    python examples/evolving_workflow.py [FOLDER] [--threads N] [--findings]

Every text file of the folder (Python's own standard library by default) is read in parallel. The items
in it (links, imports, modules: docs/items.md) are found, and each becomes a task of higher priority, so
that known items are dealt with before more files are read. What they point to inside the folder is read
in turn, each file once however many point to it. Four ways to write that stand beside the sequential
run, on threads and in worker processes, and all must find the same.

The tasks are Python code, which holds the interpreter's lock: threads run one at a time. Worker processes run
as many as there are, but what goes there and comes back is pickled, so they pay where tasks take long beside
that. Such are the tasks of a last question: what the syntax trees of the Python files are made of.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

import syntax
from azolla import Client, as_completed, get_client
from folder import Finding, Folder, Read, Resolved

SHOWN = 20
"""How many lines of a list the report shows; `--findings` prints them all."""


class Run(NamedTuple):
    """One way's run, and what came of it."""

    way: str
    findings: list[Finding]
    seconds: float
    tasks: int | None = None
    peak_live: int | None = None


def main() -> int:
    """The exit code: 1 if the ways differ in what they find, 2 if there is no such folder."""
    options = arguments()
    folder = Folder(options.folder)
    try:
        # Not timed: whichever way came first would pay for bringing the files into the system's cache.
        findings = sequentially(folder)
    except OSError as error:
        print(f"evolving_workflow: cannot list {options.folder}: {error.strerror}", file=sys.stderr)
        return 2
    if options.findings:
        sys.stdout.buffer.writelines(f"{finding}\n".encode() for finding in sorted(findings))
        return 0
    runs = [run_sequentially(folder)]
    for way in (with_as_completed, with_async_await, with_tasks_from_tasks, with_whole_files):
        runs.append(run(way, folder, options.threads, processes=False))
    for way in (with_as_completed, with_async_await, with_whole_files):
        runs.append(run(way, folder, options.threads, processes=True))
    sys.stdout.buffer.writelines(f"{line}\n".encode() for line in report(folder, options.threads, runs))
    sys.stdout.buffer.flush()
    trees = count_syntax(folder, options.threads)
    return 0 if not different(runs) and trees else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An evolving workflow over the text files of a folder.")
    parser.add_argument("folder", nargs="?", default=sysconfig.get_path("stdlib"))
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="how many threads, and processes; default: all cores"
    )
    parser.add_argument("--findings", action="store_true", help="print all findings of the sequential run")
    return parser.parse_args()


def run_sequentially(folder: Folder) -> Run:
    start = time.perf_counter()
    findings = sequentially(folder)
    return Run("sequential", sorted(findings), time.perf_counter() - start)


@contextmanager
def workers(threads: int, processes: bool) -> Iterator[Client]:
    """A client whose workers are there, so that no run is timed until they are."""
    n_workers = threads if processes else 1
    with Client(processes=processes, n_workers=n_workers, threads_per_worker=threads // n_workers) as client:
        client.gather([client.submit(os.getpid, workers=[worker], pure=False) for worker in range(n_workers)])
        yield client


def run(way: Callable[[Client, Folder], list[Finding]], folder: Folder, threads: int, processes: bool) -> Run:
    with workers(threads, processes) as client:
        before = client.counters()["submitted"]
        start = time.perf_counter()
        findings = way(client, folder)
        seconds = time.perf_counter() - start
        counters = client.counters()
    name = way.__name__.removeprefix("with_").replace("_", " ")
    where = "processes" if processes else "threads"
    # All that was submitted has run: the findings could not be complete otherwise.
    return Run(f"{name}, {where}", sorted(findings), seconds, counters["submitted"] - before, counters["peak_live"])


def count_syntax(folder: Folder, threads: int) -> bool:
    """Counts what syntax trees are made of, in three ways. Returns whether all of them count the same."""
    paths = syntax.files_in(folder.top, folder.listing()[0])
    start = time.perf_counter()
    expected = syntax.sequentially(paths)
    alone = time.perf_counter() - start
    print(f"\nsyntax trees of {len(paths)} Python files: {expected.total():,} nodes\n")
    print(f"{'sequential':<28}{alone:>8.3f} s{1:>8.2f} x")
    equal = True
    for where in ("threads", "processes"):
        with workers(threads, where == "processes") as client:
            start = time.perf_counter()
            equal &= syntax.on_workers(client, paths) == expected
            seconds = time.perf_counter() - start
        print(f"{where:<28}{seconds:>8.3f} s{alone / seconds:>8.2f} x")
    print(f"\ncounts equal: {'yes' if equal else 'no'}")
    return equal


# The ways


def sequentially(folder: Folder) -> list[Finding]:
    """0: one file after the other, one item after the other."""
    files, findings = folder.listing()
    claims = Claims(files)
    while files:
        read = folder.read(files.pop())
        resolved = [folder.resolve(read.file, item) for item in read.items]
        findings += [read.finding, *(item.finding for item in resolved)]
        files += claims.new(resolved)
    return findings


def with_as_completed(client: Client, folder: Folder) -> list[Finding]:
    """1: take what is finished, whichever it is, and submit what it asks for."""
    files, findings = folder.listing()
    claims = Claims(files)
    running = as_completed(client.map(folder.read, files, pure=False))
    for future in running:
        done = future.result()
        findings.append(done.finding)
        if isinstance(done, Read):
            for i in range(len(done.items)):
                running.add(client.submit(resolve_nth, folder, future, i, priority=1, pure=False))
        else:
            for file in claims.new([done]):
                running.add(client.submit(folder.read, file, pure=False))
    return findings


def with_async_await(client: Client, folder: Folder) -> list[Finding]:
    """2: a coroutine follows each file, from its text to the last of its items."""
    files, findings = folder.listing()
    claims = Claims(files)

    async def follow_all(files: list[str]) -> None:
        await asyncio.gather(*map(follow_async, files))

    async def follow_async(file: str) -> None:
        future = client.submit(folder.read, file, pure=False)
        read = await future
        items = [client.submit(resolve_nth, folder, future, i, priority=1, pure=False) for i in range(len(read.items))]
        resolved = await client.gather(items)
        findings.extend([read.finding, *(item.finding for item in resolved)])
        await follow_all(claims.new(resolved))

    client.sync(follow_all, files)
    return findings


def resolve_nth(folder: Folder, read: Read, i: int) -> Resolved:
    """A task whose input is the future of another: it runs once the file is read."""
    return folder.resolve(read.file, read.items[i])


def with_tasks_from_tasks(client: Client, folder: Folder) -> list[Finding]:
    """3: the task that reads a file submits a task for each of its items, and waits for them."""
    files, findings = folder.listing()
    claims = Claims(files)
    futures = client.map(follow, files, folder=folder, claims=claims, pure=False)
    for found in client.gather(futures):
        findings += found
    return findings


def follow(file: str, folder: Folder, claims: Claims) -> list[Finding]:
    """A task: read a file, deal with its items, and follow their targets.

    It waits only for the files that it claimed itself. So the waits are a tree, though the files link each
    other in loops, and no task ever waits for itself.
    """
    client = get_client()
    read = folder.read(file)
    resolved = client.gather([client.submit(folder.resolve, file, item, priority=1, pure=False) for item in read.items])
    targets = [client.submit(follow, target, folder, claims, priority=0, pure=False) for target in claims.new(resolved)]
    findings = [read.finding, *(item.finding for item in resolved)]
    for found in client.gather(targets):
        findings += found
    return findings


def with_whole_files(client: Client, folder: Folder) -> list[Finding]:
    """4: as 1, with larger tasks: each reads a file and deals with all of its items."""
    files, findings = folder.listing()
    claims = Claims(files)
    running = as_completed(client.map(whole_file, files, folder=folder, pure=False))
    for future in running:
        read, resolved = future.result()
        findings += [read, *(item.finding for item in resolved)]
        for file in claims.new(resolved):
            running.add(client.submit(whole_file, file, folder=folder, pure=False))
    return findings


def whole_file(file: str, folder: Folder) -> tuple[Finding, list[Resolved]]:
    """A task: read a file, and deal with its items."""
    read = folder.read(file)
    return read.finding, [folder.resolve(read.file, item) for item in read.items]


class Claims:
    """The files that somebody reads, or has read: each is read once, by whoever claims it first."""

    def __init__(self, files: Iterable[str]) -> None:
        self._lock = Lock()
        self._files = set(files)

    def new(self, resolved: Iterable[Resolved]) -> list[str]:
        """Claims the files that the items ask for; returns those that nobody had claimed."""
        wanted = {item.to_read for item in resolved if item.to_read is not None}
        with self._lock:
            wanted -= self._files
            self._files |= wanted
        return sorted(wanted)


# The report


def different(runs: list[Run]) -> list[str]:
    """The ways whose findings are not those of the first."""
    return [run.way for run in runs if run.findings != runs[0].findings]


def report(folder: Folder, threads: int, runs: list[Run]) -> Iterator[str]:
    findings = runs[0].findings
    about_files = [finding for finding in findings if finding.line == 0]
    unread = [finding for finding in about_files if not finding.outcome.startswith("read, ")]
    missing = [finding for finding in findings if finding.outcome == "missing"]
    outcomes = Counter(finding.outcome for finding in findings if finding.line > 0)
    yield f"{folder.top}, {threads} threads or processes"
    yield ""
    yield f"files  {len(about_files) - len(unread):>9,} read, {len(unread):,} not"
    yield f"items  {outcomes.total():>9,}: " + ", ".join(
        f"{outcomes[outcome]:,} {outcome}" for outcome in ("inside", "outside", "missing")
    )
    yield from listed("not read", [str(finding) for finding in unread])
    yield from listed("targets that do not exist", [str(finding) for finding in missing])
    yield ""
    yield f"{'way':<28}{'time':>10}{'speed-up':>10}{'tasks run':>12}{'peak live':>12}"
    for run in runs:
        tasks = "-" if run.tasks is None else f"{run.tasks:,}"
        peak_live = "-" if run.peak_live is None else f"{run.peak_live:,}"
        speed_up = runs[0].seconds / run.seconds
        yield f"{run.way:<28}{run.seconds:>8.3f} s{speed_up:>8.2f} x{tasks:>12}{peak_live:>12}"
    yield ""
    others = different(runs)
    yield f"findings equal: no, not those of {', '.join(others)}" if others else "findings equal: yes"


def listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield f"  and {len(lines) - SHOWN:,} more: --findings prints all"


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
