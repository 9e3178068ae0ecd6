//! Addresses, and whose they are.

use super::*;

const FILE: &str = r#"
[[user]]
name = "alice@example.com"
aliases = ["Info@Example.com", "alice+x@example.com", "info@example.net"]

[[user]]
name = "bob"
aliases = ["bob@example.com", "bob@bücher.example", "alice+bob@example.com", "anna-maria@example.com", "émile@example.com"]

[[user]]
name = "carol"
aliases = ["sales-*@example.com", "*@bücher.example", "carol@sub.example.com", { address = "desk@example.com", from = 2020-01-01, until = 2020-12-31 }]

[[user]]
name = "dave"
aliases = ["anna@example.com", '"a*b"@example.com', "*-sales-eu@example.com", { address = "desk@example.com", from = 2021-06-01 }]
until = 2022-12-31

[[user]]
name = "erin"
aliases = ["*@wild.example", "*-verkauf@example.com"]
from = 2020-01-01

[[group]]
address = "team@example.com"
members = ["alice@example.com", "dave"]

[domain-aliases]
"example.net" = "example.org"
"example.org" = "example.com"
"#;

fn settings() -> RouteSettings {
    let domains = ["Example.com", "xn--bcher-kva.example", "wild.example", "mail.wild.example"].map(String::from).to_vec();
    RouteSettings { domains, own_addresses: vec!["archive@example.com".into()], subaddress: "+-".into(), ..RouteSettings::default() }
}

fn directory(settings: &RouteSettings) -> Directory {
    Directory::new(settings, Some(Users::parse(FILE).unwrap())).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn at(text: &str) -> Option<Time> {
    text.parse().ok()
}

#[test]
fn the_most_particular_entry_decides() {
    let directory = directory(&settings());
    let cases: [(&str, &[&str]); 33] = [
        ("ALICE@example.COM", &["alice@example.com"]),
        ("info+shop@example.com", &["alice@example.com"]),
        ("alice+bob@example.com", &["bob"]),
        ("alice+bob-x@example.com", &["bob"]),
        ("alice+other@example.com", &["alice@example.com"]),
        ("\"alice\"@example.com", &["alice@example.com"]),
        ("a.lice@example.com", &[]),
        ("bob@B\u{dc}CHER.example", &["bob"]),
        ("x@b\u{fc}cher.example", &["carol"]),
        ("E\u{301}MILE@example.com", &["bob"]),
        ("anna-maria-news@example.com", &["bob"]),
        ("anna-news@example.com", &["dave"]),
        ("+x@example.com", &[]),
        ("ghost@example.com", &[]),
        ("sales-us@example.com", &["carol"]),
        ("us-verkauf@example.com", &["erin"]),
        ("us-verkauf+x@example.com", &["erin"]),
        ("us-sales-eu@example.com", &["dave"]),
        ("sales-sales-eu@example.com", &["dave"]),
        ("\"a*b\"@example.com", &["dave"]),
        ("axb@example.com", &[]),
        ("alice@sub.example.com", &[]),
        ("carol@sub.example.com", &["carol"]),
        ("x@wild.example", &["erin"]),
        ("x@mail.wild.example", &[]),
        ("x@other.wild.example", &[]),
        ("team@example.com", &["alice@example.com", "dave"]),
        ("bob@example.net", &["bob"]),
        ("bob+x@example.org", &["bob"]),
        ("info@example.net", &["alice@example.com"]),
        ("sales-us@example.net", &["carol"]),
        ("team@example.net", &["alice@example.com", "dave"]),
        ("bob@mail.example.net", &[]),
    ];
    for (text, expected) in cases {
        let whose = directory.whose(&address(text), at("2022-07-01T00:00:00Z"));
        assert_eq!((whose.users.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), whose.undated), (expected, false), "{text}");
    }
}

#[test]
fn an_address_passes_from_one_to_another_and_a_gap_is_nobodys() {
    let directory = directory(&settings());
    let cases: [(&str, &str, &[&str], bool); 12] = [
        ("desk@example.com", "2019-12-31T23:59:59Z", &[], false),
        ("desk@example.com", "2020-01-01T00:00:00Z", &["carol"], false),
        ("desk+x@example.com", "2020-12-31T23:59:59Z", &["carol"], false),
        ("desk@example.com", "2021-01-01T00:00:00Z", &[], false),
        ("desk@example.com", "2021-06-01T00:00:00Z", &["dave"], false),
        ("desk@example.com", "2023-01-01T00:00:00Z", &[], false),
        ("anna@example.com", "2023-01-01T00:00:00Z", &[], false),
        ("desk@example.com", "", &[], true),
        ("x@wild.example", "2019-01-01T00:00:00Z", &[], false),
        ("team@example.com", "2023-01-01T00:00:00Z", &["alice@example.com"], false),
        ("team@example.com", "", &["alice@example.com"], true),
        ("bob@example.com", "", &["bob"], false),
    ];
    for (text, moment, expected, undated) in cases {
        let whose = directory.whose(&address(text), at(moment));
        assert_eq!((whose.users.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), whose.undated), (expected, undated), "{text}");
    }
    assert!(directory.is_dated());
    let users = "[[user]]\nname = \"a\"\naliases = [\"*@wild.example\"]\n[[user]]\nname = \"b\"\naliases = [{ address = \"b@wild.example\", until = 2020-12-31 }]\n";
    let gap = Directory::new(&settings(), Users::parse(users).ok()).unwrap();
    assert!(
        gap.whose(&address("b@wild.example"), at("2021-01-01T00:00:00Z")).users.is_empty(),
        "who has the rest has no address that is named"
    );
    assert!(gap.whose(&address("b+x@wild.example"), at("2021-01-01T00:00:00Z")).users.is_empty());
}

#[test]
fn local_are_the_domains_what_stands_for_one_and_what_lies_below() {
    let directory = directory(&settings());
    let cases = [
        ("x@example.com", Some((true, false))),
        ("x@EXAMPLE.net", Some((true, false))),
        ("x@mail.wild.example", Some((true, false))),
        ("x@b.mail.wild.example", Some((false, false))),
        ("x@a.example.net", Some((false, false))),
        ("archive+x@example.com", Some((true, true))),
        ("archive@example.net", Some((true, true))),
        ("archive@a.example.net", Some((false, false))),
        ("x@example.edu", None),
        ("x@notexample.com", None),
    ];
    for (text, expected) in cases {
        assert_eq!(directory.resolve(&address(text)).map(|local| (local.exact, local.own)), expected, "{text}");
    }
    let named = "[[user]]\nname = \"archive@example.net\"\n[domain-aliases]\n\"example.net\" = \"example.com\"\n";
    let named = Directory::new(&settings(), Users::parse(named).ok()).unwrap();
    assert!(!named.owns(&address("archive@example.net")) && named.owns(&address("archive@example.com")));
}

#[test]
fn names_are_known_apart_from_what_a_wildcard_fits() {
    let directory = directory(&settings());
    let known = |text| (directory.names(&address(text)), directory.names_base(&address(text)));
    assert_eq!(known("bob@example.com"), (true, true));
    assert_eq!(known("bob@example.net"), (true, true));
    assert_eq!(known("bob+x@example.com"), (false, true));
    assert_eq!(known("x@wild.example"), (false, false));
}

#[test]
fn without_a_list_every_local_address_is_its_own_user() -> Result<()> {
    let of = |subaddress: &str, text| {
        let settings = RouteSettings { subaddress: subaddress.into(), ..settings() };
        Directory::new(&settings, None).map(|directory| directory.whose(&address(text), None).users.join(" "))
    };
    assert_eq!(of("+", "Alice+News@EXAMPLE.com")?, "alice@example.com");
    assert_eq!(of("+-", "Alice-News+x@EXAMPLE.com")?, "alice@example.com");
    assert_eq!(of("+", "\"A B\"@mail.example.com")?, "\"a b\"@mail.example.com");
    assert_eq!(of("", "a+b@example.com")?, "a+b@example.com");
    assert_eq!(of("+", "+b@example.com")?, "+b@example.com");
    assert_eq!(of("+", "e\u{301}@B\u{dc}CHER.example")?, "\u{e9}@xn--bcher-kva.example");
    Ok(())
}

#[test]
fn a_directory_needs_settings_that_make_sense() {
    let told = |settings: RouteSettings| Directory::new(&settings, None).map_err(|e| (e.status().code(), e.to_string())).unwrap_err();
    assert!(matches!(told(RouteSettings::default()), (78, what) if what.contains("domains = [\"example.com\"]")));
    assert!(told(RouteSettings { domains: vec!["a@b".into()], ..settings() }).1.contains("“a@b”"));
    assert!(told(RouteSettings { own_addresses: vec!["a".into()], ..settings() }).1.contains("own-addresses: “a”"));
    for c in ["a", "+1", "@", " ", "\""] {
        let told = told(RouteSettings { subaddress: c.into(), ..settings() });
        assert!(told.0 == 78 && told.1.contains("can't separate"), "{told:?}");
    }
    let users = Users::parse("[[user]]\nname = \"a\"\n[domain-aliases]\n\"example.net\" = \"exmaple.com\"\n").unwrap();
    let told = Directory::new(&settings(), Some(users)).map_err(|e| e.to_string()).unwrap_err();
    assert_eq!(told, "[route]: the domain example.net stands for exmaple.com in the users list, which is not one of the domains");
}
