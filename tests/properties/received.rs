//! Whatever a Received field holds, it names nobody who does not stand in it.

use crate::properties::{is_subsequence, squeezed};
use crate::received;

pub fn check(value: &[u8]) {
    let read = received::read(value);
    let by = read.by.clone().unwrap_or_default();
    for one in read.recipients.iter().chain(&read.envelope_from).chain(&read.original) {
        let (spelt, value) = (squeezed(one.spelt().as_bytes()), squeezed(value));
        let is_completed = String::from_utf8_lossy(&spelt).ends_with(&format!("@{by}"));
        assert!(is_completed || is_subsequence(&spelt, &value), "it does not stand there: {one:?}");
        assert!(!one.normal().contains(char::is_control));
    }
}
