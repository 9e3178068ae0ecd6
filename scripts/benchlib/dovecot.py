"""A Dovecot of our own on loopback."""

import grp
import imaplib
import os
import pwd
import re
import subprocess
import time

from .base import PASSWORD, UNAVAILABLE, USER, Failure, find, free_port, read_text


class Dovecot:
    """A Dovecot with users that have one mailbox each. It refuses to serve mail as root, so root gives it all to nobody."""

    def __init__(self, folder, users=(USER,), every_protocol=False):
        """With `every_protocol` it serves POP3 and IMAP over TLS too."""
        self.folder, self.users, self.every_protocol, self.process = folder, users, every_protocol, None
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.name, self.uid, self.gid = account.pw_name, account.pw_uid, account.pw_gid
        self.certificate = folder / "cert.pem"
        for part in ["run", "state", "index", *(f"{user}/Maildir/{part}" for user in users for part in ["cur", "new", "tmp"])]:
            (folder / part).mkdir(parents=True)
        if every_protocol:
            self.certify()

    def certify(self):
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names]
        files = ["-keyout", self.folder / "key.pem", "-out", self.certificate]
        subprocess.run([find("openssl"), *made, *files], stderr=subprocess.DEVNULL, check=True)

    def put(self, number, octets, user=USER):
        """Adds a message. Its sizes, as it lies there and with CR LF, are in the file's name, so that Dovecot needn't count."""
        on_wire = len(octets) + octets.count(b"\n") - octets.count(b"\r\n")
        when = 1_700_000_000 + number
        path = self.folder / user / "Maildir" / "cur" / f"{when}.M{number}P1.bench,S={len(octets)},W={on_wire}:2,"
        path.write_bytes(octets)
        os.utime(path, (when, when))

    def __enter__(self):
        lines = [f"{user}:{{PLAIN}}{PASSWORD}:{self.uid}:{self.gid}::{self.folder}::\n" for user in self.users]
        (self.folder / "passwd").write_text("".join(lines))
        for _ in range(3):
            self.port, self.tls_port, self.pop3_port = free_port(), free_port(), free_port()
            (self.folder / "dovecot.conf").write_text(self.configuration())
            self.start()
            if self.answers():
                return self
            self.stop()
        raise Failure(UNAVAILABLE, f"dovecot does not start:\n{read_text(self.folder / 'dovecot.log')}")

    def __exit__(self, *_):
        self.stop()

    def configuration(self):
        at, group = self.folder, grp.getgrgid(self.gid).gr_name
        more = self.more_protocols() if self.every_protocol else "ssl = no\nprotocols = imap\n"
        return f"""base_dir = {at}/run
state_dir = {at}/state
log_path = {at}/dovecot.log
{more}listen = 127.0.0.1
default_internal_user = {self.name}
default_internal_group = {group}
default_login_user = {self.name}
first_valid_uid = 1
first_valid_gid = 1
disable_plaintext_auth = no
mail_location = maildir:{at}/%u/Maildir:INDEX={at}/index/%u
mail_max_userip_connections = 100
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
}}
passdb {{
  driver = passwd-file
  args = {at}/passwd
}}
userdb {{
  driver = passwd-file
  args = {at}/passwd
}}
"""

    def more_protocols(self):
        return f"""ssl = yes
ssl_cert = <{self.certificate}
ssl_key = <{self.folder}/key.pem
protocols = imap pop3
service imap-login {{
  inet_listener imaps {{
    port = {self.tls_port}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""

    def start(self):
        other = {}
        if os.geteuid() == 0:
            other = {"user": self.uid, "group": self.gid, "extra_groups": []}
            for folder, _, files in os.walk(self.folder):
                for path in [folder, *(os.path.join(folder, file) for file in files)]:
                    os.chown(path, self.uid, self.gid)
        command = [find("dovecot"), "-F", "-c", self.folder / "dovecot.conf"]
        quiet = subprocess.DEVNULL
        # In a session of its own, so that Ctrl-C ends it through this script and not on its own.
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True, **other
        )

    def answers(self):
        for _ in range(100):
            if self.process.poll() is not None:
                return False
            try:
                self.login().logout()
                return True
            except (OSError, imaplib.IMAP4.error):
                time.sleep(0.1)
        return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def login(self):
        connection = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        connection.login(USER, PASSWORD)
        return connection

    def messages(self):
        """Every message as the server hands it out: its UID and its octets."""
        connection = self.login()
        connection.select("INBOX", readonly=True)
        uids = [int(uid) for uid in connection.uid("SEARCH", "ALL")[1][0].split()]
        for start in range(0, len(uids), 100):
            status, answer = connection.uid("FETCH", ",".join(map(str, uids[start : start + 100])), "(UID BODY.PEEK[])")
            if status != "OK":
                raise Failure(UNAVAILABLE, f"the server does not hand out its mail: {answer}")
            for part in answer:
                if isinstance(part, tuple):
                    yield int(re.search(rb"UID (\d+)", part[0])[1]), part[1]
        connection.logout()
