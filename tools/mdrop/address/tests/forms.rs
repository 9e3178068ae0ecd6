//! Every form of an address that RFC 5322 (sections 3.4 and 4.4) and RFC 6532 know, and forms that are none: what a trace field says, and
//! what a list says.

use super::super::*;

/// The value, the addresses of a trace field, and those of a list, in normal form with blanks between them.
type Row = (&'static str, &'static str, &'static str);

fn shown(addresses: &[Address]) -> String {
    addresses.iter().map(Address::normal).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (value, in_trace, in_list) in rows {
        let found = (shown(&trace(value.as_bytes())), shown(&list(value.as_bytes())));
        if (found.0.as_str(), found.1.as_str()) != (in_trace, in_list) {
            wrong.push(format!("{value:?}: trace {:?}, list {:?}", found.0, found.1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rows that say the same in both columns.
fn both(rows: &[(&'static str, &'static str)]) -> Vec<Row> {
    rows.iter().map(|(value, found)| (*value, *found, *found)).collect()
}

#[test]
fn local_parts_and_domains_are_read_in_every_standard_form() {
    check(&both(&[
        ("a@x.example", "a@x.example"),
        ("!#$%&'*+-/=?^_`{|}~@x.example", "!#$%&'*+-/=?^_`{|}~@x.example"),
        ("a.b.c@x.example", "a.b.c@x.example"),
        ("\"a b\"@x.example", "\"a b\"@x.example"),
        ("\"a@b\"@x.example", "\"a@b\"@x.example"),
        ("\"a,b;c:d<e>f\"@x.example", "\"a,b;c:d<e>f\"@x.example"),
        ("\"a\\\"b\\\\c\"@x.example", "\"a\\\"b\\\\c\"@x.example"),
        ("\"(a)\"@x.example", "\"(a)\"@x.example"),
        ("\"\\a\"@x.example", "a@x.example"),
        ("\"a.b\"@x.example", "a.b@x.example"),
        ("\"a\r\n b\"@x.example", "\"a b\"@x.example"),
        ("\"a\tb\"@x.example", "\"a b\"@x.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"),
        ("a@[ 192.0.2.1 ]", "a@[192.0.2.1]"),
        ("<a@[IPv6:2001:db8::1]>", "a@[ipv6:2001:db8::1]"),
        ("a@x", "a@x"),
        ("a@x.example.", "a@x.example"),
        ("A@X.EXAMPLE", "a@x.example"),
    ]));
}

#[test]
fn comments_and_blanks_may_stand_wherever_the_standard_lets_them() {
    check(&both(&[
        ("a@x.example (A)", "a@x.example"),
        ("(A) a@x.example", "a@x.example"),
        ("a(1)@(2)x(3).(4)example(5)", "a@x.example"),
        ("a (one (two \\) (three))) @ x.example", "a@x.example"),
        ("a . b @ x . example", "a.b@x.example"),
        ("a\r\n .\r\n\tb@x.example", "a.b@x.example"),
        ("A (c@y.example) <a@x.example>", "a@x.example"),
        ("<(c)a(d)@(e)x.example(f)>", "a@x.example"),
        ("< a @ x.example >", "a@x.example"),
        ("a@x.example (b@y.example, c@y.example)", "a@x.example"),
        ("A <a@x.example> (B) (C)", "a@x.example"),
        ("(a@y.example)", ""),
        ("(a@x.example", ""),
    ]));
}

#[test]
fn obsolete_forms_are_read() {
    check(&[
        ("<@r.example:a@x.example>", "a@x.example", "a@x.example"),
        ("<@r.example,@s.example:a@x.example>", "a@x.example", "a@x.example"),
        ("A <,@r.example , , (c) @s.example : a@x.example>", "a@x.example", "a@x.example"),
        ("A <@r.example , , (c) @s.example : a@x.example>", "a@x.example", "a@x.example"),
        ("@r.example:a@x.example", "a@x.example", "a@x.example"),
        ("@r.example: a@x.example", "a@x.example", "a@x.example"),
        ("\"a\".b@x.example", "a.b@x.example", "a.b@x.example"),
        ("a.\"b c\"@x.example", "\"a.b c\"@x.example", "\"a.b c\"@x.example"),
        ("\"a\" . \"b\"@x.example", "a.b@x.example", "a.b@x.example"),
        (",, a@x.example ,, b@x.example , (c) ,", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("Dr. A. Name <a@x.example>", "a@x.example", "a@x.example"),
        ("A \"B\" C <a@x.example>", "a@x.example", "a@x.example"),
        // Quoted pairs with control characters are none of ours: nobody has such an address.
        ("\"a\\\0b\"@x.example", "", ""),
        ("\"a\\\u{7}b\"@x.example", "", ""),
        ("\"a\\\r\\\nb\"@x.example", "", ""),
    ]);
}

#[test]
fn groups_are_opened_in_lists_and_trace_fields_have_none() {
    check(&[
        ("Team: a@x.example, B <b@x.example>;", "b@x.example", "a@x.example b@x.example"),
        ("Team: ;, a@x.example", "a@x.example", "a@x.example"),
        ("\"T, e: am\": a@x.example;", "", "a@x.example"),
        ("T(c): (d) a@x.example (e), , ;", "", "a@x.example"),
        ("undisclosed-recipients:;", "", ""),
        ("One: Two: a@x.example;;, b@x.example", "b@x.example", "a@x.example b@x.example"),
        ("a@y.example: b@x.example;", "", "b@x.example"),
        ("Team: a@x.example", "", "a@x.example"),
        ("A <a@x.example>: b@x.example;", "", "a@x.example b@x.example"),
        ("<Undisclosed-Recipient:;@x.example>", "", ""),
    ]);
}

#[test]
fn internationalised_addresses_are_read() {
    check(&both(&[
        ("gr\u{fc}\u{df}e@x.example", "gr\u{fc}\u{df}e@x.example"),
        ("\"gr\u{fc} \u{df}e\"@x.example", "\"gr\u{fc} \u{df}e\"@x.example"),
        ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
        ("a@b\u{fc}cher\u{3002}example", "a@xn--bcher-kva.example"),
        ("a@b\u{fc}cher.example\u{3002}", "a@xn--bcher-kva.example"),
        ("\u{4f60}\u{597d} <\u{4f60}@\u{4f60}\u{597d}.example>", "\u{4f60}@xn--6qq79v.example"),
        // What folds to a character that parts addresses is none.
        ("a@b\u{ff20}x.example", ""),
        ("a@b\u{2100}x.example", ""),
        ("a\u{85}b@x.example", ""),
        ("mar\u{212a}@x.example", "mar\u{212a}@x.example"),
    ]));
}

#[test]
fn names_that_look_like_addresses_name_nobody() {
    check(&both(&[
        ("\"a@x.example\" <m@evil.example>", "m@evil.example"),
        ("a@x.example <m@evil.example>", "m@evil.example"),
        ("'a@x.example' <m@evil.example>", "m@evil.example"),
        ("\"m@evil.example\" <a@x.example>", "a@x.example"),
        ("=?utf-8?q?a=40x.example?= <m@evil.example>", "m@evil.example"),
        ("=?utf-8?q?a=40x=2eexample=2c?= <m@evil.example>", "m@evil.example"),
        ("\"a@x.example\\\" <m@evil.example>", "m@evil.example"),
        ("\\\"a@x.example\\\" <m@evil.example>", "m@evil.example"),
        ("a@x.example <>", ""),
        ("=?utf-8?q?a=40x.example?=", ""),
        ("=?utf-8?q?a?=@x.example", "=?utf-8?q?a?=@x.example"),
    ]));
}

#[test]
fn an_address_that_is_nearly_right_is_nobody_elses() {
    check(&[
        // A blank, a comment or a quoted string inside a word.
        ("a b@x.example", "", "b@x.example"),
        ("a(c)b@x.example", "", ""),
        ("a(c)(d)b@x.example", "", ""),
        ("a\"b\"c@x.example", "", ""),
        ("\"a\"b@x.example", "", ""),
        ("\"a\"\"b\"@x.example", "", ""),
        ("<a b@x.example>", "", ""),
        ("a@x(c)y.example", "", ""),
        ("a@x.exam ple", "", "a@x.exam"),
        ("a\0b@x.example", "", ""),
        ("a\u{b}b@x.example", "", ""),
        // A second @ or a second domain.
        ("a@@x.example", "\"a@\"@x.example", "\"a@\"@x.example"),
        ("a@x.example@evil.example", "\"a@x.example\"@evil.example", "\"a@x.example\"@evil.example"),
        ("a@evil.example@x.example", "\"a@evil.example\"@x.example", "\"a@evil.example\"@x.example"),
        ("a@x.example.evil.example", "a@x.example.evil.example", "a@x.example.evil.example"),
        ("a%b@x.example", "a%b@x.example", "a%b@x.example"),
        ("y.example!a@x.example", "y.example!a@x.example", "y.example!a@x.example"),
        // Dots too many.
        ("a..b@x.example", "a..b@x.example", "a..b@x.example"),
        (".a.@x.example", ".a.@x.example", ".a.@x.example"),
        ("a@x..example", "", ""),
        ("a@.x.example", "", ""),
        ("a@x.example..", "", ""),
        // Brackets that do not fit.
        ("<a@x.example", "a@x.example", "a@x.example"),
        ("<<a@x.example>>", "a@x.example", "a@x.example"),
        ("a@x.example>", "", "a@x.example"),
        ("a>b@x.example", "", ""),
        ("<a<b@x.example>", "", ""),
        ("<a>b@x.example", "", ""),
        ("<a@x.example>.evil.example", "", "a@x.example"),
        ("<<a@evil>.x.example>", "", ""),
        ("a@evil>.x.example", "", ""),
        ("<a@x.example><b@x.example>", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("<a,b@x.example>", "", ""),
        ("<a;b@x.example>", "", ""),
        ("a\\,b@x.example", "", ""),
        ("<a@x.example, b@x.example>", "", "a@x.example b@x.example"),
        ("<@r.example b:a@x.example>", "", ""),
        ("<@:a@x.example>", "", ""),
        ("a@[192.0.2.1", "", ""),
        ("a@[192.0.2.1]x", "", ""),
        ("a@[]", "", ""),
        ("[a]@x.example", "", ""),
    ]);
}

#[test]
fn what_people_and_programs_write_into_lists_is_read() {
    check(&[
        ("Smith, A <a@x.example>", "a@x.example", "a@x.example"),
        ("Smith, A <a@x.example>; Jones, B <b@x.example>", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("a@x.example; b@x.example;", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("a@x.example b@x.example", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("Ann B. a@x.example", "", "a@x.example"),
        ("write to a@x.example. Thanks", "", "a@x.example"),
        ("mailto:a@x.example", "a@x.example", "a@x.example"),
        ("SMTP:a@x.example", "a@x.example", "a@x.example"),
        ("A <mailto:a@x.example>", "a@x.example", "a@x.example"),
        ("\"mailto:a\"@x.example", "\"mailto:a\"@x.example", "\"mailto:a\"@x.example"),
        ("x:a@x.example", "\"x:a\"@x.example", "a@x.example"),
        ("rfc822;a@x.example", "a@x.example", "a@x.example"),
        ("A \"the B\" <a@x.example", "a@x.example", "a@x.example"),
        ("\"A <a@x.example>, b@x.example", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("A <a@x.example, B <b@x.example>", "b@x.example", "a@x.example b@x.example"),
        ("A <a@x.example> B <b@x.example>", "a@x.example b@x.example", "a@x.example b@x.example"),
        ("a@x.example via 2001:db8::1; Sat, 22 Nov 2014 07:11:04 +0900", "a@x.example", ""),
    ]);
}

#[test]
fn what_is_no_address_is_none() {
    check(&both(&[
        ("", ""),
        (" \t\r\n ", ""),
        ("a", ""),
        ("@", ""),
        ("@x.example", ""),
        ("a@", ""),
        ("<>", ""),
        ("<a>", ""),
        ("host!path!a", ""),
        ("/G=A/S=B/O=C/ADMD= /C=DE/", ""),
        ("G=A;S=B;O=C;A= ;C=DE", ""),
        ("\"\"@x.example", ""),
        ("\"a@x.example", ""),
        ("a\\@x.example", ""),
        ("a@x_\u{0}.example", ""),
        ("a@-", "a@-"),
        ("a@x/y.example", ""),
        (",;:<>\"(\\", ""),
    ]));
}

#[test]
fn what_a_profile_has_as_an_address_is_one_and_nothing_else() {
    let read = |value: &str| Address::parse(value).map(|one| one.normal());
    for one in ["a@x.example", " <a@x.example> ", "(c) a@x.example", "mailto:a@x.example", "a . b@x.example"] {
        assert!(read(one).is_some(), "{one}");
    }
    for other in ["A <a@x.example>", "a@x.example,", "a@x.example,>", ";a@x.example", "a@x.example via b", "a@x.example b@y.example"] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn very_long_addresses_are_none_and_those_beside_them_are_found() {
    let cases = [
        format!("{}@x.example, a@x.example", "l".repeat(1000)),
        format!("l@{}, a@x.example", "d.".repeat(128)),
        format!("l@[{}:1], a@x.example", "1".repeat(60)),
        format!("\"{}\"@x.example, a@x.example", "\\\"".repeat(500)),
        format!("{}@x.example, a@x.example", "\u{130}".repeat(480)),
        format!("a (long {} comment) @x.example", "x".repeat(1 << 20)),
        format!("{} <a@x.example>", "Name ".repeat(1 << 18)),
        format!("\"{}\" <a@x.example>", "quoted, <".repeat(1 << 17)),
        format!("{}\r\n\t<a@x.example>", " ".repeat(1 << 20)),
        format!("{}, a@x.example", "<".repeat(1 << 20)),
    ];
    for value in cases {
        let shown = (shown(&trace(value.as_bytes())), shown(&list(value.as_bytes())));
        let begin: String = value.chars().take(30).collect();
        assert_eq!(shown, ("a@x.example".into(), "a@x.example".into()), "{begin}");
    }
}
