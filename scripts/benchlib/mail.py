"""Mail to fill a mailbox with: real messages where there are some, in their own sizes or grown to those of a usual mailbox."""

import random
import re

from .base import ROOT, say


def mail(corpora):
    """Messages to fill a mailbox with, without end; from the second pass on their Message-IDs are changed."""
    files = listed(corpora)
    source = "real mail"
    if not files:
        files, source = sorted((ROOT / "tests" / "messages").glob("*.eml")), "tests/messages"
    say(f"the mailbox is filled from {source}")
    turn = 0
    while True:
        for path in files:
            for octets in split(path.read_bytes()):
                yield renamed(octets, turn) if turn else octets
        turn += 1


def listed(corpora):
    """The files of an INDEX.tsv that are there, in an order that is mixed and always the same."""
    index = corpora / "INDEX.tsv"
    if not index.exists():
        return []
    paths = [corpora / line.split("\t")[0] for line in index.read_text().splitlines()[1:]]
    paths = [path for path in paths if path.is_file()]
    random.Random(1).shuffle(paths)
    return paths


def split(octets):
    """The messages in a file: several if it is an mbox, which begins with `From `."""
    if not octets.startswith(b"From "):
        return [octets]
    return [part.partition(b"\n")[2] for part in re.split(rb"(?<=\n)\r?\n(?=From )", octets)]


def renamed(octets, turn):
    """The same message with another Message-ID, or with one if it had none."""
    head = re.match(rb"(?s).*?(?:\n\r?\n|\Z)", octets)[0]
    other = re.sub(rb"(?im)^(message-id:\s*<)", rb"\g<1>turn%d." % turn, head, count=1)
    if other == head:
        other = b"Message-ID: <turn%d@bench.invalid>\n" % turn + head
    return other + octets[len(head) :]


# --- real sizes ---

# Of a mailbox of a company: half of all messages have less than 9 kB, and one in fourteen carries an attachment of 100 kB to 25 MB,
# large ones being rarer: 20,000 messages have 1.1 GB.
MEDIAN, SPREAD, ATTACHED = 9_000, 1.0, 0.07
SMALLEST, LARGEST = 100_000, 25_000_000


def real_size(source):
    """The messages of `source`, grown to the sizes of a usual mailbox; the same ones each time."""
    chance = random.Random(2)
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    noise = bytes(letters[octet & 63] for octet in chance.randbytes(1 << 20))
    lines = b"\n".join(noise[at : at + 76] for at in range(0, len(noise), 76)) + b"\n"
    for octets in source:
        yield grown(octets, wanted_size(chance), lines, chance)


def wanted_size(chance):
    if chance.random() >= ATTACHED:
        return int(chance.lognormvariate(0, SPREAD) * MEDIAN)
    # The density falls with the square of the size.
    return int(1 / (1 / SMALLEST - chance.random() * (1 / SMALLEST - 1 / LARGEST)))


def grown(octets, size, lines, chance):
    """The message with lines of base64 after it, so that it has about `size` octets; one that is larger stays as it is."""
    missing = size - len(octets)
    if missing <= 0:
        return octets
    if not re.search(rb"\n\r?\n", octets):
        octets += b"\n\n"
    elif not octets.endswith(b"\n"):
        octets += b"\n"
    start = chance.randrange(0, 77 * 100, 77)
    repeats = -(-(missing + start) // len(lines))
    return octets + (lines * repeats)[start : start + missing // 77 * 77]
