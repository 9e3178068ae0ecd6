//! Whose an address is, through the whole of mdrop-route: each form of the users list, the moment that counts, and what is an error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::routing::{Profile, routes, stream, stream_received, users};
use common::slapd::Slapd;
use common::tools::{Ran, run, run_command};
use mdrop::record::Route;
use mdrop::users::Users;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const DOMAINS: &str = "domains = [\"example.com\"]\n";

fn to(address: &str) -> String {
    format!("Delivered-To: {address}\r\n\r\n")
}

/// mdrop-route in the profile's folder.
fn route(profile: &Profile, more: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(common::tools::path_of("mdrop-route"));
    run_command(command.arg("-p").arg(profile.path("acme.toml")).args(more).current_dir(profile.path("")), input)
}

/// Under whom mail for each address is filed.
fn filed(profile: &Profile, addresses: &[&str]) -> Vec<String> {
    let messages: Vec<String> = addresses.iter().map(|address| to(address)).collect();
    let filed = |route: &Route| users(route).into_iter().collect::<Vec<_>>().join(" ");
    let ran = route(profile, &["--explain", "-q"], &stream(&messages)).exits(0);
    routes(&ran.stdout).iter().map(filed).collect()
}

fn refused(profile: &Profile, code: i32) -> String {
    let Ran { stdout, stderr, .. } = route(profile, &[], &stream(&[to("a@example.com")])).exits(code);
    assert!(stdout.is_empty(), "nothing is routed by half a list");
    stderr
}

#[test]
fn the_moment_of_delivery_decides_to_whom_an_address_belonged() {
    let profile = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\n"));
    profile.write(
        "users.toml",
        "[[user]]\nname = \"old\"\naliases = [{ address = \"desk@example.com\", until = 2020-12-31 }]\n[[user]]\nname = \"new\"\naliases = [{ address = \"desk@example.com\", from = \"2021-01-01\" }]\n",
    );
    let (to, sent) = ("Delivered-To: desk@example.com\r\n", "Received: from b by a for <x@y.example>; Fri, 1 Jan 2021 00:00:00 +0100\r\n");
    let (noted, date) = ("2022-01-01T00:00:00Z".parse().ok(), "Date: Mon, 6 Jan 2020 00:00:00 +0000\r\n");
    let messages = [
        (format!("{to}{sent}{date}\r\n"), noted),
        (format!("{sent}{to}{date}\r\n"), noted),
        (format!("{to}{date}\r\n"), None),
        (format!("{to}\r\n"), None),
        (format!("From: desk@example.com\r\nTo: x@y.example\r\n{date}\r\n"), noted),
    ];
    let ran = route(&profile, &["--explain"], &stream_received(&messages)).exits(0);
    let routes = routes(&ran.stdout);
    let who: Vec<_> = routes.iter().map(users).collect();
    assert_eq!(who, [["old"], ["new"], ["old"], ["@catchall"], ["new"]].map(BTreeSet::from));
    let findings: Vec<_> = routes.iter().map(|route| route.findings.first().map(|finding| finding.finding.as_str())).collect();
    assert_eq!(findings, [None, None, None, Some("undated"), None]);
    assert!(ran.stderr.contains("desk@example.com"), "{}", ran.stderr);
}

#[test]
fn an_address_of_several_is_filed_under_each_and_every_user_has_an_entry() {
    let profile = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\n"));
    profile.write(
        "users.toml",
        "[[user]]\nname = \"a\"\naliases = [\"a@example.com\"]\n[[user]]\nname = \"b@example.com\"\n[[group]]\naddress = \"info@example.com\"\nmembers = [\"a\", \"B@example.com\"]\n",
    );
    let message = "Envelope-To: info@example.com, a@example.com, ghost@example.com\r\nFrom: Info <info@example.com>\r\n\r\n";
    let route = profile.explain(&stream(&[message])).remove(0);
    let entries: Vec<_> = route.recipients.iter().map(|r| (r.address.as_ref().unwrap().as_str().unwrap(), r.user.as_deref())).collect();
    let expected = [
        ("info@example.com", Some("a")),
        ("info@example.com", Some("b@example.com")),
        ("a@example.com", Some("a")),
        ("ghost@example.com", None),
    ];
    assert_eq!(entries, expected);
    let filings: Vec<_> = route.filings.iter().map(|f| format!("{} {:?}", f.user, f.role).to_lowercase()).collect();
    assert_eq!(filings, ["a recipient", "b@example.com recipient", "a sender", "b@example.com sender"]);
}

#[test]
fn addresses_are_one_in_every_spelling_and_a_domain_alias_is_local() {
    let profile = Profile::new("domains = [\"example.com\", \"bücher.example\"]\nsubaddress = \"+-\"\nusers = \"users.toml\"\n");
    profile.write(
        "users.toml",
        "[[user]]\nname = \"e\"\naliases = [\"émile@xn--bcher-kva.example\", '\"e b\"@example.com', \"anna-maria@example.com\", \"team-*@example.com\"]\n[domain-aliases]\n\"BÜRO.example\" = \"example.com\"\n",
    );
    let same = [
        "E\u{301}MILE@B\u{dc}CHER.example",
        "\"E B\"@example.com",
        "\"e b+x\"@example.com",
        "Anna-Maria-news@example.com",
        "anna-maria+x-y@b\u{fc}ro.example",
        "team-x@xn--bro-hoa.example",
    ];
    assert_eq!(filed(&profile, &same), ["e"; 6]);
    let others = ["emile@b\u{fc}cher.example", "annamaria@example.com", "anna@example.com", "anna-maria@mail.example.com"];
    assert_eq!(filed(&profile, &others), ["@catchall"; 4]);
}

#[test]
fn a_virtual_map_is_followed_to_its_ends() {
    let map = "# from the mail server\nexample.com  anything\ninfo@example.com  alice@example.com,\n    bob@example.com\nalice@example.com  alice\nbob@example.com  bob@elsewhere.example\n";
    let addresses = ["info@example.com", "alice+x@example.com", "bob@example.com", "ghost@example.com"];
    let expected = ["alice bob@example.com", "alice", "bob@example.com", "@catchall"];
    for settings in ["users = \"virtual\"\n", "users = \"map.toml\"\nusers-format = \"virtual\"\n"] {
        let profile = Profile::new(&format!("{DOMAINS}{settings}"));
        profile.write(if settings.contains("map") { "map.toml" } else { "virtual" }, map);
        assert_eq!(filed(&profile, &addresses), expected, "{settings}");
    }
    let toml = Profile::new(&format!("{DOMAINS}users = \"list\"\nusers-format = \"toml\"\n"));
    toml.write("list", "[[user]]\nname = \"a@example.com\"\n");
    assert_eq!(filed(&toml, &["a@example.com"]), ["a@example.com"]);
    let broken = Profile::new(&format!("{DOMAINS}users = \"virtual\"\n"));
    broken.write("virtual", "a@example.com b@example.com\nbob c@example.com\n");
    assert!(refused(&broken, 78).contains("virtual: line 2: “bob” is an address without its domain"));
}

fn with_command(command: &str) -> Profile {
    Profile::new(&format!("{DOMAINS}users-command = '''{command}'''\n"))
}

#[test]
fn a_command_prints_the_users() {
    let profile = with_command("cat lines");
    profile.write(
        "lines",
        "{\"name\":\"a\",\"aliases\":[\"a@example.com\",{\"address\":\"i@example.com\",\"until\":\"2020-12-31\"}]}\n{\"name\":\"b@example.com\"}\n{\"address\":\"t@example.com\",\"members\":[\"a\",\"b@example.com\"]}\n{\"domain-aliases\":{\"example.net\":\"example.com\"}}\n",
    );
    assert_eq!(
        filed(&profile, &["A@example.com", "b@example.net", "t@example.com", "i@example.com"]),
        ["a", "b@example.com", "a b@example.com", "@catchall"]
    );
}

#[test]
fn a_command_that_fails_turns_nobody_into_the_catchall() {
    let line = "echo '{\"name\":\"a@example.com\"}'";
    let cases = [
        (format!("{line}; exit 1"), 75, "users-command: failed with exit status: 1"),
        (format!("{line}; kill -9 $$"), 75, "users-command: failed with signal: 9"),
        ("true".into(), 75, "users-command: printed nothing"),
        ("echo".into(), 75, "users-command: printed nothing"),
        (format!("{line}; echo '{{\"name\":'"), 78, "users-command: line 2: EOF while parsing"),
        (format!("{line}; echo sorry"), 78, "users-command: line 2: is not a JSON object"),
        (format!("{line}; echo '{{\"nmae\":\"b\"}}'"), 78, "users-command: line 2: unknown key “nmae”; did you mean “name”?"),
        ("printf '\\377'".into(), 78, "users-command: its output is not UTF-8"),
    ];
    for (command, code, why) in cases {
        let told = refused(&with_command(&command), code);
        assert!(told.contains(why), "{command}: {told}");
    }
}

#[test]
fn a_profile_names_its_users_once() {
    let both = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\nusers-command = \"true\"\n"));
    assert!(refused(&both, 78).contains("users and users-command can't both be set"));
    let format = Profile::new(&format!("{DOMAINS}users-format = \"toml\"\n"));
    assert!(refused(&format, 78).contains("users-format is for users"));
    let missing = Profile::new(&format!("{DOMAINS}users = \"users.toml\"\n"));
    assert!(refused(&missing, 66).contains("users.toml"));
    missing.write("users.toml", "");
    assert!(refused(&missing, 78).contains("names no user"));
}

#[test]
fn the_archive_asks_the_same_list() {
    let profile = with_command("exit 1");
    let arguments =
        ["-p", profile.path("acme.toml").to_str().unwrap(), "--archive", profile.path("archive").to_str().unwrap()].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("mdrop-store", &arguments, b"").exits(0);
    assert!(run("mdrop-store", &[&arguments[..], &["--known"]].concat(), b"").exits(75).stderr.contains("users-command"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_examples_of_the_manual_page_are_read() {
    let page = std::fs::read_to_string(root().join("man/mdrop-users.5")).unwrap();
    let examples: Vec<String> = page
        .split(".Bd -literal")
        .skip(1)
        .map(|block| block.split_once('\n').unwrap().1.split(".Ed").next().unwrap().replace("\\(dq", "\"").replace("\\&", ""))
        .collect();
    let settings = mdrop::profile::RouteSettings { domains: vec!["example.com".into()], ..Default::default() };
    let read = |kind: fn(&str) -> bool| examples.iter().filter(|example| kind(example)).cloned().collect::<Vec<_>>();
    let toml = read(|text| text.contains("[[user]]"));
    assert!(Users::parse(&toml.concat()).is_ok() && !toml.is_empty(), "{:?}", Users::parse(&toml.concat()).map(|_| ()));
    let lines = read(|text| text.starts_with('{'));
    assert!(Users::parse_lines(&lines.concat()).is_ok() && !lines.is_empty(), "{:?}", Users::parse_lines(&lines.concat()).map(|_| ()));
    let map = read(|text| text.contains("anything"));
    assert!(Users::parse_virtual(&map.concat(), &settings).is_ok() && !map.is_empty());
}

#[test]
fn a_list_of_a_hundred_thousand_is_read_and_asked_quickly() {
    let mut text = String::new();
    for n in 0..100_000 {
        let _ = writeln!(text, "[[user]]\nname = \"user{n}@example.com\"\naliases = [\"u{n}@example.com\", \"team{n}-*@example.com\"]");
    }
    let started = std::time::Instant::now();
    let read = Users::parse(&text).unwrap();
    let settings = mdrop::profile::RouteSettings { domains: vec!["example.com".into()], ..Default::default() };
    let directory = mdrop::users::Directory::new(&settings, Some(read)).unwrap();
    let loaded = started.elapsed();
    for n in 0..100_000 {
        let address = mdrop::address::Address::from_parts(&format!("team{n}-x"), "example.com").unwrap();
        assert_eq!(directory.whose(&address, None).users, [format!("user{n}@example.com")]);
    }
    eprintln!("100,000 users: read in {loaded:?}, then each asked for in {:?} altogether", started.elapsed().saturating_sub(loaded));
    // Without optimization, on a busy machine.
    assert!(started.elapsed().as_secs() < 60);
}

/// The example script, with `ldapsearch` in the folder of the profile.
fn users_ldap(folder: &Path, ldapsearch: &str) -> Ran {
    let program = folder.join("ldapsearch");
    std::fs::write(&program, format!("#!/bin/sh\n{ldapsearch}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    run_command(Command::new(root().join("scripts/users-ldap")).arg("-H").arg("ldap://x").env("PATH", path), b"")
}

#[test]
fn the_script_for_ldap_prints_what_ldapsearch_gives_as_users() {
    let folder = tempfile::tempdir().unwrap();
    let ldif = "dn: uid=a\nmail: Alice@example.com\nmail: a2@example.com\nproxyAddresses: SMTP:Alice@example.com\nproxyAddresses: smtp:info@example.com\nproxyAddresses: X500:/o=x/cn=a@b\nproxyAddresses: sip:alice@example.com\n\n# refldap://other\n\ndn:: dWlkPWI=\nmail:: YsO8cm9AZXhhbXBsZS5jb20=\nmailAlternateAddress: b@example.com\nOtherMailbox;lang-de: b.b@example.com\notherMailbox: not an address\n\ndn: cn=printer\nmailAlternateAddress: p@example.com\n\n";
    std::fs::write(folder.path().join("ldif"), ldif).unwrap();
    let ran = users_ldap(folder.path(), "echo \"$*\" >\"${0%/*}/asked\"; cat \"${0%/*}/ldif\"").exits(0);
    assert_eq!(
        ran.text(),
        "{\"name\":\"alice@example.com\",\"aliases\":[\"a2@example.com\",\"info@example.com\"]}\n{\"name\":\"büro@example.com\",\"aliases\":[\"b.b@example.com\",\"b@example.com\"]}\n"
    );
    assert!(Users::parse_lines(&ran.text()).is_ok());
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert_eq!(
        asked,
        "-x -LLL -o ldif-wrap=no -H ldap://x (&(objectClass=person)(mail=*)) mail proxyAddresses mailAlternateAddress otherMailbox\n"
    );
}

#[test]
fn the_script_for_ldap_prints_nothing_of_an_answer_that_broke_off() {
    let folder = tempfile::tempdir().unwrap();
    for (ldapsearch, code) in [("printf 'dn: a\\nmail: a@example.com\\n\\n'; exit 4", 4), ("exit 255", 255), ("kill -9 $$", 137)] {
        let ran = users_ldap(folder.path(), ldapsearch).exits(code);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("ldapsearch failed with status"), "{}", ran.stderr);
    }
    assert_eq!(users_ldap(folder.path(), "true").exits(0).text(), "");
}

#[test]
fn a_real_directory_is_asked_and_one_that_is_down_is_an_error() {
    let base = "dn: dc=example,dc=com\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n";
    let people = "dn: cn=Alice,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\ncn: Alice\nsn: A\nmail: alice@example.com\nproxyAddresses: SMTP:alice@example.com\nproxyAddresses: smtp:info@example.com\n\ndn: cn=J\u{fc}rgen,dc=example,dc=com\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\ncn: J\u{fc}rgen\nsn: B\nmail: bob@example.com\nproxyAddresses: smtp:j\u{fc}rgen@example.com\n\ndn: cn=None,dc=example,dc=com\nobjectClass: inetOrgPerson\ncn: None\nsn: N\n\n";
    let many = (0..20).fold(String::new(), |mut many, n| {
        let _ = write!(
            many,
            "dn: cn=u{n},dc=example,dc=com\nobjectClass: person\nobjectClass: extensibleObject\ncn: u{n}\nsn: u\nmail: u{n}@example.net\n\n"
        );
        many
    });
    let Some(slapd) = Slapd::start(&format!("{base}{people}{many}")) else { return };
    let script = root().join("scripts/users-ldap");
    let of = |filter: &str, port: u16| {
        let environment = slapd.environment();
        with_command(&format!(
            "{environment} LDAP_FILTER=\"{filter}\" {} -H ldap://127.0.0.1:{port} -b dc=example,dc=com",
            script.display()
        ))
    };
    let profile = of("(mail=*@example.com)", slapd.port);
    let addresses = ["info@example.com", "bob+x@example.com", "j\u{fc}rgen@example.com", "ghost@example.com"];
    assert_eq!(filed(&profile, &addresses), ["alice@example.com", "bob@example.com", "bob@example.com", "@catchall"]);
    assert!(refused(&of("(mail=*)", slapd.port), 75).contains("ldapsearch failed with status 4"), "the server's limit is ten entries");
    let port = slapd.port;
    let down = of("(mail=*)", port);
    drop(slapd);
    assert!(refused(&down, 75).contains("ldapsearch failed with status 255"));
}
