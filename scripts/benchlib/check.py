"""Sub-command check: mdrop-check beside what it can't be faster than: zstd -t and b3sum over the same packs."""

import shutil
import statistics

from .base import build, find, machine, megabytes
from .mail import mail, real_size
from .measure import highest, interleave, measure, print_table, seconds_rows, volume
from .route import fill


def check(options, folder):
    """Sub-command: a whole check of an archive of mail of usual sizes."""
    tools = build(options.bin, ["mdrop-fetch", "mdrop-store", "mdrop-check"])
    octets = fill(folder, real_size(mail(options.corpora)), options.messages)
    profile, root = ["-q", "-p", folder / "bench.toml"], folder / "archive"
    stored = ["--archive", root]
    measure([("fetch", [tools / "mdrop-fetch", *profile]), ("store", [tools / "mdrop-store", *profile, *stored])], folder)
    packs = sorted((root / "packs").rglob("*.mbox.zst"))
    tool = [tools / "mdrop-check", "-q", *stored]
    each = lambda *command: lambda _: measure([("it", [*command, *packs])], folder)
    cases = {
        "A: mdrop-check": lambda _: measure([("it", tool)], folder),
        "B: on one thread": lambda _: measure([("it", [*tool, "-j", "1"])], folder),
        "C: --sample 1%": lambda _: measure([("it", [*tool, "--sample", "1%"])], folder),
        "D: zstd -t": each(find("zstd"), "-tq"),
    }
    if shutil.which("b3sum"):
        cases["E: b3sum"] = each(find("b3sum"))
    runs = interleave(cases, options.rounds)
    rate = lambda of: f"{octets / 1e6 / statistics.median(run.seconds for run in of):,.0f}"
    sizes = f"{megabytes(octets)} MB, {megabytes(volume(root / 'packs'))} MB in {len(packs)} packs"
    print(f"\n{options.messages:,} messages of a usual mailbox, {sizes}; rounds: {options.rounds}, after one not counted")
    print(f"{machine(folder)}\n")
    print_table(
        ["", *runs],
        [
            *seconds_rows(runs, options.messages),
            ["MB/s, uncompressed", *map(rate, runs.values())],
            ["processor seconds, median", *(f"{statistics.median(run.busy for run in of):.2f}" for of in runs.values())],
            ["peak memory in MiB", *(highest(of, "it") for of in runs.values())],
        ],
    )
