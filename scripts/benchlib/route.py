"""Sub-command route: mdrop-route alone, on one processor, beside a program that only passes the octets on."""

import statistics

from .base import DIFFERENT, Failure, build, find, machine, megabytes, private
from .mail import mail, real_size
from .measure import GNU_TIME, highest, interleave, measure, print_table, seconds_rows

MAILDIR = """[account]
protocol = "maildir"
path = "mail"

[route]
domains = {domains}
"""
# Domains of the messages that a mailbox is filled with; so most of them have a recipient.
DOMAINS = ["example.com", "example.org", "example.net", "jmason.org", "taint.org", "netnoteinc.com", "xent.com", "test.ex", "gmail.com"]
SIZES = {"as they are": lambda source: source, "of a usual mailbox": real_size}


def route(options, folder):
    """Sub-command: mdrop-route on one processor."""
    tools = build(options.bin, ["mdrop-fetch", "mdrop-route"])
    for name, sized in SIZES.items():
        part = folder / name.replace(" ", "-")
        part.mkdir(mode=0o700)
        octets = fill(part, sized(mail(options.corpora)), options.messages)
        stream = part / "stream"
        measure([("fetch", [tools / "mdrop-fetch", "-q", "-p", part / "bench.toml"])], part, stream)
        tool = [tools / "mdrop-route", "-q", "-p", part / "bench.toml"]
        cases = {
            "A: mdrop-route": lambda _: measure(through(tool, stream), part),
            "B: --explain": lambda _: measure(through([*tool, "--explain"], stream), part),
            "C: cat": lambda _: measure(through([find("cat")], stream), part),
        }
        runs = interleave(cases, options.rounds)
        print_route(name, runs, options.messages, octets, folder, options.rounds)
        stream.unlink()


def through(command, stream):
    """A command on the first processor that reads the stream from a file, with its output thrown away."""
    return [("it", [find("taskset"), "-c", "0", find("sh"), "-c", 'input=$1; shift; exec "$@" < "$input"', "sh", stream, *command])]


def fill(folder, source, messages):
    """A Maildir with so many messages, and its profile; returns their octets."""
    new = folder / "mail" / "new"
    new.mkdir(parents=True)
    for other in ["cur", "tmp"]:
        (folder / "mail" / other).mkdir()
    octets = 0
    for number, message in zip(range(messages), source):
        (new / f"{number:08}.bench").write_bytes(message)
        octets += len(message)
    private(folder / "bench.toml", MAILDIR.format(domains=str(DOMAINS).replace("'", '"')))
    if octets == 0:
        raise Failure(DIFFERENT, "there is no mail to route")
    return octets


def print_route(name, runs, messages, octets, folder, rounds):
    rate = lambda of: f"{octets / 1e6 / statistics.median(run.seconds for run in of):,.0f}"
    busy = lambda of: f"{statistics.median(run.busy for run in of):.2f}"
    print(f"\n{messages:,} messages {name}, {megabytes(octets)} MB; one processor; rounds: {rounds}, after one not counted")
    print(f"{machine(folder)}\n")
    most = "" if GNU_TIME else ", at most"
    print_table(
        ["", *runs],
        [
            *seconds_rows(runs, messages),
            ["MB/s", *map(rate, runs.values())],
            ["processor seconds, median", *map(busy, runs.values())],
            [f"peak memory in MiB{most}", *(highest(of, "it") for of in runs.values())],
        ],
    )
