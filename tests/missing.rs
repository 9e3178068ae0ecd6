//! mdrop-route --users-missing: which local addresses belong to nobody, how often they are seen, and whose they may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::routing::{Profile, stream};
use mdrop::record::{Kind, Missing, Record};

const SETTINGS: &str = "domains = [\"example.com\", \"example.org\"]\nown-addresses = [\"archive@example.com\"]\nusers = \"users.toml\"\n";
const USERS: &str =
    "[[user]]\nname = \"a.smith@example.com\"\n[[user]]\nname = \"bob@example.com\"\naliases = [\"bob.jones@example.com\"]\n";

fn profile(settings: &str) -> Profile {
    let profile = Profile::new(settings);
    std::fs::write(profile.0.path().join("users.toml"), USERS).unwrap();
    profile
}

fn missing(settings: &str, messages: &[&str]) -> Vec<Missing> {
    let output = profile(settings).run(&["--users-missing"], &stream(messages));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = |line: &[u8]| match Record::parse(line).unwrap() {
        Record::Missing(missing) => *missing,
        other => panic!("{other:?}"),
    };
    output.stdout.split_inclusive(|b| *b == b'\n').map(record).collect()
}

#[test]
fn recipients_and_authors_of_nobody_are_counted_and_the_likeliest_user_is_named() {
    let messages = [
        "Delivered-To: A.Smyth@example.com\r\nFrom: x@host.example\r\nTo: \"Alice Smyth\" <a.smyth@example.com>\r\n\r\n",
        "Delivered-To: a.smyth+news@example.com\r\n\r\n",
        "To: a.smyth@example.com, a.smith@example.com\r\n\r\n",
        "Delivered-To: bob@example.com\r\nFrom: Ghost <ghost@example.org>\r\n\r\n",
        "Delivered-To: ghost@example.org\r\nFrom: ghost@example.org\r\n\r\n",
        // Nobody's, and nothing of them: To is not what decides, a subaddress, the mailbox itself, an outsider.
        "Delivered-To: bob@example.com\r\nTo: nobody@example.com\r\n\r\n",
        "Delivered-To: bob+x@example.com\r\nFrom: BOB+y@example.com\r\n\r\n",
        "Delivered-To: archive@example.com\r\n\r\n",
        "Delivered-To: a@elsewhere.example\r\nFrom: b@elsewhere.example\r\n\r\n",
    ];
    for settings in [SETTINGS.to_owned(), format!("{SETTINGS}unknown = \"skip\"\n"), format!("{SETTINGS}catchall = \"bob@example.com\"\n")]
    {
        let all = missing(&settings, &messages);
        let shown: Vec<_> = all.iter().map(|one| (one.address.as_str(), one.messages, one.recipient, one.sender)).collect();
        assert_eq!(shown, [("a.smyth@example.com", 3, 3, 0), ("ghost@example.org", 2, 1, 2)]);
        assert_eq!(all[0].evidence.iter().collect::<Vec<_>>(), [(&Kind::Envelope, &2), (&Kind::Header, &1)]);
        let likeliest = all[0].likeliest.as_ref().unwrap();
        let why = ("a.smith@example.com", "hardly a letter differs: a.smith@example.com");
        assert_eq!((likeliest.user.as_str(), likeliest.why.as_str()), why);
        assert_eq!((all[0].name.as_deref(), all[1].name.as_deref(), &all[1].likeliest), (Some("Alice Smyth"), Some("Ghost"), &None));
        assert_eq!((all[0].first, all[0].missed), (None, 0));
    }
}

#[test]
fn a_journal_report_shows_the_addresses_that_it_names() {
    let report = "Delivered-To: archive@example.com\r\nFrom: j@example.com\r\nX-MS-Journal-Report:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSender: robert.jones@example.com\r\nBcc: bjones@example.com\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: y\r\n\r\n--b--\r\n";
    let output = profile(SETTINGS).run(&["--users-missing", "-q"], &stream(&[report]));
    let text = String::from_utf8(output.stdout).unwrap();
    let bob = r#""address":"bjones@example.com","messages":1,"recipient":1,"sender":0,"evidence":{"journal":1},"likeliest":{"user":"bob@example.com","why":"given name and surname: bob.jones@example.com"}"#;
    assert!(text.lines().count() == 2 && text.contains(bob) && text.contains("robert.jones@example.com"), "{text}");
}

#[test]
fn without_a_users_list_there_is_advice_and_the_flag_goes_with_no_other() {
    let output = Profile::new("domains = [\"example.com\"]\n").run(&["--users-missing"], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a users list: users = \"users.toml\""), "{output:?}");
    let profile = profile(SETTINGS);
    assert_eq!(profile.run(&["--users-missing", "--calibrate"], b"").status.code(), Some(64));
    assert_eq!(profile.run(&["--users-missing", "--explain"], b"").status.code(), Some(64));
    let none = profile.run(&["--users-missing", "-n"], b"");
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
}
