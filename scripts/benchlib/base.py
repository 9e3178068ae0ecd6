"""What every part needs: failures with an exit status, words for the one who watches, programs, private files."""

import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
USER, PASSWORD = "archive", "secret"
# Exit statuses, as in mdrop(7).
USAGE, DIFFERENT, UNAVAILABLE, BROKEN, STOPPED = 64, 65, 69, 70, 75


class Failure(Exception):
    """Why there is no result, and the exit status that says so."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def find(program, *more):
    """The path of a program; daemons lie outside an ordinary PATH."""
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", *more]))
    if path is None:
        raise Failure(UNAVAILABLE, f"{program} is missing; scripts/check installs it")
    return path


def build(given, tools, examples=()):
    """The folder of the tools: the one that was named, or that of a build made now."""
    if given is None:
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
        wanted = ["--bins", *(word for example in examples for word in ("--example", example))]
        command = [find("cargo"), "build", "--release", "--locked", *wanted, "--target-dir", target]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise Failure(UNAVAILABLE, "mdrop can't be built")
        given = target / "release"
    given = given.absolute()
    for program in [*(given / tool for tool in tools), *(given / "examples" / example for example in examples)]:
        if not os.access(program, os.X_OK):
            raise Failure(UNAVAILABLE, f"{program}: no such program")
    return given


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)


def read_text(path):
    return path.read_text(errors="replace") if path.exists() else ""


def records(path):
    """The JSON lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def megabytes(octets):
    return f"{octets / 1e6:.1f}"


def machine(folder):
    """Where it was measured, for whoever compares."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    dovecot = subprocess.run([find("dovecot"), "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout.split(" ")[0]
    processors = f"{os.cpu_count()} processors (load at the end {os.getloadavg()[0]:.1f})"
    return f"{processors}, {platform.system()} {platform.machine()}, {kind or 'unknown file system'}, Dovecot {dovecot}"
