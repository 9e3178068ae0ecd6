//! Whatever a value holds, an address that comes out of it stands in it, and is the same when it is written and read again.

use super::{is_subsequence, squeezed};
use mdrop::address::{self, Address};
use std::collections::HashSet;

pub fn check(value: &[u8]) {
    let (trace, list) = (address::trace(value), address::list(value));
    let is_null = address::is_null(value);
    assert!(!is_null || trace.is_empty());
    let mut octets = 0;
    for one in trace.iter().chain(&list) {
        stands_in(one, value);
        is_itself_again(one);
        octets += one.spelt().as_bytes().len();
    }
    assert!(octets <= 2 * value.len(), "more addresses than octets");
    if is_simple(value) {
        let listed: HashSet<String> = list.iter().map(Address::normal).collect();
        assert!(trace.iter().all(|one| listed.contains(&one.normal())), "a list lacks what a trace field names");
    }
    stand_side_by_side(&list);
    if let Ok(text) = std::str::from_utf8(value) {
        if let Some(one) = Address::parse(text) {
            assert_eq!(trace, [one], "what is one address is that in a trace field, too");
        }
        let _ = address::fold_domain(text).map(|domain| assert_eq!(address::fold_domain(&domain).as_deref(), Some(domain.as_str())));
    }
}

/// Its spelling stands in the value, but for white space and comments.
fn stands_in(one: &Address, value: &[u8]) {
    let (spelt, value) = (squeezed(one.spelt().as_bytes()), squeezed(value));
    assert!(is_subsequence(&spelt, &value), "it does not stand there: {one:?}");
    let whole = memchr::memmem::find(&value, &spelt).is_some();
    assert!(whole || value.contains(&b'('), "it was put together: {one:?}");
}

fn is_itself_again(one: &Address) {
    let normal = one.normal();
    assert!(!normal.contains(char::is_control), "{normal:?}");
    let again = Address::parse(&normal);
    assert_eq!(again.as_ref().map(Address::normal).as_deref(), Some(normal.as_str()));
    assert_eq!(Address::from_parts(one.local(), one.domain()).map(|a| a.normal()), Some(normal));
    assert_eq!(address::fold_domain(one.domain()).as_deref(), Some(one.domain()));
    if let Some(shorter) = one.without_prefix("a") {
        assert!(one.local().ends_with(shorter.local()) && shorter.domain() == one.domain());
    }
}

/// Whether nothing in the value means one thing to a trace field and another to a list.
fn is_simple(value: &[u8]) -> bool {
    let joins = |b: &u8| b".@[]".contains(b);
    let blank_beside_joint = value
        .windows(2)
        .any(|pair| (pair[0].is_ascii_whitespace() && joins(&pair[1])) || (joins(&pair[0]) && pair[1].is_ascii_whitespace()));
    !blank_beside_joint && !value.contains(&b':') && !value.contains(&b'(')
}

/// Addresses in their normal form are found again side by side, in both ways to write them, and none inside a display name.
fn stand_side_by_side(all: &[Address]) {
    let normal: Vec<String> = all.iter().take(8).map(Address::normal).collect();
    let again = |value: &str| address::list(value.as_bytes()).iter().map(Address::normal).collect::<Vec<_>>();
    assert_eq!(again(&normal.join(", ")), normal);
    let named: Vec<String> = normal.iter().map(|one| format!("Name <{one}>;\r\n ")).collect();
    assert_eq!(again(&named.concat()), normal);
    let hidden: String =
        normal.join(", ").chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!matches!(c, '"' | '\\')))).collect();
    assert_eq!(again(&format!("\"{hidden}\" <m@evil.example>")), ["m@evil.example"]);
}
