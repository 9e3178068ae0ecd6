//! A Dovecot of the tests' own: loopback ports that nobody uses, an ordinary folder under the build's, no system service touched.
//!
//! Dovecot refuses to serve mail as root, so that root gives the whole of it to `nobody` before it starts; the folder must then
//! be one that `nobody` can reach.

pub use super::daemon::write_private;
use super::daemon::{effective_uid, free_ports, fresh_folder, give_away, make_certificate, nobody, wait_for, write_profile};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of every user.
pub const PASSWORD: &str = "pw \"x\\y";

/// A Dovecot that runs until it is dropped; its folder goes with it.
pub struct Dovecot {
    /// IMAP, with STARTTLS.
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// POP3, with STLS.
    pub pop3: u16,
    /// POP3 over TLS.
    pub pop3s: u16,
    /// Its certificate, self-signed, for localhost and 127.0.0.1.
    pub cert: PathBuf,
    root: PathBuf,
    owner: Option<(u32, u32)>,
    child: Child,
    delivered: AtomicU32,
}

impl Dovecot {
    /// Starts one with these users, whose mailboxes are empty.
    pub fn start(users: &[&str]) -> Self {
        Self::start_with(users, "plain login", "")
    }

    /// The same, with these mechanisms and more configuration, in which ROOT stands for the folder.
    pub fn start_with(users: &[&str], mechanisms: &str, more: &str) -> Self {
        let owner = (effective_uid() == 0).then(nobody);
        for attempt in 0.. {
            let root = fresh_folder("dovecot");
            let ports = free_ports();
            prepare(&root, users, ports, owner, (mechanisms, more));
            let mut child = spawn(&root, owner);
            if wait_for(ports[0], &mut child) {
                let [imap, imaps, pop3, pop3s] = ports;
                let cert = root.join("cert.pem");
                return Self { imap, imaps, pop3, pop3s, cert, root, owner, child, delivered: AtomicU32::new(0) };
            }
            let _ = child.kill();
            let _ = child.wait();
            let log = fs::read_to_string(root.join("dovecot.log")).unwrap_or_default();
            assert!(attempt < 3, "dovecot did not come up:\n{log}");
        }
        unreachable!()
    }

    /// A folder of the test's own that goes with this Dovecot.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// A user's Maildir.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.root.join("mail").join(user).join("Maildir")
    }

    /// Puts a message into a user's INBOX, octet for octet, without flags.
    pub fn deliver(&self, user: &str, octets: &[u8]) -> PathBuf {
        self.deliver_to(user, "", octets)
    }

    /// Puts a message into a folder of the Maildir, such as `.Sent`.
    pub fn deliver_to(&self, user: &str, folder: &str, octets: &[u8]) -> PathBuf {
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        let maildir = self.maildir(user).join(folder);
        for part in ["", "cur", "new", "tmp"] {
            let part = maildir.join(part);
            fs::create_dir_all(&part).unwrap();
            self.give_away(&part);
        }
        let path = maildir.join(format!("cur/{}.M{number}P1.test:2,", 1_700_000_000 + number));
        fs::write(&path, octets).unwrap();
        self.give_away(&path);
        path
    }

    /// The messages in a user's INBOX as the server should hand them out: LF as CR LF. In the order of delivery.
    pub fn messages(&self, user: &str) -> Vec<Vec<u8>> {
        self.files(user).into_iter().map(|path| to_crlf(&fs::read(path).unwrap())).collect()
    }

    /// The files in a user's INBOX, sorted; their names say what flags they have.
    pub fn files(&self, user: &str) -> Vec<PathBuf> {
        let parts = ["new", "cur"].map(|part| fs::read_dir(self.maildir(user).join(part)).unwrap());
        let mut files: Vec<PathBuf> = parts.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Writes a private profile for one of the users, and returns its path. `more` is TOML for `[account]` and what follows.
    pub fn profile(&self, name: &str, protocol: &str, tls: &str, user: &str, more: &str) -> PathBuf {
        let port = match (protocol, tls) {
            ("imap", "implicit") => self.imaps,
            ("imap", _) => self.imap,
            (_, "implicit") => self.pop3s,
            _ => self.pop3,
        };
        write_profile(&self.root, name, &[("protocol", protocol), ("tls", tls), ("username", user)], port, more)
    }

    /// Lets the server read and change all that lies in a folder.
    pub fn give_all(&self, folder: &Path) {
        walkdir::WalkDir::new(folder).into_iter().for_each(|entry| self.give_away(entry.unwrap().path()));
    }

    fn give_away(&self, path: &Path) {
        if let Some((uid, gid)) = self.owner {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The form in which a server hands out a message that lies on disk with LF.
pub fn to_crlf(octets: &[u8]) -> Vec<u8> {
    octets.iter().flat_map(|octet| if *octet == b'\n' { vec![b'\r', b'\n'] } else { vec![*octet] }).collect()
}

fn prepare(root: &Path, users: &[&str], ports: [u16; 4], owner: Option<(u32, u32)>, login: (&str, &str)) {
    let (uid, gid) = owner.unwrap_or_else(|| (effective_uid(), fs::metadata("/proc/self").unwrap().gid()));
    for part in ["run", "state", "index", "home", "mail"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    let mut passwd = String::new();
    for user in users {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join("mail").join(user).join("Maildir").join(part)).unwrap();
        }
        writeln!(passwd, "{user}:{{PLAIN}}{PASSWORD}:{uid}:{gid}::{}/home::", root.display()).unwrap();
    }
    fs::write(root.join("passwd"), passwd).unwrap();
    make_certificate(root);
    fs::write(root.join("dovecot.conf"), configuration(root, ports, owner.is_some(), login)).unwrap();
    if owner.is_some() {
        give_away(root, (uid, gid));
    }
}

fn configuration(root: &Path, [imap, imaps, pop3, pop3s]: [u16; 4], as_nobody: bool, (mechanisms, more): (&str, &str)) -> String {
    let root = root.display();
    let more = more.replace("ROOT", &root.to_string());
    let id = |flag| String::from_utf8(Command::new("id").arg(flag).output().unwrap().stdout).unwrap().trim().to_owned();
    let (user, group) = if as_nobody {
        let group = Command::new("id").args(["-gn", "nobody"]).output().unwrap().stdout;
        ("nobody".into(), String::from_utf8(group).unwrap().trim().to_owned())
    } else {
        (id("-un"), id("-gn"))
    };
    let listener = |name: &str, port: u16, ssl: &str| format!("inet_listener {name} {{\nport = {port}\n{ssl}\n}}\n");
    let (plain, tls) = ("", "ssl = yes");
    let imap = listener("imap", imap, plain) + &listener("imaps", imaps, tls);
    let pop3 = listener("pop3", pop3, plain) + &listener("pop3s", pop3s, tls);
    format!(
        "base_dir = {root}/run\nstate_dir = {root}/state\nlog_path = {root}/dovecot.log\n\
         ssl = yes\nssl_cert = <{root}/cert.pem\nssl_key = <{root}/key.pem\nssl_min_protocol = TLSv1.2\n\
         protocols = imap pop3\nlisten = 127.0.0.1\ndefault_internal_user = {user}\ndefault_internal_group = {group}\n\
         default_login_user = {user}\nfirst_valid_uid = 1\nfirst_valid_gid = 1\ndisable_plaintext_auth = no\n\
         auth_mechanisms = {mechanisms}\nmail_location = maildir:{root}/mail/%u/Maildir:INDEX={root}/index/%u\n\
         mail_max_userip_connections = 100\nmail_fsync = never\npop3_uidl_format = %08Xu%08Xv\n\
         service anvil {{\nchroot =\n}}\nservice stats {{\nchroot =\n}}\n\
         service imap-login {{\nchroot =\n{imap}}}\nservice pop3-login {{\nchroot =\n{pop3}}}\n\
         passdb {{\ndriver = passwd-file\nargs = {root}/passwd\n}}\nuserdb {{\ndriver = passwd-file\nargs = {root}/passwd\n}}\n\
         namespace inbox {{\ninbox = yes\nseparator = /\nmailbox Trash {{\nspecial_use = \\Trash\n}}\n}}\n{more}\n"
    )
}

fn spawn(root: &Path, owner: Option<(u32, u32)>) -> Child {
    let program = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].into_iter().find(|path| Path::new(path).exists());
    let program = program.expect("dovecot is needed for this test: scripts/check installs it");
    let mut command = Command::new(program);
    command.arg("-F").arg("-c").arg(root.join("dovecot.conf")).stdin(Stdio::null()).stderr(Stdio::null()).current_dir(root);
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command.spawn().expect("dovecot can't be started")
}
