"""Sub-command fetch: mdrop-fetch beside the barest client there can be, beside other programs, on a long line, and with mailboxes
that are large in one way or the other."""

import itertools
import json
import os
import shutil
import statistics

from .base import BROKEN, DIFFERENT, PASSWORD, USER, Failure, build, find, machine, megabytes, read_text, records, say
from .dovecot import Dovecot
from .line import Line
from .mail import mail, real_size
from .measure import highest, interleave, measure, print_table
from .profile import fetchmailrc, getmailrc, mbsyncrc, profile
from .synthetic import Synthetic

PARTS = ["imap", "pop3", "tls", "peers", "latency", "million", "large"]
SAMPLE, SMALL = "sample", "small"
# There and back, in seconds.
ROUND_TRIP = 0.050
SMALL_MESSAGES = 500
MILLION = 1_000_000
AMONG, LARGE = 100_000, 200 << 20


class Results:
    """The lines of the table. A line without a target is for information."""

    def __init__(self):
        self.lines = []

    def add(self, part, what, value, unit, *, most=None, least=None, runs=None):
        target, met = "", None
        if most is not None:
            target, met = f"at most {most}", value <= most
        if least is not None:
            target, met = f"at least {least}", value >= least
        line = {"part": part, "what": what, "value": round(value, 3), "unit": unit, "target": target, "met": met}
        self.lines.append({**line, "seconds": {name: [round(run.seconds, 4) for run in of] for name, of in (runs or {}).items()}})

    def show(self):
        verdict = {None: "", True: "met", False: "MISSED"}
        row = lambda part, what, value, unit, target, met, **_: [f"{part}: {what}", f"{value:,.2f} {unit}", target, verdict[met]]
        print_table(["", "measured", "target", ""], [row(**line) for line in self.lines])


def ratio(runs, one, other):
    """How many times as long `one` takes: the median of the rounds, because what disturbs a round disturbs both."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(runs[one], runs[other]))


def seconds(runs, name):
    return statistics.median(run.seconds for run in runs[name])


class Fetch:
    """What all parts share."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.tools = build(options.bin, ["mdrop-fetch"], ["bareclient", "mailserver"])
        self.bare_client, self.mail_server = (self.tools / "examples" / name for name in ["bareclient", "mailserver"])
        self.results = Results()

    def wants(self, *parts):
        return any(part in self.options.only for part in parts)

    def profile(self, name, port, **more):
        return profile(self.folder / f"{name}.toml", port, **more)

    def fetch(self, path, messages, *more, reader=None):
        """A case: mdrop-fetch with a profile. What it fetched is counted in the round that is not."""
        log = self.folder / f"{path.stem}.log"

        def case(number):
            command = [self.tools / "mdrop-fetch", "-q", "-p", path, *more]
            if number > 0:
                return measure([("mdrop-fetch", command), *(reader or [])], self.folder)
            log.unlink(missing_ok=True)
            run = measure([("mdrop-fetch", [*command, "--log", log]), *(reader or [])], self.folder)
            fetched = records(log)[-1]["counts"].get("fetched", {}).get("messages", 0)
            if fetched != messages:
                raise Failure(DIFFERENT, f"{path.stem}: {messages:,} messages should be fetched, and {fetched:,} were")
            return run

        return case

    def bare(self, protocol, port, octets):
        """A case: the barest client. It must have read at least the octets that the messages have."""
        answer = self.folder / "octets"

        def case(_):
            run = measure([("bareclient", [self.bare_client, protocol, port, USER, PASSWORD])], self.folder, answer)
            if int(read_text(answer)) < octets:
                raise Failure(BROKEN, f"the bare {protocol} client read {read_text(answer).strip()} octets of {octets}")
            return run

        return case


def fetch(options, folder):
    """Sub-command: mdrop-fetch alone."""
    it = Fetch(options, folder / "client")
    # getmail6, which delivers nothing as root, has to reach its part of it.
    it.folder.mkdir(mode=0o711)
    if it.wants("imap", "pop3", "tls", "peers", "latency"):
        beside_dovecot(it, folder / "dovecot")
    if it.wants("million"):
        million(it)
    if it.wants("large"):
        large(it)
    print(f"rounds: {options.rounds}, after one not counted; {machine(folder)}\n")
    it.results.show()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(folder), "lines": it.results.lines}, indent=1) + "\n")


# --- beside others, from Dovecot ---


def beside_dovecot(it, folder):
    dovecot = Dovecot(folder, (USER, SAMPLE, SMALL), every_protocol=True)
    octets = 0
    every = max(1, it.options.messages // it.options.sample)
    whole = it.wants("imap", "pop3", "tls", "peers")
    for number, message in zip(range(it.options.messages if whole else 0), real_size(mail(it.options.corpora))):
        dovecot.put(number, message)
        octets += len(message)
        if number % every == 0 and number // every < it.options.sample:
            dovecot.put(number, message, SAMPLE)
    small = (message for message in mail(it.options.corpora) if len(message) < 4000)
    for number, message in enumerate(itertools.islice(small, SMALL_MESSAGES if it.wants("latency") else 0)):
        dovecot.put(number, message, SMALL)
    if whole:
        print(f"{it.options.messages:,} messages of real sizes, {megabytes(octets)} MB")
    with dovecot as server:
        streams(it, server, octets)
        if it.wants("peers"):
            peers(it, server)
        if it.wants("latency"):
            latency(it, server)


def streams(it, server, octets):
    """All mail to /dev/null, beside a client that throws it away."""
    trust = f'ca-file = "{server.certificate}"\n'
    kinds = [
        ("imap", "imap", server.port, 1.15, {}),
        ("pop3", "pop3", server.pop3_port, 1.25, {"protocol": "pop3"}),
        ("tls", "imaps", server.tls_port, 1.15, {"tls": "implicit", "more": trust}),
    ]
    for part, protocol, port, most, more in kinds:
        if not it.wants(part):
            continue
        path = it.profile(part, port, **more)
        cases = {f"mdrop, {part}": it.fetch(path, it.options.messages), f"bare, {part}": it.bare(protocol, port, octets)}
        runs = interleave(cases, it.options.rounds)
        ours, bare = runs
        it.results.add(part, "wall time beside the bare client", ratio(runs, ours, bare), "×", most=most, runs=runs)
        # What does not depend on who else uses the machine.
        for name, who in [(ours, "mdrop"), (bare, "the bare client")]:
            it.results.add(part, f"processor time of {who}", statistics.median(run.busy for run in runs[name]), "s")
        it.results.add(part, "messages a second", it.options.messages / seconds(runs, ours), "/s")
        it.results.add(part, "octets a second", octets / 1e6 / seconds(runs, ours), "MB/s")
        it.results.add(part, "peak memory", float(highest(runs[ours], "mdrop-fetch")), "MiB")


def peers(it, server):
    """Others that fetch mail from IMAP, each set up as usual for one account. All fetch the same sample. fetchmail hands each message to
    a program that throws it away, which costs less than any that keeps it; mbsync without fsync, and fetchmail into one file that is
    /dev/null, are for information."""
    sample = min(it.options.sample, it.options.messages)
    inbox = it.folder / "inbox"

    def fresh(name, *command):
        def case(_):
            for old in [inbox, it.folder / ".mbsync"]:
                shutil.rmtree(old, ignore_errors=True)
            for part in ["", "cur", "new", "tmp"]:
                (inbox / part).mkdir()
                if name == "getmail6":
                    os.chown(inbox / part, server.uid, server.gid)
            (it.folder / ".mbsync").mkdir()
            run = measure([(name, command)], it.folder)
            kept = sum(1 for part in inbox.rglob("*") if part.is_file() and part.parent.name in ["cur", "new"])
            if not name.startswith("fetchmail") and kept < sample * 0.95:
                raise Failure(DIFFERENT, f"{name} kept {kept:,} of {sample:,} messages")
            return run

        return case

    port, at = server.port, it.folder
    mbsync, fetchmail, getmail = find("mbsync"), find("fetchmail"), find("getmail")
    usual = mbsyncrc(at / "mbsyncrc", port, inbox, user=SAMPLE)
    unsynced = mbsyncrc(at / "mbsyncrc-unsynced", port, inbox, user=SAMPLE, more="FSync no\n\n")
    mda = fetchmailrc(at / "fetchmailrc", port, user=SAMPLE, delivery='mda "cat >/dev/null"')
    bsmtp = fetchmailrc(at / "fetchmailrc-bsmtp", port, user=SAMPLE, delivery='bsmtp "/dev/null"')
    get = getmailrc(at / "getmailrc", port, inbox, user=SAMPLE, more=f"user = {server.name}\n")
    ours = it.fetch(it.profile("sample", port, user=SAMPLE), sample)
    cases = {
        "mdrop, sample": ours,
        "mbsync": fresh("mbsync", mbsync, "-c", usual, "-q", "bench"),
        "fetchmail": fresh("fetchmail", fetchmail, "-s", "-f", mda, "--pidfile", at / "fetchmail.pid"),
        "getmail6": fresh("getmail6", getmail, "--getmaildir", at, "--rcfile", get),
        "mbsync without fsync": fresh("mbsync", mbsync, "-c", unsynced, "-q", "bench"),
        "fetchmail to /dev/null": fresh("fetchmail", fetchmail, "-s", "-f", bsmtp, "--pidfile", at / "fetchmail.pid"),
    }
    try:
        cases["getmail6"](0)
    except Failure as failure:
        # It ends its run at a message whose header its library can't write down.
        say(f"getmail6 is left out of this sample: {failure}")
        del cases["getmail6"]
    runs = interleave(cases, it.options.rounds)
    least = {"mbsync": 15, "fetchmail": 40, "getmail6": 120}
    for name in list(cases)[1:]:
        what = f"{name}, its time beside mdrop's ({sample:,} messages)"
        it.results.add("peers", what, ratio(runs, name, "mdrop, sample"), "×", least=least.get(name), runs={name: runs[name]})
    speed = sample / seconds(runs, "mdrop, sample")
    it.results.add("peers", "mdrop, messages a second", speed, "/s", runs={"mdrop": runs["mdrop, sample"]})


# --- on a long line ---


def latency(it, server):
    """Small messages over a line with a long way: what it takes longer than without that way, in round trips."""
    trust = f'ca-file = "{server.certificate}"\n'
    kinds = [
        ("IMAP", server.port, 10, {}),
        ("POP3", server.pop3_port, 14, {"protocol": "pop3"}),
        ("IMAP over TLS", server.tls_port, None, {"tls": "implicit", "more": trust}),
    ]
    for name, port, most, more in kinds:
        with Line(port, ROUND_TRIP / 2) as line:
            slug = name.lower().replace(" ", "-")
            near, far = (it.profile(f"{slug}-{way}", at, user=SMALL, **more) for way, at in [("near", port), ("far", line.port)])
            cases = {f"{name}, near": it.fetch(near, SMALL_MESSAGES), f"{name}, far": it.fetch(far, SMALL_MESSAGES)}
            runs = interleave(cases, it.options.rounds)
            turns = line.turns / (it.options.rounds + 1)
        longer = statistics.median(b.seconds - a.seconds for a, b in zip(*runs.values()))
        what = f"{SMALL_MESSAGES} small messages, {name}: round trips beside the transfer"
        it.results.add("latency", what, longer / ROUND_TRIP, "", most=most, runs=runs)
        it.results.add("latency", f"{name}: how often the client spoke", turns, "")


# --- large mailboxes ---


def million(it):
    """A million messages, all of them known."""
    cases = [("IMAP", "imap", []), ("IMAP without ESEARCH", "imap", ["--without", "ESEARCH"]), ("POP3", "pop3", [])]
    for name, protocol, more in cases:
        slug, judged = name.lower().replace(" ", "-"), name == "IMAP"
        with Synthetic(it.mail_server, MILLION, *more) as server:
            say(f"{name}: writing down that {MILLION:,} messages are known")
            known = it.folder / f"known-{slug}"
            imap = protocol == "imap"
            path = it.profile(slug, server.port if imap else server.pop3_port, protocol=protocol)
            (server.write_known if imap else server.write_known_uidls)(known, slug)
            with_known = it.fetch(path, 0, "--known", known)
            runs = interleave({f"{name}, known": with_known}, it.options.rounds)
            it_listed(it.folder / f"{slug}.log", name)
            (of,) = runs.values()
            what = f"{MILLION:,} known messages, {name}"
            slowest = max(run.seconds for run in of)
            it.results.add("million", f"{what}: nothing new is found", slowest, "s", most=10 if judged else None, runs=runs)
            peak = float(highest(of, "mdrop-fetch"))
            it.results.add("million", f"{what}: peak memory", peak, "MiB", most=256 if judged else None)
            sent = server.octets_sent() / (it.options.rounds + 1) / 1e6
            it.results.add("million", f"{what}: from the server, in a run", sent, "MB")


def it_listed(log, name):
    counts = records(log)[-1]["counts"]
    listed, known = (counts.get(which, {}).get("messages", 0) for which in ["listed", "known"])
    if (listed, known) != (MILLION, MILLION):
        raise Failure(DIFFERENT, f"{name}: {listed:,} messages are listed and {known:,} known, and not {MILLION:,}")


def large(it):
    """One message of 200 MB among many small ones; and the same with a reader that takes nothing for a while."""
    with Synthetic(it.mail_server, AMONG, "--large", f"INBOX={AMONG // 2}:{LARGE}") as server:
        path = it.profile("large", server.port)
        late = [("reader", ["sh", "-c", "sleep 3; exec cat >/dev/null"])]
        cases = {"large": it.fetch(path, AMONG), "large, late reader": it.fetch(path, AMONG, reader=late)}
        runs = interleave(cases, it.options.rounds)
    for name, what in [("large", "peak memory"), ("large, late reader", "peak memory, the reader 3 s late")]:
        peak = float(highest(runs[name], "mdrop-fetch"))
        it.results.add("large", f"{megabytes(LARGE)} MB among {AMONG:,}: {what}", peak, "MiB", most=48, runs={name: runs[name]})
