//! Maps, and where they lead.

use super::*;
use crate::users::Directory;

fn settings() -> RouteSettings {
    RouteSettings { domains: ["example.com", "example.org"].map(String::from).to_vec(), ..RouteSettings::default() }
}

fn users(map: &str, address: &str) -> String {
    let users = Users::parse_virtual(map, &settings()).unwrap();
    let directory = Directory::new(&settings(), Some(users)).unwrap();
    let address = Address::parse(address).unwrap();
    if directory.resolve(&address).is_none() { "outside".into() } else { directory.whose(&address, None).users.join(" ") }
}

fn told(map: &str) -> String {
    let error = Users::parse_virtual(map, &settings()).map(|_| ()).unwrap_err();
    assert_eq!(error.status(), Status::Config, "{map}");
    error.to_string()
}

#[test]
fn an_address_belongs_to_whoever_its_entry_leads_to() {
    let plain = "# a comment\n\nexample.com  anything\nother.example\tanything\ninfo@example.com  ALICE@example.com\nteam@example.com alice@example.com,\n  # inside\n\n\t\"bob b\"@example.com, x@far.example\n\"o ne\"@example.com  joe\nsales@example.com info@example.com\n";
    let loops = "alice@example.com alice@example.com, bob@example.com\nbob@example.com bob@far.example\nboss@example.com boss@far.example, alice@example.com\n";
    let rest = "@example.com admin@example.com\ninfo@example.com carol@example.com\nkeep@example.com keep@example.com\n@example.org @example.com\nown@example.org own@example.org\n";
    let far = "@example.com boss@far.example\n@example.org @far.example\nx@far.example alice@example.com\n";
    let itself = "@example.com @example.com\nalice@example.org info@example.com\n";
    let lists = "@example.com a@example.com, b@example.com\n";
    let below = "info@example.com alice@imap.example.com\nalice@example.com alice@imap.example.com\n";
    let sub = "info@example.com alice+info@example.com\nalice@example.com alice@example.com\nnews@example.com bob+n@example.com\nb@example.com bob@example.com\ndesk@example.com old+desk@example.com\nold@example.com new@example.com\n";
    let net = "@example.net @example.com\nalice@example.com alice@example.com\n@a.example @b.example\n";
    let cases = [
        (plain, "info@example.com", "alice@example.com"),
        (plain, "Info+x@example.com", "alice@example.com"),
        (plain, "alice@example.com", "alice@example.com"),
        (plain, "sales@example.com", "alice@example.com"),
        (plain, "team@example.com", "alice@example.com \"bob b\"@example.com team@example.com"),
        (plain, "\"O NE\"@example.com", "joe"),
        (plain, "ghost@example.com", ""),
        (plain, "x@other.example", "outside"),
        (loops, "alice@example.com", "alice@example.com bob@example.com"),
        (loops, "bob@example.com", "bob@example.com"),
        (loops, "boss@example.com", "boss@example.com alice@example.com bob@example.com"),
        (rest, "x@example.com", "admin@example.com"),
        (rest, "info@example.com", "admin@example.com"),
        (rest, "admin@example.com", "admin@example.com"),
        (rest, "keep@example.com", "keep@example.com"),
        (rest, "keep@example.org", "keep@example.com"),
        (rest, "y@example.org", "admin@example.com"),
        (rest, "own@example.org", "own@example.org"),
        (far, "y+z@example.com", "y@example.com"),
        (far, "y@example.org", "y@example.org"),
        (far, "x@example.org", "alice@example.com"),
        (itself, "any@example.com", "any@example.com"),
        (itself, "alice@example.org", "info@example.com"),
        (itself, "any@example.org", ""),
        (lists, "x@example.com", "a@example.com b@example.com"),
        (lists, "a@example.com", "a@example.com b@example.com"),
        (below, "info@example.com", "alice@imap.example.com"),
        (sub, "info@example.com", "alice@example.com"),
        (sub, "news@example.com", "bob@example.com"),
        (sub, "desk@example.com", "new@example.com"),
        (net, "alice@example.net", "alice@example.com"),
        (net, "x@a.example", "outside"),
    ];
    for (map, address, expected) in cases {
        assert_eq!(users(map, address), expected, "{address} in {map}");
    }
}

#[test]
fn what_is_no_entry_is_told_with_its_line() {
    let cases = [
        ("\n  x@example.com y@example.com\n", "line 2: continues no entry: it begins with a blank"),
        ("a@example.com b@example.com\nc@example.com\n", "line 2: “c@example.com” has nothing to its right"),
        ("[[user]]\n", "line 1: “[[user]]” has nothing to its right; is this TOML? set users-format = \"toml\""),
        ("a@example.com ,\n", "line 1: has no address to its right"),
        ("a@example.com |/bin/x\n", "line 1: “|/bin/x” is not an address"),
        ("a@example.com b@example.com # c\n", "line 1: “b@example.com # c” is not an address"),
        ("a@example.com @example.org\n", "line 1: “@example.org” is not an address"),
        ("@example.com @example.org, a@example.com\n", "line 1: a domain can't stand beside other addresses"),
        ("@exa mple a@example.com\n", "line 1: “mple a@example.com” is not an address"),
        (
            "bob bob@example.com\n",
            "line 1: “bob” is an address without its domain, which only Postfix's configuration tells; write bob@ and the domain",
        ),
        (
            "john.doe jd@example.com\n",
            "line 1: “john.doe” is an address without its domain, which only Postfix's configuration tells; write john.doe@ and the domain",
        ),
        ("a@example.com x@example.com\nA@example.com y@example.com\n", "line 2: “A@example.com” has an entry on line 1, too"),
        ("@example.com a@example.com\n@EXAMPLE.com b@example.com\n", "line 2: “@EXAMPLE.com” has an entry on line 1, too"),
        (
            "a@example.com b@example.com\nb@example.com a@example.com\n",
            "line 1: “a@example.com” leads round, by a@example.com, b@example.com, to itself",
        ),
        ("@example.com @example.org\n@example.org @example.com\n", "line 1: “@example.com” leads round, through other domains, to itself"),
        ("# nothing\n", "line 1: names no user in the local domains"),
        ("a@far.example b@far.example\n", "line 1: names no user in the local domains"),
    ];
    for (map, expected) in cases {
        assert_eq!(told(map), expected, "{map}");
    }
}

#[test]
fn a_chain_has_an_end() {
    use std::fmt::Write;
    let chain = |length: usize| {
        (0..length).fold(String::new(), |mut map, at| {
            let _ = writeln!(map, "a{at}@example.com a{}@example.com", at + 1);
            map
        })
    };
    assert_eq!(users(&chain(100), "a0@example.com"), "a100@example.com");
    assert!(told(&chain(102)).contains("more than 100 steps away"));
}
