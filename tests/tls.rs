//! What can be wrong with TLS: each fault has its status and its words, and no secret is sent before it is right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::dovecot::write_private;
use common::served::mailserver::{Config, Faults, Pem};
use common::served::{Served, archive, with_profile};
use common::tools::{Ran, run, shell};
use mdrop::net::tcp::Tcp;
use mdrop::net::tls::{Trust, handshake};
use mdrop::profile::Profile;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ALWAYS: (&str, &str) = ("20200101000000Z", "20490101000000Z");
const SETTINGS: &str = "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n\
                        unique_subject = no\npolicy = p\n[p]\ncommonName = supplied\n";

/// Makes certificates in a folder, with an authority of its own in `ca.pem`.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let all = Self(tempfile::tempdir().unwrap());
        write_private(&all.path("settings"), SETTINGS);
        write_private(&all.path("index"), "");
        all.make("ca", "Test Authority", "basicConstraints = critical, CA:true", ALWAYS, None);
        all
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `NAME.pem` and `NAME.key`, signed by a certificate's key or its own.
    fn make(&self, name: &str, subject: &str, extension: &str, (begins, ends): (&str, &str), signer: Option<&str>) -> Pem {
        write_private(&self.path("extensions"), &format!("{extension}\n"));
        let by = signer.map_or(format!("-selfsign -keyfile {name}.key"), |signer| format!("-cert {signer}.pem -keyfile {signer}.key"));
        let line = format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out csr -subj '/CN={subject}' && \
             openssl ca -batch -notext -config settings -extfile extensions -in csr -out {name}.pem -startdate {begins} -enddate {ends} {by}"
        );
        shell(self.0.path(), &line);
        Pem {
            cert: std::fs::read(self.path(&format!("{name}.pem"))).unwrap(),
            key: std::fs::read(self.path(&format!("{name}.key"))).unwrap(),
        }
    }

    fn trusted(&self) -> String {
        format!("ca-file = \"{}\"\n", self.path("ca.pem").display())
    }
}

fn serving(pem: Option<Pem>, faults: Faults, change: impl FnOnce(&mut Config)) -> Served {
    Served::with(["To: alice@example.com\r\nSubject: x\r\n\r\n"], |config| {
        config.password = "the secret".into();
        (config.imaps, config.pop3s) = pem.as_ref().map_or((None, None), |_| (Some(0), Some(0)));
        config.tls = pem;
        config.faults = faults;
        change(config);
    })
}

/// A profile for the server; `more` is TOML for `[account]`.
fn profile(served: &Served, protocol: &str, tls: &str, host: &str, more: &str) -> PathBuf {
    let server = &served.server;
    let address = match (protocol, tls) {
        ("imap", "implicit") => server.imaps_addr,
        ("imap", _) => server.imap_addr,
        (_, "implicit") => server.pop3s_addr,
        _ => server.pop3_addr,
    };
    write_profile(served.folder.path(), protocol, tls, host, address.unwrap().port(), more)
}

fn write_profile(folder: &Path, protocol: &str, tls: &str, host: &str, port: u16, more: &str) -> PathBuf {
    write_private(&folder.join("pw"), "the secret");
    let path = folder.join("box.toml");
    let text =
        format!("protocol = \"{protocol}\"\nhost = \"{host}\"\nport = {port}\ntls = \"{tls}\"\nusername = \"box\"\ntimeout = \"5s\"\n");
    let rest = "[route]\ndomains = [\"example.com\"]\n[store]\narchive = \"archive\"\n[purge]\nenabled = true\nafter = \"0s\"\n";
    write_private(&path, &format!("[account]\n{text}password-file = \"pw\"\n{more}{rest}"));
    path
}

fn test(profile: &Path) -> Ran {
    run("mdrop-fetch", &["-p", profile.to_str().unwrap(), "--test"], b"")
}

#[test]
fn each_fault_of_a_certificate_is_told_in_its_own_words_and_nothing_is_sent() {
    let ca = Authority::new();
    let here = "subjectAltName = DNS:localhost, IP:127.0.0.1";
    let certificates: Vec<(&str, Pem, String, &str, &str)> = vec![
        (
            "expired",
            ca.make("a", "x", here, ("20200101000000Z", "20210203040506Z"), Some("ca")),
            ca.trusted(),
            "localhost",
            "the certificate expired at 2021-02-03T04:05:06Z",
        ),
        (
            "not yet valid",
            ca.make("b", "x", here, ("20480203040506Z", "20490101000000Z"), Some("ca")),
            ca.trusted(),
            "localhost",
            "the certificate is valid only from 2048-02-03T04:05:06Z",
        ),
        ("self-signed", ca.make("c", "Me Myself", here, ALWAYS, None), String::new(), "localhost", "is self-signed by CN=Me Myself"),
        (
            "unknown authority",
            ca.make("d", "x", here, ALWAYS, Some("ca")),
            String::new(),
            "localhost",
            "is signed by CN=Test Authority, which this machine does not trust",
        ),
        (
            "wrong name",
            ca.make("e", "localhost", "subjectAltName = DNS:mail.example.com, DNS:*.localhost", ALWAYS, Some("ca")),
            ca.trusted(),
            "localhost",
            "is for mail.example.com, *.localhost and not for localhost",
        ),
        (
            "wrong address",
            ca.make("f", "x", "subjectAltName = DNS:localhost, IP:10.0.0.1", ALWAYS, Some("ca")),
            ca.trusted(),
            "127.0.0.1",
            "is for localhost, 10.0.0.1 and not for 127.0.0.1",
        ),
        (
            "wrong common name",
            ca.make("g", "mail.example.com", "basicConstraints = CA:false", ALWAYS, Some("ca")),
            ca.trusted(),
            "localhost",
            "is for mail.example.com and not for localhost",
        ),
        (
            "of another purpose",
            ca.make("h", "x", &format!("{here}\nextendedKeyUsage = clientAuth"), ALWAYS, Some("ca")),
            ca.trusted(),
            "localhost",
            "the certificate is refused: unsuitable certificate purpose (signed by CN=Test Authority)",
        ),
    ];
    for (fault, pem, trust, host, words) in certificates {
        let served = serving(Some(pem), Faults::default(), |_| {});
        for (protocol, tls) in [("imap", "implicit"), ("imap", "starttls"), ("pop3", "implicit"), ("pop3", "starttls")] {
            let ran = test(&profile(&served, protocol, tls, host, &trust));
            assert_eq!(ran.code, 77, "{fault}: {}", ran.text());
            assert!(ran.text().contains("FAILED tls: ") && ran.text().contains(words), "{fault}: {}", ran.text());
        }
        let asked: Vec<String> = served.server.commands();
        assert!(asked.iter().all(|command| ["IMAP STARTTLS", "POP3 STLS"].contains(&command.trim())), "{fault}: {asked:?}");
    }
}

#[test]
fn a_good_certificate_is_accepted_for_its_names_addresses_and_wildcards_alone() {
    let ca = Authority::new();
    let names = "subjectAltName = DNS:localhost, DNS:*.example.com, IP:127.0.0.1";
    let served = serving(Some(ca.make("a", "x", names, ALWAYS, Some("ca"))), Faults::default(), |_| {});
    for host in ["localhost", "127.0.0.1"] {
        for (protocol, tls) in [("imap", "implicit"), ("imap", "starttls"), ("pop3", "implicit"), ("pop3", "starttls")] {
            let ran = test(&profile(&served, protocol, tls, host, &ca.trusted()));
            assert_eq!(ran.code, 0, "{host} {protocol} {tls}: {}", ran.text());
        }
    }
    assert!(!served.server.received_in_clear().contains("secret"));
    let shaken = |host: &str, more: &str| {
        let text = format!("[account]\nprotocol = \"imap\"\nhost = \"{host}\"\nusername = \"u\"\n{more}");
        let trust = Trust::of(&Profile::parse("t", &text).unwrap().account).unwrap();
        handshake(Tcp::connect(&[served.server.imaps_addr.unwrap()], Duration::from_secs(5), Duration::from_secs(5)).unwrap(), &trust)
            .map(|(_, facts)| facts)
    };
    let trust = ca.trusted();
    for (host, good) in [("mail.example.com", true), ("example.com", false), ("a.mail.example.com", false), ("10.0.0.1", false)] {
        assert_eq!(shaken(host, &trust).map(|facts| facts.verified).is_ok_and(|verified| verified), good, "{host}");
    }
    let pin = shaken("localhost", &trust).unwrap().certificate.unwrap().pin();
    let pinned = shaken("elsewhere.example", &format!("pin-sha256 = [\"{pin}\"]\n"));
    assert!(pinned.is_ok_and(|facts| facts.verified), "a pin stands for the name and the authority");
    let other = shaken("localhost", &format!("{trust}pin-sha256 = [\"{}\"]\n", "0".repeat(64)));
    assert!(
        other.is_err_and(|e| e.status().code() == 77 && e.what().contains(&pin)),
        "a pin that differs is not outweighed by an authority"
    );
}

#[test]
fn without_verification_every_run_of_every_tool_says_so_and_logs_it() {
    let ca = Authority::new();
    let pem = ca.make("a", "x", "subjectAltName = DNS:elsewhere.example", ("20200101000000Z", "20210203040506Z"), None);
    let served = serving(Some(pem), Faults::default(), |_| {});
    let log = served.folder.path().join("log");
    for (protocol, tls) in [("imap", "implicit"), ("pop3", "starttls")] {
        let profile = profile(&served, protocol, tls, "localhost", "verify = false\n");
        let receipts = archive(&profile).stdout;
        for (tool, input) in [("mdrop-fetch", &b""[..]), ("mdrop-fetch", b""), ("mdrop-purge", &receipts), ("mdrop-purge", &receipts)] {
            let _ = std::fs::remove_file(&log);
            let arguments = if tool == "mdrop-purge" { vec!["-n", "--log"] } else { vec!["--log"] };
            let ran = with_profile(tool, &profile, &[&arguments[..], &[log.to_str().unwrap()]].concat(), input).exits(0);
            assert!(ran.stderr.contains("is not verified (verify = false)"), "{tool}: {}", ran.stderr);
            let logged = std::fs::read_to_string(&log).unwrap();
            assert!(logged.contains("\"type\":\"finding\"") && logged.contains("\"unverified\""), "{tool}: {logged}");
        }
        std::fs::remove_dir_all(served.folder.path().join("archive")).unwrap();
    }
}

/// `openssl s_server` until it is dropped.
struct Other(Child, u16);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn s_server(ca: &Authority, flags: &[&str]) -> Other {
    ca.make("s", "x", "subjectAltName = DNS:localhost", ALWAYS, Some("ca"));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-cert", "s.pem", "-key", "s.key", "-accept", "127.0.0.1:0"]).args(flags).current_dir(ca.0.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // It says `ACCEPT 127.0.0.1:PORT` once it listens.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.parse().ok());
    std::thread::spawn(|| lines.for_each(drop));
    Other(child, port.expect("openssl s_server did not come up"))
}

#[test]
fn a_server_that_speaks_nothing_newer_than_tls_1_1_is_refused() {
    let ca = Authority::new();
    let server = s_server(&ca, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    for protocol in ["imap", "pop3"] {
        let ran = test(&write_profile(ca.0.path(), protocol, "implicit", "localhost", server.1, &ca.trusted()));
        assert!(ran.code == 76 && ran.text().contains("speaks no TLS newer than 1.1"), "{} {}", ran.code, ran.text());
    }
}

#[test]
fn a_server_without_tls_on_a_tls_port_is_told_as_that() {
    let served = serving(None, Faults::default(), |_| {});
    for protocol in ["imap", "pop3"] {
        let address = if protocol == "imap" { served.server.imap_addr } else { served.server.pop3_addr };
        let path = write_profile(served.folder.path(), protocol, "implicit", "localhost", address.unwrap().port(), "");
        let ran = test(&path);
        assert!(ran.code == 76 && ran.text().contains("does not speak TLS on this port"), "{} {}", ran.code, ran.text());
    }
}

#[test]
fn starttls_can_neither_be_stripped_nor_injected_into_and_no_name_or_secret_goes_before_it() {
    let ca = Authority::new();
    let pem = ca.make("a", "x", "subjectAltName = DNS:localhost", ALWAYS, Some("ca"));
    let answers: &[(&str, &str, &str)] = &[
        ("imap", "TAG NO not today\r\n", "does not offer STARTTLS"),
        ("imap", "TAG BAD what\r\n", "does not offer STARTTLS"),
        ("imap", "* OK hm\r\nTAG NO [ALERT] no\r\n", "does not offer STARTTLS"),
        ("imap", "+ go on\r\n", "asks for more"),
        ("imap", "TAG OK go\r\n* OK injected\r\n", "received in clear before the TLS handshake"),
        ("imap", "TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nc1 OK\r\n", "received in clear before the TLS handshake"),
        ("imap", "TAG OK go\r\nx", "received in clear before the TLS handshake"),
        ("pop3", "-ERR no\r\n", "does not offer STLS"),
        ("pop3", "-ERR [SYS/TEMP] no\r\n", "does not offer STLS"),
        ("pop3", "+ go on\r\n", "not understood"),
        ("pop3", "+OK go\r\n+OK injected\r\n", "received in clear before the TLS handshake"),
        ("pop3", "+OK go\r\nx", "received in clear before the TLS handshake"),
    ];
    for (protocol, answer, words) in answers {
        let faults = Faults { starttls_answer: Some((*answer).into()), ..Faults::default() };
        let served = serving(Some(pem.clone()), faults, |_| {});
        let ran = test(&profile(&served, protocol, "starttls", "localhost", &ca.trusted()));
        assert!(ran.code == 76 && ran.text().contains(words), "{answer:?}: {} {}", ran.code, ran.text());
        let clear = served.server.received_in_clear();
        assert!(!clear.contains("secret") && !clear.contains("box"), "{answer:?}: {clear}");
    }
    for (protocol, tool) in [("imap", "mdrop-fetch"), ("pop3", "mdrop-fetch")] {
        let served = serving(None, Faults::default(), |_| {});
        let ran = with_profile(tool, &profile(&served, protocol, "starttls", "localhost", ""), &[], b"");
        assert!(ran.code == 76 && ran.stderr.contains("does not offer ST"), "{}", ran.stderr);
        let clear = served.server.received_in_clear();
        assert!(!clear.contains("secret") && !clear.contains("box"), "{clear}");
    }
}

#[test]
fn a_greeting_that_skips_the_login_is_refused_under_starttls_and_without() {
    let ca = Authority::new();
    let pem = ca.make("a", "x", "subjectAltName = DNS:localhost", ALWAYS, Some("ca"));
    let faults = Faults { greeting: Some("* PREAUTH [CAPABILITY IMAP4rev1] welcome\r\n".into()), ..Faults::default() };
    let served = serving(Some(pem), faults, |_| {});
    for tls in ["starttls", "implicit", "none"] {
        let ran = test(&profile(&served, "imap", tls, "localhost", &ca.trusted()));
        assert!(ran.code == 76 && ran.text().contains("PREAUTH"), "{tls}: {} {}", ran.code, ran.text());
    }
    assert!(served.server.commands().is_empty(), "{:?}", served.server.commands());
}

#[test]
fn what_was_said_before_tls_is_forgotten_after_it() {
    let ca = Authority::new();
    let pem = ca.make("a", "x", "subjectAltName = DNS:localhost", ALWAYS, Some("ca"));
    let greeting = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=SCRAM-SHA-256] hello\r\n".to_owned();
    let faults = Faults { greeting: Some(greeting), ..Faults::default() };
    let served = serving(Some(pem.clone()), faults, |config| config.require_tls = true);
    let ran = test(&profile(&served, "imap", "starttls", "localhost", &ca.trusted()));
    assert!(ran.code == 0 && ran.text().contains("box by LOGIN\n"), "{}", ran.text());
    let served = serving(Some(pem), Faults::default(), |config| config.mechanisms = ["APOP".into()].into());
    let ran = test(&profile(&served, "pop3", "starttls", "localhost", &format!("{}auth = \"apop\"\n", ca.trusted())));
    assert!(ran.code == 76 && ran.text().contains("does not offer APOP"), "the timestamp came in clear: {}", ran.text());
    let ran = test(&profile(&served, "pop3", "implicit", "localhost", &format!("{}auth = \"apop\"\n", ca.trusted())));
    assert!(ran.code == 0 && ran.text().contains("box by APOP\n"), "{}", ran.text());
}
