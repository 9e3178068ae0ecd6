"""Sub-command archive: an archive of millions of messages, and one of tens of thousands of packs, beside small ones."""

import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import tempfile

from .base import BROKEN, UNAVAILABLE, Failure, build, find, megabytes, private, say
from .measure import measure, print_table, volume

# What a generated message takes on the disk: pack, catalog and index, the index while it is made anew beside the old one.
EACH = 1200
# Messages to a pack of a large archive.
FULL = 8192
ADDED = 1000
LOGIN = "u@127.0.0.1"
PROFILE = f"""[account]
protocol = "imap"
host = "127.0.0.1"
port = 1
tls = "none"
username = "{LOGIN.split("@")[0]}"
password-file = "password"

[route]
domains = ["example.com"]
"""


class Grown:
    """An archive in a folder of its own, with a profile that is called as the generator calls it, and streams of new mail."""

    def __init__(self, tools, folder, messages, packs):
        folder.mkdir(mode=0o700)
        self.tools, self.folder, self.messages, self.next = tools, folder, messages, messages
        private(folder / "password", "x")
        private(folder / "grow.toml", PROFILE)
        self.root = folder / "archive"
        # Which of the ten years' messages are there already decides of the others' dates.
        self.span = max(messages, 1)
        if messages:
            say(f"{messages:,} messages into {packs:,} packs")
            self.grow(self.root, 0, messages, -(-messages // packs))

    def grow(self, target, first, count, each, output=None):
        command = [self.tools / "examples" / "grow", target, LOGIN, first, count, each, self.span]
        with open(output or os.devnull, "wb") as sink:
            if subprocess.run(list(map(str, command)), stdout=sink, check=False).returncode != 0:
                raise Failure(BROKEN, "the archive can't be made")

    def tool(self, name, *arguments, input=None):
        """One measured run of a tool on the archive; returns seconds, peak in MiB, and octets of output."""
        command = [self.tools / name, "-q", *arguments]
        if input is not None:
            command = [find("sh"), "-c", 'input=$1; shift; exec "$@" < "$input"', "sh", input, *command]
        output = self.folder / "output"
        run = measure([("tool", command)], self.folder, output)
        return run.seconds, run.peaks["tool"] / 2**20, output.stat().st_size

    def store(self, *arguments, **more):
        return self.tool("mdrop-store", "-p", self.folder / "grow.toml", "--archive", self.root, *arguments, **more)

    def add(self, count):
        """Adds so many messages that are new."""
        stream = self.folder / "stream"
        self.grow("-", self.next, count, 1, stream)
        self.next += count
        return self.store(input=stream)

    def anew(self):
        shutil.rmtree(self.root / "cache", ignore_errors=True)
        return self.store("--known")

    def index(self):
        return (self.root / "cache" / "index.sqlite").stat().st_size


def archive(options, folder):
    """Sub-command: large archives."""
    tools = build(options.bin, ["mdrop-store", "mdrop-check"], ["grow"])
    free = shutil.disk_usage(folder).free
    if free < options.messages * EACH:
        raise Failure(UNAVAILABLE, f"{megabytes(options.messages * EACH)} MB are needed in {folder}, and {megabytes(free)} are free")
    many(tools, folder, options)
    large(tools, folder, options)


def median(rounds, case):
    """The runs' median seconds, and the last one's other figures."""
    runs = [case() for _ in range(rounds + 1)][1:]
    return statistics.median(run[0] for run in runs), *runs[-1][1:]


def large(tools, folder, options):
    """Many messages."""
    empty = Grown(tools, folder / "empty", 0, 1)
    grown = Grown(tools, folder / "large", options.messages, -(-options.messages // FULL))
    octets = volume(grown.root)
    seconds, peak, _ = grown.anew()
    rows = [
        ["index made anew", f"{seconds:.1f} s", f"{options.messages / seconds:,.0f} messages/s, {peak:.0f} MiB at most"],
        ["size of the index", f"{megabytes(grown.index())} MB", f"{grown.index() / options.messages:.0f} octets/message; packs and catalog: {megabytes(octets)} MB"],
    ]
    seconds, peak, size = median(options.rounds, lambda: grown.store("--known"))
    rows.append(["mdrop-store --known", f"{seconds:.3f} s", f"{size:,} octets, {peak:.0f} MiB"])
    rows.append(["mdrop-store, nothing comes in", f"{median(options.rounds, lambda: grown.store(input=os.devnull))[0]:.3f} s", "opening included"])
    small, here = (median(options.rounds, lambda: one.add(ADDED)) for one in (empty, grown))
    rows.append([f"{ADDED} messages to an empty archive", f"{small[0]:.3f} s", f"{small[1]:.0f} MiB; it has {empty.next:,} at last"])
    rows.append([f"{ADDED} messages to this one", f"{here[0]:.3f} s", f"{here[1]:.0f} MiB"])
    rows += questions(grown, options)
    print(f"\n{options.messages:,} messages of ten years in {-(-options.messages // FULL):,} packs; rounds: {options.rounds}, after one not counted")
    print(f"{machine(folder)}\n")
    print_table(["", "", ""], rows)


def questions(grown, options):
    """What mdrop-find needs for a user's mail of a month, where mdrop-find is there."""
    if not os.access(grown.tools / "mdrop-find", os.X_OK):
        return []
    asked = ["--archive", grown.root, "--json", "--user", "user7@example.com", "--since", "2020-03-01", "--before", "2020-04-01"]
    seconds, peak, size = median(options.rounds, lambda: grown.tool("mdrop-find", *asked))
    return [["mdrop-find, a user's mail of a month", f"{seconds:.3f} s", f"{size:,} octets of receipts, {peak:.0f} MiB"]]


def many(tools, folder, options):
    """Many packs, in memory where there is room: nobody waits ten years for a disk to sync."""
    memory = pathlib.Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > options.packs * 4 * 8192
    with tempfile.TemporaryDirectory(prefix="mdrop-bench-", dir=memory if roomy else folder, ignore_cleanup_errors=True) as place:
        place = pathlib.Path(place)
        few = Grown(tools, place / "few", 2 * options.packs, min(100, options.packs))
        lots = Grown(tools, place / "lots", 2 * options.packs, options.packs)
        both = [few, lots]
        cases = {
            "index made anew": lambda one: one.anew(),
            "mdrop-store --known": lambda one: one.store("--known"),
            "mdrop-store, nothing comes in": lambda one: one.store(input=os.devnull),
            "mdrop-store, one message": lambda one: one.add(1),
            "mdrop-check": lambda one: one.tool("mdrop-check", "--archive", one.root),
        }
        rows = []
        for name, case in cases.items():
            say(name)
            rounds = 1 if name in ("index made anew", "mdrop-check") else options.rounds
            runs = [median(rounds, lambda one=one: case(one)) for one in both]
            rows.append([name, *(f"{run[0]:.3f}" for run in runs), *(f"{run[1]:.0f}" for run in runs)])
        print(f"\n{few.messages:,} messages in 100 packs and in {options.packs:,}, on {'tmpfs' if roomy else 'the disk'}; seconds, and MiB at most")
        print(f"{machine(place)}\n")
        print_table(["", "100 packs", f"{options.packs:,} packs", "100 packs, MiB", f"{options.packs:,} packs, MiB"], rows)


def machine(folder):
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    return f"{os.cpu_count()} processors (load at the end {os.getloadavg()[0]:.1f}), {platform.system()} {platform.machine()}, {kind}"
