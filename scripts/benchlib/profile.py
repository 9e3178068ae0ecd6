"""Profiles of mdrop and configurations of the others, all for one account on a server of our own."""

from .base import PASSWORD, USER, private


def profile(path, port, *, protocol="imap", user=USER, tls="none", more=""):
    """Writes a profile for a server on 127.0.0.1; `more` is TOML for `[account]` and what follows."""
    private(path.parent / "password", PASSWORD)
    private(
        path,
        f"""[account]
protocol = "{protocol}"
host = "127.0.0.1"
port = {port}
tls = "{tls}"
username = "{user}"
password-file = "password"
{more}""",
    )
    return path


def mbsyncrc(path, port, maildir, *, user=USER, more=""):
    """Writes a configuration of mbsync that pulls INBOX. A blank line ends a section."""
    private(
        path,
        f"""{more}IMAPStore far
Host 127.0.0.1
Port {port}
User {user}
Pass {PASSWORD}
SSLType None

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX

Channel bench
Far :far:
Near :near:
Patterns INBOX
Sync Pull
Create Near
""",
    )
    return path


def fetchmailrc(path, port, *, user, delivery):
    """Writes a configuration of fetchmail that takes every message and leaves it on the server."""
    private(
        path,
        f"""set no bouncemail
poll 127.0.0.1 service {port} protocol imap auth password
user "{user}" password "{PASSWORD}"
fetchall keep no rewrite sslproto ""
{delivery}
""",
    )
    return path


def getmailrc(path, port, maildir, *, user, more=""):
    """Writes a configuration of getmail6 that takes every message and leaves it on the server."""
    private(
        path,
        f"""[retriever]
type = SimpleIMAPRetriever
server = 127.0.0.1
port = {port}
username = {user}
password = {PASSWORD}

[destination]
type = Maildir
path = {maildir}/
{more}
[options]
read_all = true
delete = false
verbose = 0
delivered_to = false
received = false
""",
    )
    return path
