//! Values as servers and people write them, and what each must come to.

use super::*;

mod forms;

fn spelt(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|a| a.spelt().lossy().into_owned()).collect()
}

#[test]
fn trace_fields_name_addresses_in_every_form_that_servers_write() {
    let cases: [(&str, &[&str]); 27] = [
        ("GMX delivery to a@example.com", &["a@example.com"]),
        ("name-domain:com-a@example.com", &["name-domain:com-a@example.com"]),
        ("delivery to a@example.com b@example.com", &[]),
        ("a@example.com", &["a@example.com"]),
        (" <A@Example.COM> \r\n", &["A@Example.COM"]),
        ("\"A, B\" <a@example.com>", &["a@example.com"]),
        ("b@x.example <a@example.com>", &["a@example.com"]),
        ("rfc822;a@example.com", &["a@example.com"]),
        ("rfc822; a@example.com", &["a@example.com"]),
        ("a@example.com via 192.0.2.1; Sat, 22 Nov 2014 07:11:04 +0900", &["a@example.com"]),
        ("a@example.com,\r\n b@example.com", &["a@example.com", "b@example.com"]),
        ("<a@example.com>, <b@example.com>", &["a@example.com", "b@example.com"]),
        ("a@example.com b@example.com", &["a@example.com", "b@example.com"]),
        ("a@example.com (the (nested\\)) one)", &["a@example.com"]),
        ("a @ example\r\n\t. com", &["a@example.com"]),
        ("<@one.example,@two.example:a@example.com>", &["a@example.com"]),
        ("\"a b\"@example.com", &["\"a b\"@example.com"]),
        ("\"x@y\"@example.com", &["\"x@y\"@example.com"]),
        ("one@two@example.com", &["one@two@example.com"]),
        ("'a@example.com'", &["a@example.com"]),
        ("gr\u{fc}\u{df}e@b\u{fc}cher.example", &["gr\u{fc}\u{df}e@b\u{fc}cher.example"]),
        ("mailing list a@example.com", &[]),
        ("moderator for a@example.com", &[]),
        (": archiv", &[]),
        ("<>", &[]),
        ("postmaster", &[]),
        ("a@, @example.com, a@exam ple.com, a b@example..com, \"a@example.com", &[]),
    ];
    for (value, expected) in cases {
        assert_eq!(spelt(&trace(value.as_bytes())), expected, "{value}");
    }
    assert!(is_null(b" <> ") && is_null(b"< >\r\n") && !is_null(b"") && !is_null(b"<a@b.c>"));
}

#[test]
fn lists_are_read_with_groups_names_and_what_is_broken_left_out() {
    let cases: [(&str, &[&str]); 12] = [
        ("A <a@example.com>, b@example.com (B)", &["a@example.com", "b@example.com"]),
        ("Team: a@example.com, B <b@example.com>;, c@example.com", &["a@example.com", "b@example.com", "c@example.com"]),
        ("Recipients not given:;", &[]),
        ("undisclosed-recipients:;, a@example.com", &["a@example.com"]),
        ("Mary Smith <@machine.tld:mary@example.net>, , jdoe@test   . example", &["mary@example.net", "jdoe@test.example"]),
        ("user1 <\"user,1\"@example.com>", &["\"user,1\"@example.com"]),
        ("\"user,1\"@example.com, b@example.com", &["\"user,1\"@example.com", "b@example.com"]),
        ("nobody, a@example.com", &["a@example.com"]),
        ("<a@example.com> text, b@example.com", &["a@example.com", "b@example.com"]),
        ("=?utf-8?q?x=40y.example?= <a@example.com>", &["a@example.com"]),
        ("Ann ann@example.com", &["ann@example.com"]),
        ("A <a@example.com, b@example.com", &["a@example.com", "b@example.com"]),
    ];
    for (value, expected) in cases {
        assert_eq!(spelt(&list(value.as_bytes())), expected, "{value}");
    }
    assert_eq!(spelt(&list(b"\xff <a@example.com>, b@example.com")), ["a@example.com", "b@example.com"]);
}

#[test]
fn spellings_of_one_address_have_one_normal_form() {
    let cases = [
        ("Alice@EXAMPLE.com.", "alice@example.com"),
        ("\"alice\"@example.com", "alice@example.com"),
        ("\"A B\"@example.com", "\"a b\"@example.com"),
        ("\"o\\\"d@d\"@example.com", "\"o\\\"d@d\"@example.com"),
        ("x@B\u{dc}CHER.example", "x@xn--bcher-kva.example"),
        ("x@XN--Bcher-KVA.example", "x@xn--bcher-kva.example"),
        ("GR\u{dc}N@example.com", "gr\u{fc}n@example.com"),
    ];
    for (value, normal) in cases {
        assert_eq!(Address::parse(value).map(|a| a.normal()).as_deref(), Some(normal), "{value}");
        assert_eq!(Address::parse(normal).map(|a| a.normal()).as_deref(), Some(normal), "{normal}");
    }
    for bad in ["", "a", "a@b, c@d", "a@b;", "x y@z"] {
        assert_eq!(Address::parse(bad), None, "{bad}");
    }
    let odd = |octets: &[u8]| trace(octets).first().map(Address::normal);
    assert_ne!(odd(b"\xff@example.com"), odd(b"\xfe@example.com"));
}

#[test]
fn a_prefix_is_taken_off_once() {
    let taken = |value: &str| Address::parse(value).and_then(|a| a.without_prefix("joe-")).map(|a| a.normal());
    assert_eq!(taken("JOE-joe-smith@example.com").as_deref(), Some("joe-smith@example.com"));
    assert_eq!((taken("smith@example.com"), taken("joe-@example.com"), taken("x@y.z")), (None, None, None));
}

#[test]
fn hostile_values_cost_time_in_proportion_to_their_length() {
    let started = std::time::Instant::now();
    for unit in ["(", "\"", "<", "\\", "(\\", ",", "@", "=?", ":", ";", "a@b,", "\"(<", "a ", "@a:"] {
        let value = unit.repeat((1 << 18) / unit.len());
        let _ = (trace(value.as_bytes()), list(value.as_bytes()), is_null(value.as_bytes()));
    }
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn blanks_and_colons_without_end_take_linear_time() {
    let hostile =
        [b" ".repeat(300_000), b"@".to_vec(), b":".repeat(300_000), b"<".to_vec(), b" ".repeat(300_000), b",".repeat(300_000)].concat();
    assert!(list(&hostile).is_empty());
}
