//! A Cyrus IMAP server of the tests' own, from unpacked packages. It logs the dialogue of each user, see [`dialogue`].

use super::daemon::{Daemon, effective_uid, give_away, library_folders, nobody, packages, reachable};
use super::dovecot::PASSWORD;
use super::tools::run_command;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Starts one with these users, each with INBOX, Sent and Trash, or says why the test is skipped. The delimiter is the dot.
pub fn start(users: &[&str]) -> Option<Daemon> {
    let packages = packages("cyrus")?;
    Some(Daemon::start("Cyrus", users[0], |root, ports| vec![prepare(&packages, root, users, ports)]))
}

/// Everything that was said to and by a user's sessions.
pub fn dialogue(cyrus: &Daemon, user: &str) -> String {
    let files = fs::read_dir(cyrus.folder().join("state/log").join(user)).unwrap();
    files.map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned()).collect()
}

fn prepare(packages: &Path, root: &Path, users: &[&str], ports: [u16; 4]) -> Command {
    let owner = (effective_uid() == 0).then(nobody);
    let packages = &within_reach(packages, root, owner);
    for part in ["state/socket", "mail", "sieve", "run"] {
        fs::create_dir_all(root.join(part)).unwrap();
    }
    for user in users {
        fs::create_dir_all(root.join("state/log").join(user)).unwrap();
        let mut command = Command::new(packages.join("usr/sbin/saslpasswd2"));
        command.args(["-p", "-c", "-u", "localhost", "-f"]).arg(root.join("sasldb2")).arg(user);
        let ran = run_command(with_libraries(&mut command, packages), PASSWORD.as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    fs::write(root.join("imapd.conf"), settings(root, &name_of(owner))).unwrap();
    fs::write(root.join("cyrus.conf"), services(packages, root, ports)).unwrap();
    // It closes every descriptor that the limit allows, which takes minutes where that is a thousand million.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 1024; exec \"$@\"", "sh"]).arg(packages.join("usr/lib/cyrus/bin/master")).arg("-D");
    for (flag, file) in [("-C", "imapd.conf"), ("-M", "cyrus.conf"), ("-p", "run/master.pid")] {
        command.arg(flag).arg(root.join(file));
    }
    if let Some((uid, gid)) = owner {
        give_away(root, (uid, gid));
        command.uid(uid).gid(gid);
    }
    with_libraries(command.current_dir(root), packages);
    command
}

/// The packages, or a copy of them where their owner can't reach them.
fn within_reach(packages: &Path, root: &Path, owner: Option<(u32, u32)>) -> PathBuf {
    if owner.is_none() || reachable(packages) {
        return packages.to_path_buf();
    }
    let copy = root.join("packages");
    assert!(Command::new("cp").arg("-a").args([packages, &copy]).status().unwrap().success());
    copy
}

fn with_libraries<'c>(command: &'c mut Command, packages: &Path) -> &'c mut Command {
    let folders = library_folders(packages);
    // What is installed anyway was not unpacked.
    let installed = folders.iter().map(|folder| Path::new("/").join(folder.strip_prefix(packages).unwrap()));
    let plugins = folders.iter().cloned().chain(installed).map(|folder| folder.join("sasl2")).filter(|folder| folder.exists());
    let plugins = std::env::join_paths(plugins).unwrap();
    command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).unwrap()).env("SASL_PATH", plugins)
}

fn name_of(owner: Option<(u32, u32)>) -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    owner.map_or_else(|| String::from_utf8(name).unwrap().trim().to_owned(), |_| "nobody".into())
}

fn settings(root: &Path, user: &str) -> String {
    let root = root.display();
    format!(
        "cyrus_user: {user}\nservername: localhost\nconfigdirectory: {root}/state\ndefaultpartition: default\npartition-default: {root}/mail\n\
         sievedir: {root}/sieve\nallowplaintext: yes\nsasl_pwcheck_method: auxprop\nsasl_auxprop_plugin: sasldb\n\
         sasl_sasldb_path: {root}/sasldb2\nsasl_mech_list: PLAIN LOGIN\nvirtdomains: off\nunixhierarchysep: no\naltnamespace: no\nmunge8bit: no\n\
         tls_server_cert: {root}/cert.pem\ntls_server_key: {root}/key.pem\n\
         autocreate_quota: 0\nautocreate_inbox_folders: Sent|Trash\nxlist-sent: Sent\nxlist-trash: Trash\n"
    )
}

fn services(packages: &Path, root: &Path, ports: [u16; 4]) -> String {
    let bin = packages.join("usr/lib/cyrus/bin");
    let command = |program: &str| format!("cmd=\"{} -C {}/imapd.conf", bin.join(program).display(), root.display());
    let kinds = [("imap", "imapd", ""), ("imaps", "imapd", " -s"), ("pop3", "pop3d", ""), ("pop3s", "pop3d", " -s")];
    let services = kinds.iter().zip(ports).map(|((name, program, tls), port)| {
        format!("{name} {}{tls}\" listen=\"127.0.0.1:{port}\" proto=\"tcp4\" prefork=0\n", command(program))
    });
    format!(
        "START {{\nrecover {} -r\"\n}}\nSERVICES {{\n{}}}\nEVENTS {{\n}}\n",
        command("ctl_cyrusdb"),
        services.collect::<Vec<_>>().concat()
    )
}
