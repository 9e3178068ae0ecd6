"""Measuring processes, in rounds that are interleaved, and the table of what came out."""

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import time

from .base import BROKEN, Failure, read_text, say


class Run:
    """One measured run: seconds on the wall and on all processors, and each process's peak resident memory in octets."""

    def __init__(self, seconds, busy, peaks):
        self.seconds, self.busy, self.peaks = seconds, busy, peaks


def measure(stages, folder, output=None):
    """Runs processes joined by pipes; `stages` are pairs of a name and a command. All of them must end with 0."""
    environment = dict(os.environ, HOME=str(folder), TMPDIR=str(folder))
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(output or os.devnull, "wb"))
        complaints = stack.enter_context(open(folder / "complaints", "wb"))
        os.sync()
        began = time.monotonic()
        running, source = [], subprocess.DEVNULL
        for number, (_, command) in enumerate(stages):
            last = number == len(stages) - 1
            process = subprocess.Popen(
                [*stopwatch(folder / f"peak-{number}"), *map(str, command)],
                stdin=source,
                stdout=sink if last else subprocess.PIPE,
                stderr=complaints,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
            stack.callback(end, process)
            if source is not subprocess.DEVNULL:
                source.close()
            source = process.stdout
            running.append(process)
        usages = [wait(process) for process in running]
        seconds = time.monotonic() - began
    failed = [f"{name}: {process.returncode}" for (name, _), process in zip(stages, running) if process.returncode != 0]
    if failed:
        raise Failure(BROKEN, f"ended with a status that is not 0: {', '.join(failed)}\n{read_text(folder / 'complaints')[-2000:]}")
    names = [name for name, _ in stages]
    busy = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Run(seconds, busy, {name: peak(folder / f"peak-{number}", usages[number]) for number, name in enumerate(names)})


def stopwatch(file):
    """GNU time where it is: the high-water mark of a process counts from its fork, and this script is larger than a tool."""
    return [GNU_TIME, "-q", "-f", "%M", "-o", str(file), "--"] if GNU_TIME else []


def gnu_time():
    path = shutil.which("time")
    if path is None:
        return None
    answer = subprocess.run([path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return path if b"GNU" in answer.stdout else None


GNU_TIME = gnu_time()


def wait(process):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def peak(file, usage):
    return (int(file.read_text()) if file.exists() else usage.ru_maxrss) * 1024


def end(process):
    """Ends a process that is still running, with the one it measures."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def interleave(cases, rounds):
    """Measures each case once a round, after a round that is not counted. A case is a function of the round's number."""
    runs = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            run = case(number)
            say(f"{'warm-up' if number == 0 else f'round {number}'}: {name}: {run.seconds:.2f} s")
            if number > 0:
                runs[name].append(run)
    return runs


def highest(runs, name):
    """The highest peak of a process in these runs, in MiB; nothing if it was in none."""
    peaks = [run.peaks[name] for run in runs if name in run.peaks]
    return f"{max(peaks) / 2**20:.1f}" if peaks else ""


def print_table(head, rows):
    rows = [head, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, row in enumerate(rows):
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join([row[0].ljust(widths[0]), *others]).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def seconds_rows(runs, messages):
    """Rows that every benchmark has: seconds, and messages a second by the median."""
    times = [[run.seconds for run in of] for of in runs.values()]
    row = lambda label, choose: [label, *(f"{choose(of):.2f}" for of in times)]
    return [
        row("seconds, median", statistics.median),
        row("seconds, min", min),
        row("seconds, max", max),
        ["messages/s", *(f"{messages / statistics.median(of):,.0f}" for of in times)],
    ]


def volume(folder):
    """Octets in the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
