"""Sub-command store: mdrop-store alone, from a file, beside files that are synced one by one, and beside backup programs."""

import json
import os
import shutil
import subprocess
import sys

from .base import DIFFERENT, Failure, build, find, machine, megabytes, private, say
from .fetch import Results, ratio, seconds
from .mail import mail, real_size
from .measure import highest, interleave, measure, volume
from .route import DOMAINS

PROFILE = """[account]
protocol = "maildir"
path = "mail"

[route]
domains = {domains}

[store]
archive = "archive"
"""
SIZES = {"small": lambda source: source, "real": real_size}
# The least that mdrop-store must be, in messages a second, times another.
LEAST = {"synced files": {"real": 3.5, "small": 12}, "restic": {"real": 2.5}, "borg": {"real": 2.5}}
LEAST_RATE = 300

# A Maildir as a careful mail server fills it: each file synced, and its folder once it has its name.
SYNCED_FILES = """
import os, sys
source, target = sys.argv[1:]
for part in ["tmp", "new", "cur"]:
    os.makedirs(f"{target}/{part}")
new = os.open(f"{target}/new", os.O_RDONLY)
for name in sorted(os.listdir(source)):
    with open(f"{source}/{name}", "rb") as message, open(f"{target}/tmp/{name}", "wb", buffering=0) as file:
        file.write(message.read())
        os.fsync(file.fileno())
    os.rename(f"{target}/tmp/{name}", f"{target}/new/{name}")
    os.fsync(new)
"""


class Store:
    """Mail of one kind, as files and as a stream, and what can be done with it."""

    def __init__(self, tools, folder, messages):
        self.tools, self.folder, self.messages = tools, folder, messages
        self.stream, self.receipts = folder / "stream", folder / "receipts"
        self.profile, self.sizes = folder / "bench.toml", {}
        self.octets = 0

    def fill(self, source):
        """Writes the files, and the stream as mdrop-fetch and mdrop-route make it."""
        new = self.folder / "mail" / "new"
        new.mkdir(parents=True)
        for other in ["cur", "tmp"]:
            (self.folder / "mail" / other).mkdir()
        for number, octets in zip(range(self.messages), source):
            (new / f"{number:08}.bench").write_bytes(octets)
            self.octets += len(octets)
        private(self.profile, PROFILE.format(domains=str(DOMAINS).replace("'", '"')))
        tool = lambda name: (name, [self.tools / name, "-q", "-p", self.profile])
        measure([tool("mdrop-fetch"), tool("mdrop-route")], self.folder, self.stream)

    def fresh(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def ours(self, _):
        archive = self.fresh("archive")
        command = [self.tools / "mdrop-store", "-q", "-p", self.profile]
        run = measure([("mdrop-store", through(command, self.stream))], self.folder, self.receipts)
        if self.receipts.read_bytes().count(b"\n") != self.messages:
            raise Failure(DIFFERENT, f"there are not {self.messages:,} receipts")
        self.sizes["mdrop-store"] = volume(archive / "packs") + volume(archive / "catalog")
        self.sizes["its index"] = volume(archive / "cache")
        return run

    def synced_files(self, _):
        target = self.fresh("synced")
        run = measure([("files", [sys.executable, "-c", SYNCED_FILES, self.folder / "mail" / "new", target])], self.folder)
        self.sizes["synced files"] = volume(target)
        return run

    def restic(self, _):
        repository = self.fresh("restic")
        password = self.folder / "password"
        password.write_text("secret")
        restic = [find("restic"), "--quiet", "--no-cache", "--repo", repository, "--password-file", password]
        subprocess.run([*restic, "init"], check=True, stdout=subprocess.DEVNULL)
        run = measure([("restic", [*restic, "backup", self.folder / "mail"])], self.folder)
        self.sizes["restic"] = volume(repository)
        return run

    def borg(self, _):
        repository = self.fresh("borg")
        environment = {"BORG_BASE_DIR": str(self.folder / "borg-home"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        borg = [find("env"), *(f"{name}={value}" for name, value in environment.items()), find("borg")]
        subprocess.run([*map(str, borg), "init", "--encryption", "none", str(repository)], check=True)
        command = [*borg, "create", "--compression", "zstd,3", f"{repository}::mail", self.folder / "mail"]
        run = measure([("borg", command)], self.folder)
        self.sizes["borg"] = volume(repository)
        return run


def through(command, stream):
    """A command that reads the stream from its file."""
    return [find("sh"), "-c", 'input=$1; shift; exec "$@" < "$input"', "sh", stream, *command]


def peers():
    """The backup programs that are there; as root on a Debian they are installed."""
    wanted = {"restic": "restic", "borg": "borgbackup"}
    missing = [package for program, package in wanted.items() if shutil.which(program) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing]
        subprocess.run(install, stdout=subprocess.DEVNULL, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"), check=False)
    for program in wanted:
        if shutil.which(program) is None:
            say(f"no {program}: it is left out")
        else:
            yield program


def store(options, folder):
    """Sub-command: mdrop-store alone."""
    tools = build(options.bin, ["mdrop-fetch", "mdrop-route", "mdrop-store"])
    results, others = Results(), list(peers())
    for kind in options.only:
        part = folder / kind
        part.mkdir(mode=0o700)
        it = Store(tools, part, options.messages)
        it.fill(SIZES[kind](mail(options.corpora)))
        cases = {"mdrop-store": it.ours, "synced files": it.synced_files}
        cases.update({name: getattr(it, name) for name in others})
        add(results, kind, it, interleave(cases, options.rounds))
        shutil.rmtree(part)
    print(f"{options.messages:,} messages; rounds: {options.rounds}, after one not counted; {machine(folder)}\n")
    results.show()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(folder), "lines": results.lines}, indent=1) + "\n")


def add(results, kind, it, runs):
    """The lines of the table for one kind of mail."""
    took = seconds(runs, "mdrop-store")
    results.add(kind, f"mdrop-store, of {megabytes(it.octets)} MB", it.octets / 1e6 / took, "MB/s", **least(kind == "real", LEAST_RATE), runs=runs)
    for name in runs:
        results.add(kind, f"{name}, messages", it.messages / seconds(runs, name), "1/s")
        if name != "mdrop-store":
            wanted = LEAST[name].get(kind)
            results.add(kind, f"{name}, times as long as mdrop-store", ratio(runs, name, "mdrop-store"), "x", **least(wanted, wanted))
    results.add(kind, "mdrop-store, peak memory", float(highest(runs["mdrop-store"], "mdrop-store")), "MiB", most=100)
    most = it.sizes.get("restic", 0) / 1e6
    for name, size in it.sizes.items():
        limit = {"most": round(most, 1)} if name == "mdrop-store" and most else {}
        results.add(kind, f"{name}, on disk", size / 1e6, "MB", **limit)


def least(wanted, value):
    return {"least": value} if wanted else {}
