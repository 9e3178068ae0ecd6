//! What people call those who have an address: the display name beside it in To, Cc or From.

use mdrop::address::Address;
use mdrop::header;
use std::collections::{HashMap, HashSet};

/// How much of a field is read.
const FIELD: usize = 64 << 10;
/// How long a name may be, in octets; longer ones are no names.
const NAME: usize = 500;

/// The names of these addresses (in normal form), as far as the header has any.
#[must_use]
pub fn find(octets: &[u8], wanted: &HashSet<&String>) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for field in header::fields(octets).filter(|field| ["from", "sender", "to", "cc"].iter().any(|name| field.is(name))) {
        let text = field.value.get(..field.value.len().min(FIELD)).map(String::from_utf8_lossy).unwrap_or_default();
        let Ok(list) = mailparse::addrparse(&text) else { continue };
        for single in list.iter().flat_map(singles) {
            let Some(name) = single.display_name.as_deref().map(str::trim).filter(|name| !name.is_empty() && name.len() <= NAME) else {
                continue;
            };
            let Some(address) = Address::parse(&single.addr).map(|address| address.normal()) else { continue };
            if wanted.contains(&address) && !name.contains('@') {
                found.entry(address).or_insert_with(|| decoded(name));
            }
        }
    }
    found
}

fn singles(address: &mailparse::MailAddr) -> Vec<&mailparse::SingleInfo> {
    match address {
        mailparse::MailAddr::Single(single) => vec![single],
        mailparse::MailAddr::Group(group) => group.addrs.iter().collect(),
    }
}

/// The name with its encoded words undone (RFC 2047).
fn decoded(name: &str) -> String {
    if !name.contains("=?") {
        return name.into();
    }
    let field = format!("X: {name}");
    mailparse::parse_header(field.as_bytes()).map_or_else(|_| name.into(), |(header, _)| header.get_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_beside_an_address_is_found_and_decoded() {
        let header = b"From: \"Smith, Alice\" <A.Smyth@Example.com>\r\nTo: x@example.com, =?utf-8?q?J=C3=B6rg_M?= <j@example.com>,\r\n k@example.com <k@example.com>\r\n\r\n";
        let wanted = ["a.smyth@example.com", "x@example.com", "j@example.com", "k@example.com"].map(String::from);
        let found = find(header, &wanted.iter().collect());
        let names: Vec<Option<&str>> = wanted.iter().map(|address| found.get(address).map(String::as_str)).collect();
        assert_eq!(names, [Some("Smith, Alice"), None, Some("J\u{f6}rg M"), None]);
    }
}
