//! PLAIN (RFC 4616): name and password in one breath.

use super::{Mechanism, unexpected};
use crate::error::Result;

/// Our half.
pub(super) struct Plain(Vec<u8>);

impl Plain {
    pub fn new(user: &str, password: &str) -> Self {
        Self(format!("\0{user}\0{password}").into_bytes())
    }
}

impl Mechanism for Plain {
    fn first(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.0))
    }

    fn answer(&mut self, _: &[u8]) -> Result<Vec<u8>> {
        Err(unexpected("PLAIN has nothing more to say"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_says_what_rfc_4616_section_4_shows() {
        assert_eq!(Plain::new("tim", "tanstaaftanstaaf").first().as_deref(), Some(&b"\0tim\0tanstaaftanstaaf"[..]));
        assert!(Plain::new("tim", "x").answer(b"more").is_err());
    }
}
