//! Mail on disk and from standard input: the octets it has over IMAP, names that last, and what is damaged, locked or in motion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::dovecot::{Dovecot, to_crlf, write_private};
use common::tools::{Ran, corpora, path_of, run, run_command, shell, shipped};
use mdrop::identity::{Digest, Place};
use mdrop::record::Record;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A folder with a profile for what lies in it.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, octets).unwrap();
        path
    }

    fn profile(&self, protocol: &str, path: &str, more: &str) -> String {
        let profile = self.path("disk.toml");
        write_private(&profile, &format!("[account]\nprotocol = \"{protocol}\"\npath = \"{path}\"\n{more}"));
        profile.to_str().unwrap().to_owned()
    }

    /// Fetches all of it.
    fn fetch(&self, protocol: &str, path: &str, more: &str) -> Ran {
        run("mdrop-fetch", &["-p", &self.profile(protocol, path, more)], b"")
    }

    /// Fetches what was not there in an earlier run.
    fn fetch_new(&self, protocol: &str, path: &str, earlier: &Ran) -> Ran {
        run("mdrop-fetch", &["-p", &self.profile(protocol, path, ""), "--known", "-"], &known(earlier))
    }

    /// Fetches from standard input.
    fn fetch_stdin(&self, protocol: &str, more: &str, input: &[u8]) -> Ran {
        run("mdrop-fetch", &["-p", &self.profile(protocol, "-", more)], input)
    }
}

/// The known records that mdrop-store would print for what a run brought.
fn known(ran: &Ran) -> Vec<u8> {
    let record = |(meta, _): (mdrop::stream::Meta, Vec<u8>)| {
        let Place::Disk { mailbox, path } = meta.origin.place else { panic!("not from disk") };
        let (mailbox, path) = (mailbox.as_str().unwrap().to_owned(), path.as_str().unwrap().to_owned());
        let size = meta.server_size;
        serde_json::json!({"type": "known", "v": 1, "account": "disk", "mailbox": mailbox, "path": path, "server_size": size}).to_string()
            + "\n"
    };
    ran.messages().into_iter().map(record).collect::<String>().into_bytes()
}

/// Mailbox and name of each message.
fn places(ran: &Ran) -> Vec<(String, String)> {
    let place = |(meta, _): (mdrop::stream::Meta, Vec<u8>)| match meta.origin.place {
        Place::Disk { mailbox, path } => (mailbox.to_string(), path.to_string()),
        other => panic!("{other:?}"),
    };
    ran.messages().into_iter().map(place).collect()
}

fn digests(ran: &Ran) -> BTreeSet<Digest> {
    ran.messages().into_iter().map(|(meta, _)| meta.digest).collect()
}

/// The octets of each message, in order.
fn texts(ran: &Ran) -> Vec<String> {
    ran.messages().into_iter().map(|(_, octets)| String::from_utf8_lossy(&octets).into_owned()).collect()
}

const FROM: &str = "From a@example.com Mon Nov 23 00:00:00 2026\n";

/// An mbox of messages that need no quoting.
fn mbox(messages: &[&str]) -> String {
    messages.iter().flat_map(|message| [FROM, message, "\n"]).collect()
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn zstd(octets: &[u8]) -> Vec<u8> {
    zstd::encode_all(octets, 3).unwrap()
}

/// The messages that ship with the project, and some real ones where ../shared/corpora is there.
fn real_messages() -> Vec<Vec<u8>> {
    corpora(300).unwrap_or_default().into_iter().chain(shipped()).collect()
}

/// The RFC 5322 form of a message on disk.
fn on_the_wire(octets: &[u8]) -> Vec<u8> {
    if octets.windows(2).any(|pair| pair == b"\r\n") { octets.to_vec() } else { to_crlf(octets) }
}

/// Quotes lines: those that `wanted` says yes to, given how many `>` stand before `From `.
fn quoted(octets: &[u8], wanted: impl Fn(usize) -> bool) -> Vec<u8> {
    let quote = |line: &[u8]| {
        let marks = line.iter().take_while(|octet| **octet == b'>').count();
        let needs = line[marks..].starts_with(b"From ") && wanted(marks);
        [if needs { &b">"[..] } else { b"" }, line].concat()
    };
    octets.split_inclusive(|octet| *octet == b'\n').flat_map(quote).collect()
}

/// The same messages as an mbox of a kind; Content-Length stands in them already where it should.
fn mbox_of(kind: &str, messages: &[Vec<u8>]) -> Vec<u8> {
    let quote = |octets: &Vec<u8>| match kind {
        "mboxrd" => quoted(octets, |_| true),
        "mboxcl2" => octets.clone(),
        _ => quoted(octets, |marks| marks == 0),
    };
    messages.iter().flat_map(|octets| [FROM.as_bytes(), &quote(octets), b"\n"].concat()).collect()
}

/// Whether every LF follows a CR, and the last octet is one: what an mbox can hold.
fn is_plain(octets: &[u8]) -> bool {
    let lines = octets.split_inclusive(|octet| *octet == b'\n');
    octets.ends_with(b"\r\n") && lines.into_iter().all(|line| line.ends_with(b"\r\n") && !line[..line.len() - 2].contains(&b'\r'))
}

/// A message as Unix keeps it, with a Content-Length of what `kind` has in the file.
fn with_length(octets: &[u8], kind: &str) -> Vec<u8> {
    let at = octets.windows(2).position(|pair| pair == b"\n\n").map_or(octets.len(), |at| at + 1);
    let (header, body) = (&octets[..at], octets.get(at + 1..).unwrap_or_default());
    let length = if kind == "mboxcl" { quoted(body, |marks| marks == 0).len() } else { body.len() };
    [header, format!("Content-Length: {length}\n\n").as_bytes(), body].concat()
}

#[test]
fn every_source_gives_the_digests_that_imap_gives() {
    let dovecot = Dovecot::start(&["alice"]);
    let all = real_messages();
    let tree = dovecot.folder().join("tree/sub");
    std::fs::create_dir_all(&tree).unwrap();
    for (number, octets) in all.iter().enumerate() {
        dovecot.deliver("alice", octets);
        std::fs::write(tree.join(format!("{number:04}.eml")), octets).unwrap();
    }
    let over_imap = run("mdrop-fetch", &["-p", dovecot.profile("acme", "imap", "none", "alice", "").to_str().unwrap()], b"").exits(0);
    let over_imap = digests(&over_imap);
    let on_disk: Vec<Digest> = all.iter().map(|octets| Digest::of(&on_the_wire(octets))).collect();
    // Dovecot mends NUL and mixed line ends, in a few messages of a hundred.
    let altered: BTreeSet<Digest> = on_disk.iter().copied().filter(|digest| !over_imap.contains(digest)).collect();
    assert!(altered.len() * 25 < all.len(), "{} of {}", altered.len(), all.len());
    let expected: BTreeSet<Digest> = on_disk.iter().copied().collect();
    let disk = Disk::new();
    for (protocol, path) in [("maildir", dovecot.maildir("alice")), ("eml", dovecot.folder().join("tree"))] {
        let ran = disk.fetch(protocol, path.to_str().unwrap(), "").exits(0);
        assert_eq!((ran.stderr.as_str(), ran.messages().len()), ("", all.len()), "{protocol}");
        assert!(digests(&ran) == expected, "{protocol}");
    }
}

#[test]
fn an_mbox_of_every_kind_gives_the_digests_that_imap_gives() {
    let lf = |octets: Vec<u8>| octets.into_iter().filter(|octet| *octet != b'\r').collect::<Vec<u8>>();
    let plain: Vec<Vec<u8>> =
        real_messages().into_iter().map(|octets| on_the_wire(&octets)).filter(|octets| is_plain(octets)).map(lf).collect();
    assert!(plain.len() > 150, "{}", plain.len());
    let disk = Disk::new();
    for kind in ["mboxrd", "mboxo", "mboxcl", "mboxcl2"] {
        // What mboxo quoted can't be told from what was so before.
        let clear = |octets: &Vec<u8>| kind == "mboxrd" || kind == "mboxcl2" || !octets.windows(7).any(|w| w == b"\n>From ");
        let has_body = |octets: &Vec<u8>| octets.windows(2).any(|pair| pair == b"\n\n") && !octets.starts_with(b"\n");
        let claims = |octets: &Vec<u8>| octets.to_ascii_lowercase().windows(16).any(|w| w == b"\ncontent-length:");
        let mut messages: Vec<Vec<u8>> = plain.iter().filter(|octets| clear(octets) && !octets.starts_with(b">From ")).cloned().collect();
        if kind.starts_with("mboxcl") {
            messages =
                messages.iter().filter(|octets| has_body(octets) && !claims(octets)).map(|octets| with_length(octets, kind)).collect();
        }
        let expected: BTreeSet<Digest> = messages.iter().map(|octets| Digest::of(&to_crlf(octets))).collect();
        let written = mbox_of(kind, &messages);
        for (name, octets) in [("plain", written.clone()), ("gz", gzip(&written)), ("zst", zstd(&written))] {
            let path = disk.write(&format!("{kind}.{name}"), octets);
            let ran = disk.fetch("mbox", path.to_str().unwrap(), &format!("format = \"{kind}\"\n")).exits(0);
            assert_eq!(ran.messages().len(), messages.len(), "{kind} {name}: {}", ran.stderr);
            assert!(digests(&ran) == expected, "{kind} {name}");
        }
        // Lengths are those of the file, which that of mboxcl2 alone depends on.
        if kind != "mboxcl2" {
            let messages: Vec<Vec<u8>> = messages.iter().map(|octets| to_crlf(octets)).collect();
            let path = disk.write(&format!("{kind}.crlf"), mbox_of(kind, &messages));
            let ran = disk.fetch("mbox", path.to_str().unwrap(), &format!("format = \"{kind}\"\n")).exits(0);
            assert!(digests(&ran) == expected, "{kind} with CRLF");
        }
    }
}

#[test]
fn what_formail_and_python_write_comes_back_as_over_imap() {
    let dovecot = Dovecot::start(&["alice"]);
    // formail takes an empty line at a message's end for the one between messages, so that none of them ends in one.
    let bodies = ["x\n", "x\n\nFrom here\n", "\n\nx\n", "From there\n.\n", "\u{e9}\n>> From\n"];
    let messages = bodies.iter().enumerate().map(|(n, body)| format!("From: a@example.com\nSubject: {n}\n\n{body}"));
    let disk = Disk::new();
    for (number, message) in messages.enumerate() {
        dovecot.deliver("alice", message.as_bytes());
        disk.write(&format!("in/{number}"), message);
    }
    let over_imap = run("mdrop-fetch", &["-p", dovecot.profile("acme", "imap", "none", "alice", "").to_str().unwrap()], b"").exits(0);
    shell(disk.folder.path(), "for f in in/*; do formail <$f >>formail.mbox; done");
    let write = "import mailbox, os\nbox = mailbox.mbox('python.mbox')\n\
        for f in sorted(os.listdir('in')): box.add(open('in/' + f, 'rb').read())\nbox.close()";
    disk.write("write.py", write);
    shell(disk.folder.path(), "python3 write.py");
    for name in ["formail.mbox", "python.mbox"] {
        for format in ["mboxrd", "mboxo"] {
            let ran = disk.fetch("mbox", name, &format!("format = \"{format}\"\n")).exits(0);
            assert!(digests(&ran) == digests(&over_imap), "{name} {format}: {:?}", texts(&ran));
        }
        let count = format!("python3 -c \"import mailbox; print(len(mailbox.mbox('{name}')))\"");
        assert_eq!(shell(disk.folder.path(), &count).trim(), bodies.len().to_string());
    }
}

#[test]
fn mdrops_own_streams_and_mboxes_are_cut_where_they_should_be() {
    let disk = Disk::new();
    for (number, octets) in shipped().iter().enumerate() {
        disk.write(&format!("tree/{number:03}.eml"), octets);
    }
    let ran = disk.fetch("eml", "tree", "").exits(0);
    let stream = disk.write("stream", &ran.stdout);
    let again = disk.fetch("mbox", stream.to_str().unwrap(), "").exits(0);
    assert_eq!(again.messages().len(), ran.messages().len());
}

#[test]
fn compressed_mail_that_is_damaged_gives_its_whole_messages_and_an_error_with_the_place() {
    let disk = Disk::new();
    let lines: Vec<String> = (0..3_000_u32).map(|n| format!("{:08x}\n", n.wrapping_mul(2_654_435_761))).collect();
    let text = lines.concat();
    let first = format!("Subject: 1\n\n{text}");
    let whole = mbox(&[&first, &first.replace("Subject: 1", "Subject: 2"), &first.replace("Subject: 1", "Subject: 3")]);
    for (name, packed) in [("gz", gzip(whole.as_bytes())), ("zst", zstd(whole.as_bytes()))] {
        for format in ["mboxrd", "mboxcl2"] {
            let box_name = format!("box.{name}");
            disk.write(&box_name, &packed[..packed.len() * 4 / 5]);
            let ran = disk.fetch("mbox", &box_name, &format!("format = \"{format}\"\n")).exits(65);
            let got = texts(&ran);
            assert!(got.len() < 3 && got.iter().all(|message| message.len() == to_crlf(first.as_bytes()).len()), "{name} {}", got.len());
            let place = format!("disk/{box_name}: message {}, which begins at octet ", got.len() + 1);
            assert!(ran.stderr.contains(&place) && ran.stderr.contains("damaged or cut off"), "{name}: {}", ran.stderr);
        }
        disk.write(&format!("tree/a.eml.{name}"), &packed[..packed.len() / 2]);
        disk.write("tree/b.eml", &packed);
        let ran = disk.fetch("eml", "tree", "").exits(65);
        assert_eq!(texts(&ran).len(), 1);
        assert!(ran.stderr.contains(&format!("a.eml.{name}")), "{}", ran.stderr);
        std::fs::remove_dir_all(disk.path("tree")).unwrap();
    }
}

#[test]
fn standard_input_holds_an_mbox_or_one_message_with_names_that_last() {
    let disk = Disk::new();
    let text = mbox(&["A: 1\n\nx\n", "A: 2\n\ny\n", "A: 1\n\nx\n"]);
    let plain = disk.fetch_stdin("mbox", "", text.as_bytes()).exits(0);
    let name = &Digest::of(b"A: 1\r\n\r\nx\r\n").to_string()[7..39];
    assert_eq!(places(&plain)[0], ("INBOX".into(), format!("-:{name}")));
    assert_eq!(places(&plain)[2], ("INBOX".into(), format!("-:{name}-2")));
    for octets in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        for format in ["mboxrd", "mboxcl2"] {
            assert_eq!(disk.fetch_stdin("mbox", &format!("format = \"{format}\"\n"), &octets).exits(0).stdout, plain.stdout);
        }
    }
    let records = disk.write("known", known(&plain));
    let arguments = ["-p", &disk.profile("mbox", "-", ""), "--known", records.to_str().unwrap()];
    assert!(run("mdrop-fetch", &arguments, text.as_bytes()).exits(0).stdout.is_empty());
    let one = disk.fetch_stdin("eml", "", b"A: 1\n\nx\n").exits(0);
    assert_eq!(places(&one), [("INBOX".into(), format!("-:{name}"))]);
    assert_eq!(disk.fetch_stdin("eml", "", &gzip(b"A: 1\n\nx\n")).exits(0).stdout, one.stdout);
}

#[test]
fn standard_input_that_can_not_serve_is_told_in_words() {
    let disk = Disk::new();
    let both = run("mdrop-fetch", &["-p", &disk.profile("mbox", "-", ""), "--known", "-"], b"").exits(64);
    assert!(both.stderr.contains("give --known a file"), "{}", both.stderr);
    assert!(disk.fetch_stdin("mbox", "", b"A: b\n\n").exits(65).stderr.contains("standard input: not an mbox"));
    assert!(disk.fetch_stdin("eml", "", b"").exits(65).stderr.contains("standard input: there is no message"));
    assert!(disk.fetch_stdin("mbox", "", b"").exits(0).stdout.is_empty());
    let cut = gzip(b"A: b\n\nbody\n");
    assert!(disk.fetch_stdin("eml", "", &cut[..cut.len() - 3]).exits(65).stdout.is_empty());
    assert!(disk.fetch_stdin("maildir", "", b"").exits(78).stderr.contains("a Maildir can't be read from standard input"));
    let terminal =
        "import os, subprocess, sys\nmaster, slave = os.openpty()\nsys.exit(subprocess.run(sys.argv[1:], stdin=slave).returncode)";
    let mut python = Command::new("python3");
    python.args(["-c", terminal]).arg(path_of("mdrop-fetch")).args(["-p", &disk.profile("mbox", "-", "")]);
    let ran = run_command(&mut python, b"").exits(64);
    assert!(ran.stderr.contains("standard input is a terminal"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_no_mbox_is_named_and_the_others_are_read() {
    let disk = Disk::new();
    disk.write("boxes/a", mbox(&["A: 1\n\n"]));
    disk.write("boxes/b.txt", "hello\n");
    disk.write("boxes/c/d", mbox(&["A: 2\n\n"]));
    disk.write("boxes/empty", "");
    disk.write("boxes/.hidden/e", "index\n");
    disk.write("boxes/.f", "index\n");
    disk.write("boxes/a.lock", "");
    std::fs::File::options().write(true).open(disk.path("boxes/a.lock")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let ran = disk.fetch("mbox", "boxes", "").exits(65);
    assert_eq!(places(&ran).iter().map(|place| place.0.as_str()).collect::<Vec<_>>(), ["a", "c/d"]);
    assert_eq!(ran.stderr, "mdrop-fetch: disk/b.txt: not an mbox: its first line does not begin with “From ”\n");
    let some = disk.fetch("mbox", "boxes", "mailboxes = [\"*\"]\nexclude = [\"*.txt\", \"c/%\"]\n").exits(0);
    assert_eq!((places(&some).len(), some.stderr.as_str()), (1, ""));
    let missed = disk.fetch("mbox", "boxes", "mailboxes = [\"c/d\", \"gone\"]\n").exits(66);
    assert_eq!(places(&missed).len(), 1);
    assert!(missed.stderr.contains("disk/gone: no such mailbox"), "{}", missed.stderr);
}

#[test]
fn messages_of_an_mbox_keep_their_names_when_others_come_and_go_and_no_other_takes_them() {
    let disk = Disk::new();
    disk.write("box", mbox(&["A: 1\n\n1\n", "A: 2\n\n2\n", "A: 3\n\n3\n"]));
    let first = disk.fetch("mbox", "box", "").exits(0);
    disk.write("box", mbox(&["A: 1\n\n1\n", "A: 2\n\n2\n", "A: 3\n\n3\n", "A: 4\n\n4\n"]));
    let appended = disk.fetch_new("mbox", "box", &first).exits(0);
    assert_eq!(texts(&appended), ["A: 4\r\n\r\n4\r\n"]);
    // The second is deleted, and another one of the same size stands last: all places and sizes are as they were.
    disk.write("box", mbox(&["A: 1\n\n1\n", "A: 3\n\n3\n", "A: 5\n\n5\n"]));
    assert_eq!(texts(&disk.fetch_new("mbox", "box", &first).exits(0)), ["A: 5\r\n\r\n5\r\n"]);
}

#[test]
fn another_message_in_an_eml_file_of_the_same_name_and_size_is_fetched() {
    let disk = Disk::new();
    let path = disk.write("tree/a/x.eml", "A: 1\n\n1\n");
    let first = disk.fetch("eml", "tree", "").exits(0);
    let (mailbox, name) = places(&first).remove(0);
    assert!(mailbox == "a" && name.starts_with("a/x.eml:"), "{mailbox} {name}");
    assert!(disk.fetch_new("eml", "tree", &first).exits(0).stdout.is_empty());
    let when = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "A: 2\n\n2\n").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(when).unwrap();
    assert_eq!(texts(&disk.fetch_new("eml", "tree", &first).exits(0)), ["A: 2\r\n\r\n2\r\n"]);
}

#[test]
fn a_tree_of_eml_files_is_read_past_everything_that_is_no_message() {
    use std::os::unix::ffi::OsStrExt;
    let disk = Disk::new();
    disk.write("tree/a/1.eml", "A: 1\n\n");
    disk.write("tree/a/2.EML", "");
    disk.write("tree/folder.eml/3.eml", "A: 3\n\n");
    disk.write("tree/notes.txt", "no mail");
    let odd = disk.path("tree").join(std::ffi::OsStr::from_bytes(b"\xff.eml"));
    std::fs::write(odd, "A: 4\n\n").unwrap();
    let large = format!("A: 5\n\n{}", format!("{}\n", "x".repeat(99)).repeat(200_000));
    disk.write("tree/z/5.eml", &large);
    shell(&disk.path("tree"), "ln -s .. a/up; ln -s nowhere dangling.txt");
    let clean = disk.fetch("eml", "tree", "").exits(0);
    assert_eq!(clean.messages().len(), 5);
    assert!(clean.stderr.contains("looped: a/up") && clean.stderr.contains("dangling: dangling.txt"), "{}", clean.stderr);
    assert_eq!(clean.stderr.lines().count(), 2, "{}", clean.stderr);
    let big = clean.messages().into_iter().find(|(meta, _)| meta.origin.folder().as_str() == Some("z")).unwrap();
    assert!(big.1 == to_crlf(large.as_bytes()));
    assert!(String::from_utf8_lossy(&clean.stdout).contains("\"path_b64\":"));
    shell(&disk.path("tree"), "ln -s nowhere a/lost.eml; mkfifo pipe.eml; ln -s /dev/zero zero.eml");
    let named = disk.fetch("eml", "tree", "").exits(65);
    assert_eq!(named.messages().len(), 5);
    for name in ["a/lost.eml: read: no such file", "pipe.eml: is no file", "zero.eml: is no file"] {
        assert!(named.stderr.to_lowercase().contains(name), "{name}: {}", named.stderr);
    }
    assert!(disk.fetch("eml", "tree/pipe.eml", "").exits(66).stderr.contains("neither a file nor a folder"));
}

#[test]
fn both_layouts_of_a_maildir_are_read_with_names_and_flags() {
    let disk = Disk::new();
    disk.write("M/cur/1.a:2,FSc", "A: 1\n\n");
    disk.write("M/new/2.a", gzip(b"A: 2\n\n"));
    disk.write("M/tmp/3.a", "A: half\n");
    disk.write("M/cur/.hidden", "");
    disk.write("M/dovecot.index", "index");
    disk.write("M/dovecot-keywords", "0 Junk\n2 $Label1\n99 x\n");
    disk.write("M/.Lists.Gr&APwA3w-e/cur/4.a:2,RDTP", "A: 4\n\n");
    disk.write("M/.empty/new/x", "");
    std::fs::remove_file(disk.path("M/.empty/new/x")).unwrap();
    disk.write("M/Work/cur/5.a:2,", zstd(b"A: 5\n\n"));
    disk.write("M/Work/Gr&APwA3w-e/cur/6.a:2,b", "A: 6\n\n");
    let ran = disk.fetch("maildir", "M", "").exits(0);
    let expected = [("INBOX", "1.a"), ("INBOX", "2.a"), ("Lists.Grüße", "4.a"), ("Work", "5.a"), ("Work/Grüße", "6.a")];
    assert_eq!(places(&ran), expected.map(|(mailbox, path)| (mailbox.to_owned(), path.to_owned())), "{}", ran.stderr);
    assert_eq!(texts(&ran)[1], "A: 2\r\n\r\n");
    assert_eq!(texts(&ran)[3], "A: 5\r\n\r\n");
    let flags: Vec<Vec<String>> = ran.messages().into_iter().map(|(meta, _)| meta.flags).collect();
    assert_eq!(flags[0], ["\\Flagged", "\\Seen", "$Label1"]);
    assert_eq!(flags[2], ["\\Answered", "\\Draft", "\\Deleted", "$Forwarded"]);
    assert!(flags[1].is_empty() && flags[4].is_empty());
    shell(&disk.path("M"), "mv new/2.a cur/2.a:2,S; mv cur/1.a:2,FSc cur/1.a:2,");
    assert!(disk.fetch_new("maildir", "M", &ran).exits(0).stdout.is_empty());
    let part = disk.fetch("maildir", "M", "mailboxes = [\"Work/%\", \"Lists%\", \"empty\"]\nexclude = [\"Lists.*\"]\n").exits(0);
    assert_eq!(places(&part), [("Work/Grüße".to_owned(), "6.a".to_owned())]);
    assert!(disk.fetch("maildir", "M", "mailboxes = [\"Nowhere\"]\n").exits(66).stderr.contains("disk/Nowhere: no such mailbox"));
    assert!(disk.fetch("maildir", "M/tmp", "").exits(65).stderr.contains("not a Maildir"));
}

#[test]
fn a_folder_of_a_maildir_that_can_not_be_read_is_named_and_the_rest_goes_on() {
    let disk = Disk::new();
    disk.write("M/cur/1.a:2,", "A: 1\n\n");
    disk.write("M/.B/new/2.a", "A: 2\n\n");
    disk.write("M/.B/cur", "no folder");
    disk.write("M/.C/cur/3.a:2,", "A: 3\n\n");
    shell(&disk.path("M"), "ln -s . Loop");
    let ran = disk.fetch("maildir", "M", "").exits(74);
    assert_eq!(places(&ran).len(), 2);
    assert!(ran.stderr.contains("disk/B: cur: list:") && ran.stderr.contains("looped: Loop"), "{}", ran.stderr);
    assert_eq!(disk.fetch("maildir", "M", "exclude = [\"B\"]\n").exits(0).messages().len(), 2);
}

#[test]
fn the_books_balance_for_mail_on_disk() {
    let disk = Disk::new();
    disk.write("tree/a/1.eml", "A: 1\n\n1\n");
    disk.write("tree/a/2.eml", "A: 2\n\n2\n");
    let first = disk.fetch("eml", "tree", "").exits(0);
    disk.write("tree/a/3.eml", "A: 3\n\n3\n");
    disk.write("tree/a/4.eml", &gzip(b"A: 4\n\n4\n")[..15]);
    disk.write("tree/b/5.eml", "A: 5\n\n5\n");
    let records = disk.write("known", known(&first));
    let log = disk.path("log");
    let profile = disk.profile("eml", "tree", "exclude = [\"b\"]\n");
    let arguments = ["-p", &profile, "--known", records.to_str().unwrap(), "--log", log.to_str().unwrap()];
    assert_eq!(run("mdrop-fetch", &arguments, b"").exits(65).messages().len(), 1);
    let lines = std::fs::read(&log).unwrap();
    let mut seen = Vec::new();
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        match Record::parse(line).unwrap() {
            Record::Listing(listing) => seen.push(format!(
                "{:?} {} {} {}",
                listing.mailbox.unwrap(),
                listing.listed.messages,
                listing.already.messages,
                listing.unread.is_some()
            )),
            Record::Failure(failure) => seen.push(failure.origin.unwrap().to_string()),
            Record::Summary(summary) => {
                let count = |name: &str| summary.counts[name].messages;
                assert_eq!((count("listed"), count("known"), count("fetched"), count("failed")), (4, 2, 1, 1));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["disk/a: a/4.eml", "\"a\" 4 2 false", "\"b\" 1 0 true"]);
    let listed = run("mdrop-fetch", &["-p", &profile, "-n"], b"").exits(0);
    assert_eq!(listed.records().len(), 2);
    let tested = run("mdrop-fetch", &["-p", &profile, "--test"], b"").exits(0).text();
    assert!(
        tested.contains("mailbox: a: 4 messages") && tested.contains("b: 1 messages, 8 octets (not read: excluded by “b”)"),
        "{tested}"
    );
}

#[test]
fn an_mbox_that_another_program_has_locked_is_waited_for_and_never_changed() {
    let disk = Disk::new();
    let path = disk.write("box", mbox(&["A: 1\n\n"]));
    let fetch = |timeout: &str| disk.fetch("mbox", "box", &format!("timeout = \"{timeout}\"\n"));
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    disk.write("box.lock", "");
    assert!(fetch("1s").exits(75).stderr.contains("locked by another program (") && disk.path("box.lock").exists());
    let file = std::fs::File::options().write(true).open(disk.path("box.lock")).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(1)).unwrap();
    assert_eq!(fetch("1s").exits(0).messages().len(), 1, "a lock file that was forgotten");
    std::fs::remove_file(disk.path("box.lock")).unwrap();
    for (kind, call) in [("fcntl", "lockf"), ("flock", "flock")] {
        let holder = format!(
            "import fcntl, sys, time\nf = open('box', 'r+')\nfcntl.{call}(f, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(60)"
        );
        let mut child = Command::new("python3")
            .args(["-c", &holder])
            .current_dir(disk.folder.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut held = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
        let told = fetch("1s").exits(75).stderr;
        assert!(told.contains(&format!("disk/box: locked by another program ({kind})")), "{told}");
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(700));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        assert_eq!(fetch("30s").exits(0).messages().len(), 1, "{kind}");
        killer.join().unwrap();
    }
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mbox(&["A: 1\n\n"]));
    assert_eq!(std::fs::read_dir(disk.folder.path()).unwrap().count(), 2, "box and disk.toml");
}

#[test]
fn what_is_odd_in_an_mbox_is_told_of_the_message_it_is_in() {
    let disk = Disk::new();
    let path = disk.write("box", mbox(&["A: 1\nContent-Length: 999\n\nx\n", "A: 2\n\nx\n\nFrom here\n"]));
    let ran = disk.fetch("mbox", "box", "format = \"mboxcl2\"\n").exits(0);
    assert_eq!(ran.messages().len(), 2);
    let names = places(&ran);
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert!(told[0].contains(&format!("disk/box: {}: misleading: Content-Length is 999", names[0].1)), "{told:?}");
    assert!(told[1].contains(&format!("disk/box: {}: unquoted: the line “From here”", names[1].1)), "{told:?}");
    assert!(disk.fetch("eml", path.to_str().unwrap(), "format = \"mboxo\"\n").exits(78).stderr.contains("format is for"));
}

#[test]
fn an_mbox_is_locked_until_it_is_read_to_its_end() {
    let disk = Disk::new();
    // More than the pipe and what is held before it can take.
    let text = mbox(&[&format!("A: 1\n\n{}", format!("{}\n", "x".repeat(99)).repeat(3_000))]).repeat(60);
    disk.write("box", &text);
    let take = |call: &str| {
        let code = format!(
            "import fcntl\nf = open('box', 'r+')\ntry:\n fcntl.{call}(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n print('free')\nexcept OSError:\n print('held')"
        );
        shell(disk.folder.path(), &format!("python3 -c \"{code}\"")).trim().to_owned()
    };
    for format in ["mboxrd", "mboxcl2"] {
        let profile = disk.profile("mbox", "box", &format!("format = \"{format}\"\n"));
        let mut child = Command::new(path_of("mdrop-fetch")).args(["-p", &profile]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut first = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        assert_eq!((take("lockf"), take("flock")), ("held".into(), "held".into()), "{format}");
        std::io::copy(child.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!((take("lockf"), take("flock")), ("free".into(), "free".into()), "{format}");
    }
}

#[test]
fn folders_of_a_maildir_that_share_a_name_are_all_read() {
    let disk = Disk::new();
    for (folder, number) in [("", 1), ("INBOX/", 2), (".a/", 3), ("a/", 4), (".Gr&APwA3w-e/", 5), ("Grüße/", 6)] {
        disk.write(&format!("M/{folder}cur/{number}.x:2,"), format!("A: {number}\n\n"));
    }
    let ran = disk.fetch("maildir", "M", "").exits(0);
    let names: BTreeSet<String> = places(&ran).into_iter().map(|place| place.0).collect();
    let expected = ["INBOX", "./INBOX", "a", "./a", "Grüße", "./Grüße"];
    assert_eq!(names, expected.map(str::to_owned).into(), "{}", ran.stderr);
    assert_eq!(texts(&ran).len(), 6);
}

#[test]
fn maildirs_of_several_users_are_read_with_all_their_folders() {
    let disk = Disk::new();
    for (folder, number) in [("anna/", 1), ("anna/.Sent/", 2), ("bob/Maildir/", 3), ("bob/Maildir/.Sent/", 4), ("bob/Maildir/.git/x/", 5)] {
        disk.write(&format!("M/{folder}cur/{number}.x:2,"), format!("A: {number}\n\n"));
    }
    let ran = disk.fetch("maildir", "M", "").exits(0);
    let names: Vec<String> = places(&ran).into_iter().map(|place| place.0).collect();
    assert_eq!(names, ["anna", "anna/.Sent", "bob/Maildir", "bob/Maildir/.Sent"]);
}

#[test]
fn a_link_that_leads_nowhere_is_told_since_a_folder_may_lie_behind_it() {
    let disk = Disk::new();
    disk.write("M/cur/1.x:2,", "A: 1\n\n");
    disk.write("M/.C/new/2.x", "A: 2\n\n");
    disk.write("tree/1.eml", "A: 1\n\n");
    shell(disk.folder.path(), "ln -s /nowhere/B M/.B; ln -s /nowhere/cur M/.C/cur; ln -s /nowhere/2019 tree/2019");
    let ran = disk.fetch("maildir", "M", "").exits(66);
    assert_eq!(places(&ran).len(), 1);
    assert!(ran.stderr.contains("mdrop-fetch: dangling: .B: a link that leads nowhere"), "{}", ran.stderr);
    assert!(ran.stderr.contains("mdrop-fetch: disk/C: cur: list: "), "{}", ran.stderr);
    let ran = disk.fetch("eml", "tree", "").exits(0);
    assert_eq!(ran.stderr, "mdrop-fetch: dangling: 2019: a link that leads nowhere; what lay behind it is not read\n");
}

#[test]
fn what_can_not_be_decompressed_is_no_message() {
    let disk = Disk::new();
    let magics: [(&str, &[u8]); 5] = [
        ("bzip2", b"BZh91AY&SY"),
        ("xz", b"\xfd7zXZ\0"),
        ("lz4", b"Dovecot-LZ4\x0d\x2a\x9b\xc5"),
        ("lz4", b"\x04\x22\x4d\x18"),
        ("compress", b"\x1f\x9d\x90"),
    ];
    for (program, magic) in magics {
        disk.write("M/cur/1.x:2,", [magic, b"octets"].concat());
        disk.write("M/cur/2.x:2,", "BZh9: a field\n\n");
        let ran = disk.fetch("maildir", "M", "").exits(65);
        assert_eq!(texts(&ran).len(), 1);
        assert!(ran.stderr.contains(&format!("disk/INBOX: 1.x: compressed with {program}, which is not read")), "{}", ran.stderr);
        disk.write("box", [magic, b"octets"].concat());
        assert!(disk.fetch("mbox", "box", "").exits(65).stderr.contains(&format!("disk/box: compressed with {program}, which")));
    }
}

#[test]
fn an_mbox_whose_lines_end_in_cr_alone_is_named() {
    let disk = Disk::new();
    disk.write("box", mbox(&["A: 1\n\nx\n", "A: 2\n\nx\n"]).replace('\n', "\r"));
    let ran = disk.fetch("mbox", "box", "").exits(65);
    assert!(ran.stderr.contains("disk/box: its lines end in CR alone") && ran.stdout.is_empty(), "{}", ran.stderr);
}

#[test]
fn a_run_ends_at_the_next_message_where_none_is_written_either() {
    let disk = Disk::new();
    disk.write("box", mbox(&["A: 1\n\nx\n"]).repeat(400_000));
    let profile = disk.profile("mbox", "box", "run-timeout = \"1s\"\n");
    let ran = run("mdrop-fetch", &["-p", &profile, "-n"], b"").exits(75);
    assert!(ran.stderr.contains("run-timeout"), "{}", ran.stderr);
}
