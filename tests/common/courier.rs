//! A Courier IMAP and POP3 server of the tests' own, from unpacked packages.
//!
//! Its paths are built in (/etc/courier, /run/courier), so it runs in a changed root that holds its programs and the libraries they
//! need. Only root may do that.

use super::daemon::{Daemon, give_away, library_folders, nobody, packages};
use super::dovecot::PASSWORD;
use super::tools::run_command;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const AUTHDAEMOND: &str = "usr/lib/courier/courier-authlib/authdaemond";
const MAKEDAT: &str = "usr/lib/courier/courier-authlib/makedatprog";
const TCPD: &str = "usr/sbin/couriertcpd";
const TLS: &str = "usr/bin/couriertls";
const IMAP: [&str; 2] = ["usr/lib/courier/courier/imaplogin", "usr/bin/imapd"];
const POP3: [&str; 2] = ["usr/lib/courier/courier/courierpop3login", "usr/lib/courier/courier/courierpop3d"];
const USERDB: &str = "usr/lib/courier-authlib/libauthuserdb.so.0";

/// The settings of Debian's /etc/courier/imapd, imapd-ssl, pop3d and pop3d-ssl that matter here.
const SETTINGS: [(&str, &str); 13] = [
    ("LD_LIBRARY_PATH", "/lib"),
    ("MAILDIRPATH", "Maildir"),
    ("IMAP_CAPABILITY", "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"),
    ("IMAP_KEYWORDS", "1"),
    ("IMAP_ACL", "1"),
    // Its locks wait for a file watcher (gamin) that starts itself and stays behind.
    ("IMAP_USELOCKS", "0"),
    ("IMAP_TRASHFOLDERNAME", "Trash"),
    ("IMAP_STARTTLS", "YES"),
    ("POP3_STARTTLS", "YES"),
    ("POP3AUTH", "PLAIN LOGIN"),
    ("COURIERTLS", "/usr/bin/couriertls"),
    ("TLS_CERTFILE", "/etc/courier/server.pem"),
    ("TLS_VERIFYPEER", "NONE"),
];

/// Starts one with these users, whose mailboxes are empty, or says why the test is skipped. The delimiter is the dot.
pub fn start(users: &[&str]) -> Option<Daemon> {
    let packages = packages("courier")?;
    if !Command::new("chroot").args(["/", "true"]).output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: Courier's paths are built in, so it needs a changed root, which this user may not have");
        return None;
    }
    Some(Daemon::start("Courier", users[0], |root, ports| {
        prepare(&packages, root, users);
        let [imap, imaps, pop3, pop3s] = ports;
        let services = [(imap, IMAP, false), (imaps, IMAP, true), (pop3, POP3, false), (pop3s, POP3, true)];
        let login = services.into_iter().map(|(port, programs, tls)| service(root, port, programs, tls));
        login.chain([inside(root, AUTHDAEMOND)]).collect()
    }))
}

/// A user's Maildir.
pub fn maildir(courier: &Daemon, user: &str) -> PathBuf {
    courier.folder().join("root/home").join(user).join("Maildir")
}

/// A command in the changed root.
fn inside(root: &Path, program: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root.join("root")).arg(Path::new("/").join(program)).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.envs(SETTINGS);
    command
}

fn service(root: &Path, port: u16, programs: [&str; 2], tls: bool) -> Command {
    let mut command = inside(root, TCPD);
    command.args(["-address=127.0.0.1", "-nodnslookup", "-noidentlookup", "-maxprocs=100", "-maxperip=100"]).arg(port.to_string());
    if tls {
        command.env("IMAP_TLS", "1").env("POP3_TLS", "1").arg(Path::new("/").join(TLS)).args(["-server", "-tcpd"]);
    }
    command.args(programs.map(|program| Path::new("/").join(program))).arg("Maildir");
    command
}

fn prepare(packages: &Path, root: &Path, users: &[&str]) {
    let inner = root.join("root");
    for part in ["dev", "etc/courier", "run/courier/authdaemon", "tmp", "lib", "home"] {
        fs::create_dir_all(inner.join(part)).unwrap();
    }
    fs::write(inner.join("dev/null"), "").unwrap();
    // couriertls becomes this user before it speaks with strangers.
    let (uid, gid) = nobody();
    fs::write(inner.join("etc/passwd"), format!("root:x:0:0::/:/bin/sh\ncourier:x:{uid}:{gid}::/:/bin/sh\n")).unwrap();
    fs::write(inner.join("etc/group"), format!("root:x:0:\ncourier:x:{gid}:\n")).unwrap();
    for program in [AUTHDAEMOND, MAKEDAT, TCPD, TLS, USERDB].into_iter().chain(IMAP).chain(POP3) {
        copy(&packages.join(program), &inner.join(program));
        copy_libraries(packages, program, &inner);
    }
    symlink("libauthuserdb.so.0", inner.join(USERDB).with_file_name("libauthuserdb.so")).unwrap();
    let authdaemonrc =
        "authmodulelist=\"authuserdb\"\nauthmodulelistorig=\"authuserdb\"\ndaemons=2\nauthdaemonvar=/run/courier/authdaemon\n";
    fs::write(inner.join("etc/courier/authdaemonrc"), authdaemonrc).unwrap();
    let [key, certificate] = ["key.pem", "cert.pem"].map(|file| fs::read_to_string(root.join(file)).unwrap());
    fs::write(inner.join("etc/courier/server.pem"), key + &certificate).unwrap();
    add_users(root, users);
}

fn add_users(root: &Path, users: &[&str]) {
    let (uid, gid) = nobody();
    let hash = run_command(Command::new("openssl").args(["passwd", "-1", "-stdin"]), PASSWORD.as_bytes()).exits(0).text();
    let (mut places, mut secrets) = (String::new(), String::new());
    for user in users {
        let home = root.join("root/home").join(user);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(home.join("Maildir").join(part)).unwrap();
        }
        give_away(&home, (uid, gid));
        writeln!(places, "{user}\thome=/home/{user}|uid={uid}|gid={gid}").unwrap();
        writeln!(secrets, "{user}\timappw={0}|pop3pw={0}", hash.trim()).unwrap();
    }
    for (file, lines) in [("userdb", places), ("userdbshadow", secrets)] {
        let target = format!("/etc/courier/{file}.dat");
        run_command(inside(root, MAKEDAT).args(["-", "/tmp/new", &target]), (lines + ".\n").as_bytes()).exits(0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
}

/// Copies the libraries that a program needs to /lib, and the loader to where the program looks for it.
fn copy_libraries(packages: &Path, program: &str, inner: &Path) {
    let folders = std::env::join_paths(library_folders(packages)).unwrap();
    let needed = Command::new("ldd").arg(packages.join(program)).env("LD_LIBRARY_PATH", folders).output().unwrap().stdout;
    for line in String::from_utf8(needed).unwrap().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = match words.as_slice() {
            [name, "=>", path, _] if path.starts_with('/') => (*path, inner.join("lib").join(name)),
            [loader, _] if loader.starts_with('/') => (*loader, inner.join(loader.trim_start_matches('/'))),
            _ => continue,
        };
        if !to.exists() {
            copy(Path::new(from), &to);
        }
    }
}
