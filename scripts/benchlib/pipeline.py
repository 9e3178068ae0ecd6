"""Sub-command pipeline: the whole pipeline, the same again, and mbsync."""

import json
import shutil
import statistics
import subprocess

from .base import BROKEN, DIFFERENT, Failure, build, find, machine, megabytes, say
from .dovecot import Dovecot
from .mail import mail
from .measure import GNU_TIME, highest, interleave, measure, print_table, seconds_rows, volume
from .profile import mbsyncrc, profile

STAGES = ["mdrop-store --known", "mdrop-fetch", "mdrop-route", "mdrop-store"]
ROUTE_AND_STORE = """
[route]
domains = ["example.com", "example.org", "localhost"]
own-addresses = ["archive@example.com"]

[store]
archive = "archive"
"""


class Pipeline:
    """The whole process, against mbsync with its defaults."""

    def __init__(self, tools, server, folder):
        self.tools, self.server, self.folder = tools, server, folder
        self.archive, self.maildir, self.receipts = folder / "archive", folder / "near", folder / "receipts"
        self.mbsync = find("mbsync")
        self.profile, self.mbsyncrc = folder / "bench.toml", folder / "mbsyncrc"
        profile(self.profile, server.port, more=ROUTE_AND_STORE)
        mbsyncrc(self.mbsyncrc, server.port, self.maildir)

    def first(self, _):
        shutil.rmtree(self.archive, ignore_errors=True)
        return self.pipeline(self.receipts)

    def again(self, _):
        receipts = self.folder / "receipts-again"
        run = self.pipeline(receipts)
        if receipts.stat().st_size != 0:
            raise Failure(DIFFERENT, "messages were fetched a second time")
        return run

    def pipeline(self, receipts):
        tool = lambda name, *more: [self.tools / name, "-q", "-p", self.profile, *more]
        commands = [
            tool("mdrop-store", "--known"),
            tool("mdrop-fetch", "--known", "-"),
            tool("mdrop-route"),
            tool("mdrop-store"),
        ]
        return measure(list(zip(STAGES, commands)), self.folder, receipts)

    def other(self, _):
        for old in [self.maildir, self.folder / ".mbsync"]:
            shutil.rmtree(old, ignore_errors=True)
            old.mkdir()
        return measure([("mbsync", [self.mbsync, "-c", self.mbsyncrc, "-q", "bench"])], self.folder)

    def maildir_files(self):
        """What mbsync fetched; it passes over messages whose header has no end."""
        return [path for part in ["cur", "new"] for path in (self.maildir / "INBOX" / part).iterdir()]

    def compare(self):
        """Reads all mail from the server and out of the archive: how many messages there are, their octets, and what is wrong."""
        handed_out = self.folder / "handed-out"
        with open(self.receipts, "rb") as receipts:
            command = [self.tools / "mdrop-cat", "-q", "-p", self.profile, "--eml", handed_out]
            status = subprocess.run(command, stdin=receipts, check=False).returncode
        if status != 0:
            raise Failure(BROKEN, f"mdrop-cat ended with status {status}")
        files = {uid: handed_out / f"{digest[:32]}.eml" for uid, digest in self.receipted()}
        count, size, wrong = 0, 0, []
        for uid, octets in self.server.messages():
            count, size = count + 1, size + len(octets)
            if uid not in files:
                wrong.append(f"UID {uid}: no receipt")
            elif not files[uid].exists():
                wrong.append(f"UID {uid}: not handed out")
            elif files[uid].read_bytes() != octets:
                wrong.append(f"UID {uid}: other octets")
        return count, size, wrong

    def receipted(self):
        """The UIDs that have a receipt, each with its digest."""
        for line in self.receipts.read_text().splitlines():
            record = json.loads(line)
            if record["type"] == "receipt":
                yield record["origin"]["uid"], record["digest"].partition(":")[2]


def pipeline(options, folder):
    """Sub-command: the whole pipeline, the same again, and mbsync."""
    tools = build(options.bin, ["mdrop-store", "mdrop-fetch", "mdrop-route", "mdrop-cat"])
    dovecot = Dovecot(folder / "dovecot")
    for number, octets in zip(range(options.messages), mail(options.corpora)):
        dovecot.put(number, octets)
    with dovecot as server:
        client = folder / "client"
        client.mkdir(mode=0o700)
        it = Pipeline(tools, server, client)
        runs = interleave({"A: pipeline": it.first, "B: again": it.again, "C: mbsync": it.other}, options.rounds)
        say("comparing the archive with what the server hands out")
        count, size, wrong = it.compare()
        print_pipeline(it, runs, count, size, len(wrong), options.rounds)
    for what in wrong[:20]:
        say(what)
    if count != options.messages:
        raise Failure(DIFFERENT, f"the mailbox should hold {options.messages:,} messages, and the server hands out {count:,}")
    if wrong:
        raise Failure(DIFFERENT, f"{len(wrong)} messages are missing or different")


def print_pipeline(it, runs, count, size, wrong, rounds):
    first, again, other = runs.values()
    ratio = statistics.median(run.seconds for run in other) / statistics.median(run.seconds for run in first)
    maildir = it.maildir_files()
    index, fetched = volume(it.archive / "cache"), sum(path.stat().st_size for path in maildir)
    print(f"{count:,} messages, {megabytes(size)} MB as the server hands them out; rounds: {rounds}, after one not counted")
    print(f"{machine(it.folder)}\n")
    most = "" if GNU_TIME else ", at most"
    peaks = [[f"peak memory in MiB{most}: {name}", *(highest(of, name) for of in runs.values())] for name in [*STAGES, "mbsync"]]
    print_table(
        ["", *runs],
        [
            *seconds_rows(runs, count),
            ["ratio C/A", f"{ratio:.2f}", "", ""],
            *peaks,
            ["size in MB: archive | Maildir", megabytes(volume(it.archive)), "", megabytes(fetched)],
            ["size in MB: of it the index", megabytes(index), "", ""],
            ["messages, octet for octet | in the Maildir", f"{count - wrong:,} of {count:,}", "", f"{len(maildir):,}"],
        ],
    )
