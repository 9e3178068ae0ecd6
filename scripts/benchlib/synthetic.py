"""tests/mailserver with a mailbox that is made up as it is read: for more messages than anybody wants to write to a disk."""

import datetime
import imaplib
import json
import poplib
import subprocess

from .base import PASSWORD, UNAVAILABLE, USER, Failure


class Synthetic:
    """A server with `count` messages in INBOX; `more` are flags of the mail server."""

    def __init__(self, program, count, *more):
        fixed = ["--user", USER, "--password", PASSWORD, "--imap", "0", "--pop3", "0", "--until-eof"]
        self.command, self.count = [program, *fixed, "--synthetic", f"INBOX={count}", *more], count

    def __enter__(self):
        self.process = subprocess.Popen(
            list(map(str, self.command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise Failure(UNAVAILABLE, "the synthetic mail server does not start")
        ports = json.loads(line)
        self.port, self.pop3_port = ports["imap"], ports["pop3"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def octets_sent(self):
        """Ends the server; how many octets it has sent in all."""
        self.process.stdin.close()
        return json.loads(self.process.stdout.readline())["sent"]

    def write_known(self, path, account, validity=1):
        """Writes what mdrop-store --known would say if all of it were archived, with samples as it takes them."""
        connection = imaplib.IMAP4("127.0.0.1", self.port)
        connection.login(USER, PASSWORD)
        connection.select("INBOX", readonly=True)
        others = range(1, self.count, max(1, self.count // 50))
        uids = sorted({*others, *range(max(1, self.count - 49), self.count + 1)})
        lines = connection.uid("FETCH", ",".join(map(str, uids)), "(RFC822.SIZE INTERNALDATE)")[1]
        connection.logout()
        record = {**self.record(account), "mailbox": "INBOX", "uidvalidity": validity, "uids": f"1:{self.count}"}
        record["samples"] = [sample(line.decode()) for line in lines]
        path.write_text(json.dumps(record) + "\n")

    def write_known_uidls(self, path, account, validity=1):
        """The same for POP3."""
        connection = poplib.POP3("127.0.0.1", self.pop3_port)
        connection.user(USER)
        connection.pass_(PASSWORD)
        sizes = connection.list()[1]
        connection.quit()
        with open(path, "w", encoding="utf-8") as known:
            for line in sizes:
                number, size = line.split()
                record = {**self.record(account), "uidl": f"{validity}.{int(number)}", "server_size": int(size)}
                known.write(json.dumps(record) + "\n")

    def record(self, account):
        return {"v": 1, "type": "known", "account": account, "login": f"{USER}@127.0.0.1"}


def sample(line):
    words = dict(zip(*[iter(line[line.index("(") + 1 : line.index(' INTERNALDATE "')].split())] * 2))
    date = line.split('INTERNALDATE "')[1].split('"')[0]
    when = datetime.datetime.strptime(date, "%d-%b-%Y %H:%M:%S %z").astimezone(datetime.timezone.utc)
    return {
        "uid": int(words["UID"]),
        "server_size": int(words["RFC822.SIZE"]),
        "received": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
