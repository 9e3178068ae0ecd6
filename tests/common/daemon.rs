//! What the real servers of the tests have in common: packages, folders, ports, a certificate, profiles, and a clean end.
//!
//! Debian lets only one IMAP server be installed. Dovecot is; the packages of the others are unpacked under the build's folder by
//! scripts/check and run from there. A test whose server is not there says so and is skipped.

use super::client::Client;
use super::dovecot::PASSWORD;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A server that runs until it is dropped; its folder goes with it.
pub struct Daemon {
    /// IMAP, with STARTTLS.
    pub imap: u16,
    /// IMAP over TLS.
    pub imaps: u16,
    /// POP3, with STLS.
    pub pop3: u16,
    /// POP3 over TLS.
    pub pop3s: u16,
    root: PathBuf,
    programs: Programs,
}

impl Daemon {
    /// Starts a server whose greeting holds `name` and where `user` can log in. `start` prepares the folder it is given and starts programs on the ports: IMAP,
    /// IMAP over TLS, POP3, POP3 over TLS. Another port is tried if somebody was quicker.
    pub fn start(name: &str, user: &str, start: impl Fn(&Path, [u16; 4]) -> Vec<Command>) -> Self {
        for _ in 0..3 {
            let root = fresh_folder(&name.to_lowercase());
            let ports = free_ports();
            make_certificate(&root);
            let mut programs = Programs(Vec::new());
            for command in &mut start(&root, ports) {
                programs.spawn(command, &root.join("server.log"));
            }
            let listens = ports.iter().all(|port| wait_for(*port, programs.0.first_mut().unwrap()));
            if listens && Client::reach(ports[0], user, name).is_some() {
                let [imap, imaps, pop3, pop3s] = ports;
                return Self { imap, imaps, pop3, pop3s, root, programs };
            }
            drop(programs);
            eprintln!("{name} did not come up: {}", fs::read_to_string(root.join("server.log")).unwrap_or_default());
            let _ = fs::remove_dir_all(&root);
        }
        panic!("{name} did not come up");
    }

    /// A folder of the test's own that goes with this server.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Writes a private profile, and returns its path. `more` is TOML for `[account]` and what follows.
    pub fn profile(&self, name: &str, protocol: &str, tls: &str, user: &str, more: &str) -> PathBuf {
        let port = match (protocol, tls) {
            ("imap", "implicit") => self.imaps,
            ("imap", _) => self.imap,
            (_, "implicit") => self.pop3s,
            _ => self.pop3,
        };
        write_profile(&self.root, name, &[("protocol", protocol), ("tls", tls), ("username", user)], port, more)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.programs.end();
        if std::thread::panicking() {
            eprintln!("the server's log: {}", String::from_utf8_lossy(&fs::read(self.root.join("server.log")).unwrap_or_default()));
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Programs that end, with all they have started, when this is dropped.
struct Programs(Vec<Child>);

impl Programs {
    fn spawn(&mut self, command: &mut Command, log: &Path) {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        // A group of its own: what a program leaves behind is found and ended too.
        let command = command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.0.push(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")));
    }

    fn end(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        for child in &mut self.0 {
            let group = Pid::from_child(child);
            let _ = kill_process_group(group, Signal::TERM);
            for _ in 0..100 {
                if !matches!(child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
        }
        self.0.clear();
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where scripts/check has unpacked a server, if it has.
pub fn packages(server: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("servers").join(server);
    let there = folder.join("complete").exists();
    if !there {
        eprintln!("skipped: no {server} in {}: scripts/check unpacks it there where it can", folder.display());
    }
    there.then_some(folder)
}

/// The folders of unpacked packages in which libraries lie.
pub fn library_folders(packages: &Path) -> Vec<PathBuf> {
    let mut folders = vec![packages.join("usr/lib"), packages.join("usr/lib/cyrus")];
    for lib in ["lib", "usr/lib"] {
        let inner = fs::read_dir(packages.join(lib)).into_iter().flatten().map(|entry| entry.unwrap().path());
        folders.extend(inner.filter(|path| path.to_str().unwrap().ends_with("-linux-gnu")));
    }
    folders
}

/// Writes a profile that only its owner may read, with its password beside it.
pub fn write_profile(root: &Path, name: &str, account: &[(&str, &str)], port: u16, more: &str) -> PathBuf {
    let secret = root.join("secret");
    write_private(&secret, PASSWORD);
    let account = account.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect::<Vec<_>>().concat();
    let text = format!("[account]\nhost = \"localhost\"\nport = {port}\n{account}password-file = \"{}\"\n{more}", secret.display());
    let path = root.join(format!("{name}.toml"));
    write_private(&path, &text);
    path
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The user who runs the tests.
pub fn effective_uid() -> u32 {
    fs::metadata("/proc/self").unwrap().uid()
}

/// Whom root gives the servers to: UID and GID of `nobody`.
pub fn nobody() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("nobody:")).expect("a user called nobody");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    (fields.next().unwrap(), fields.next().unwrap())
}

/// Gives a folder and all in it to somebody.
pub fn give_away(root: &Path, (uid, gid): (u32, u32)) {
    for entry in walkdir::WalkDir::new(root) {
        lchown(entry.unwrap().path(), Some(uid), Some(gid)).unwrap();
    }
}

/// Whether others can enter a folder.
pub fn reachable(folder: &Path) -> bool {
    folder.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|m| m.mode() & 0o001 != 0))
}

/// A new folder under the build's, or under the system's temporary folder if `nobody` can't reach that.
pub fn fresh_folder(server: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let build = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let parent = if reachable(&build) || effective_uid() != 0 { build } else { std::env::temp_dir() };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = parent.join(format!("{server}-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Ports on loopback that nobody uses.
pub fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Makes cert.pem, self-signed, for localhost and 127.0.0.1, and key.pem.
pub fn make_certificate(root: &Path) {
    let arguments = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
    let made = Command::new("openssl")
        .args(arguments.split(' '))
        .arg("-keyout")
        .arg(root.join("key.pem"))
        .arg("-out")
        .arg(root.join("cert.pem"))
        .stderr(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()), "openssl is needed to make a certificate: scripts/check installs it");
}

/// Waits until somebody listens on a port; false if the server ends first, or takes longer than ten seconds.
pub fn wait_for(port: u16, child: &mut Child) -> bool {
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
