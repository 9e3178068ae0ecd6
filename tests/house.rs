//! The rules of the house that a compiler does not hold: the layers, and that each manual page names its tool's flags.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::tools::run;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources below a folder, without their tests, each with its path.
fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let files = walkdir::WalkDir::new(root().join(below)).into_iter().map(|entry| entry.unwrap().into_path());
    let code = files.filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.to_str().unwrap().contains("tests"));
    code.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (path.strip_prefix(root()).unwrap().to_path_buf(), text)
    })
    .collect()
}

/// The files, of those for which `may` is false, that hold any of these words outside comments.
fn offenders(below: &str, words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(below) {
        let path = path.to_str().unwrap().to_owned();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//") && !may(&path)) {
            found.extend(words.iter().filter(|word| line.contains(**word)).map(|word| format!("{path}: {word}")));
        }
    }
    found
}

const NONE: [String; 0] = [];

#[test]
fn durable_alone_calls_fsync_and_rename() {
    let words = [
        "sync_all",
        "sync_data",
        "fsync",
        "fdatasync",
        "fs::rename",
        "renameat",
        "hard_link",
        "fs::link",
        "linkat",
        "sync_file_range",
        "fadvise",
    ];
    assert_eq!(offenders("tools", &words, |path| path.starts_with("tools/mdrop/durable")), NONE);
}

/// What makes or removes a file.
const CHANGES: [&str; 17] = [
    "fs::remove",
    "fs::create_dir",
    "fs::write",
    "fs::copy",
    "DirBuilder",
    "File::create",
    "File::options",
    "OpenOptions",
    "OFlags::CREATE",
    "fs::open",
    "fs::mkdir",
    "fs::unlink",
    "fs::symlink(",
    "set_len",
    "ftruncate",
    "tempfile",
    "NamedTempFile",
];

/// Who opens files otherwise, and what for: nothing of it makes or removes mail.
const OPENS: [(&str, &str); 4] = [
    ("tools/mdrop/frame.rs", "appends to the run log"),
    ("tools/mdrop/archive/check/file.rs", "reads packs and segments, without following a link or waiting for a pipe"),
    ("tools/mdrop/archive/shelf.rs", "opens a folder to look at the sizes in it"),
    ("tools/mdrop/disk/open.rs", "reads mail that is to be imported, without waiting for a pipe"),
];

#[test]
fn durable_alone_makes_and_removes_files() {
    let may = |path: &str| path.starts_with("tools/mdrop/durable") || OPENS.iter().any(|(file, _)| path == *file);
    assert_eq!(offenders("tools", &CHANGES, may), NONE);
    for (file, what_for) in OPENS {
        assert_ne!(offenders("tools", &CHANGES, |path| path != file), NONE, "{file} no longer {what_for}");
    }
}

#[test]
fn each_step_stands_in_the_manual_page_and_no_other() {
    let page = std::fs::read_to_string(root().join("man/mdrop-safety.7")).unwrap();
    let section = page.split(".Ss The steps").nth(1).unwrap().split(".El").next().unwrap();
    let named: BTreeSet<&str> = section.lines().filter_map(|line| line.strip_prefix(".It Li ")).collect();
    assert_eq!(named, mdrop::durable::Step::ALL.iter().map(|step| step.name()).collect());
}

#[test]
fn net_alone_opens_sockets() {
    let words = ["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "native_tls", "ToSocketAddrs"];
    assert_eq!(offenders("tools", &words, |path| path.starts_with("tools/mdrop/net")), NONE);
}

#[test]
fn formats_and_identities_know_nothing_of_files_sockets_or_what_stands_above_them() {
    let formats = [
        "octets",
        "utf7",
        "time",
        "identity",
        "uids",
        "error",
        "header",
        "address",
        "journal",
        "fingerprint",
        "folder",
        "record",
        "stream",
        "inner",
        "words",
        "profile",
        "users",
    ];
    let is_format = |path: &str| {
        let name = path.strip_prefix("tools/mdrop/").unwrap();
        formats.iter().any(|format| name == format!("{format}.rs") || name.starts_with(&format!("{format}/")))
    };
    let words = [
        "std::fs",
        "std::net",
        "File::",
        "crate::durable",
        "crate::spool",
        "crate::held",
        "crate::config",
        "crate::archive",
        "crate::disk",
        "crate::net",
        "crate::frame",
    ];
    assert_eq!(offenders("tools/mdrop", &words, |path| !is_format(path)), NONE);
}

#[test]
fn only_a_tool_uses_the_frame() {
    assert_eq!(offenders("tools/mdrop", &["frame::", "crate::frame"], |path| path == "tools/mdrop/frame.rs"), NONE);
}

#[test]
fn archives_know_nothing_of_the_network_and_the_network_nothing_of_archives() {
    assert_eq!(offenders("tools/mdrop/archive", &["crate::net"], |_| false), NONE);
    assert_eq!(offenders("tools/mdrop/net", &["crate::archive", "crate::durable"], |_| false), NONE);
}

/// The words in a text that begin with `--` (in a page: `.Fl -`), without dashes.
fn long_flags(text: &str, mark: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let parts = text.split(mark).skip(1).map(|rest| rest.split(ends).next().unwrap_or_default());
    parts.filter(|flag| flag.len() > 1 && !flag.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn each_manual_page_names_exactly_its_tools_flags() {
    for tool in ["mdrop-fetch", "mdrop-route", "mdrop-store", "mdrop-purge", "mdrop-find", "mdrop-cat", "mdrop-check", "mdrop-report"] {
        let help = run(tool, &["--help"], b"").exits(0).text();
        let page = std::fs::read_to_string(root().join(format!("man/{tool}.1"))).unwrap();
        // What the page says of other tools, and its examples, are not its options.
        let options: Vec<&str> = page.lines().filter(|line| line.starts_with(".It Fl ")).collect();
        let (wanted, named) = (long_flags(&help, "--"), long_flags(&options.join("\n"), " -"));
        assert_eq!(named, wanted, "{tool}");
    }
}

#[test]
fn every_tool_says_its_version_and_calls_wrong_usage_64() {
    for tool in ["mdrop-fetch", "mdrop-route", "mdrop-store", "mdrop-purge", "mdrop-find", "mdrop-cat", "mdrop-check", "mdrop-report"] {
        let version = run(tool, &["--version"], b"").exits(0).text();
        assert_eq!(version, format!("{tool} {}\n", env!("CARGO_PKG_VERSION")));
        let wrong = run(tool, &["--no-such-flag"], b"").exits(64);
        assert!(wrong.stdout.is_empty() && wrong.stderr.contains("--no-such-flag"), "{}", wrong.stderr);
    }
}

#[test]
fn a_missing_profile_or_a_mistake_in_it_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.toml");
    let fetch = |arguments: &[&str]| run("mdrop-fetch", arguments, b"");
    assert!(fetch(&["-p", "no-such-profile"]).exits(66).stderr.contains("no profile of this name in"));
    common::dovecot::write_private(&path, "[account]\nprotocol = \"imap\"\nhsot = \"h\"\n");
    let profile = path.to_str().unwrap();
    let told = fetch(&["-p", profile]).exits(78).stderr;
    assert!(told.contains("acme.toml: line 3: unknown key “hsot”; did you mean “host”?"), "{told}");
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(fetch(&["-p", profile]).exits(78).stderr.contains("chmod 600"));
}

#[test]
fn a_stderr_that_takes_nothing_is_no_crash() {
    let line = format!("{} -p no-such-profile 2>/dev/full; test $? = 66", common::tools::path_of("mdrop-fetch").display());
    common::tools::shell(root(), &line);
}
