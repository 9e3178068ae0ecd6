//! Whose an address is, at the moment of one message's delivery.

use mdrop::address::Address;
use mdrop::time::Time;
use mdrop::users::Directory;

/// The directory at one moment.
#[derive(Debug)]
pub struct Lookup<'a> {
    directory: &'a Directory,
    at: Option<Time>,
    /// The addresses whose users could not be told, because the moment is not known.
    undated: Vec<String>,
}

impl<'a> Lookup<'a> {
    /// The directory at the moment of delivery, if that is known.
    #[must_use]
    pub fn new(directory: &'a Directory, at: Option<Time>) -> Self {
        Self { directory, at, undated: Vec::new() }
    }

    /// The users who have a local address.
    pub fn users(&mut self, address: &Address) -> Vec<String> {
        let whose = self.directory.whose(address, self.at);
        let normal = if whose.undated { address.normal() } else { String::new() };
        if whose.undated && !self.undated.contains(&normal) {
            self.undated.push(normal);
        }
        whose.users
    }

    /// Whether it could not be told of some address.
    #[must_use]
    pub fn is_undated(&self) -> bool {
        !self.undated.is_empty()
    }

    /// What is to be told of it.
    pub fn findings(self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |address| format!("when it was delivered is not known, so it is not filed under who has {address} for a time only");
        self.undated.into_iter().map(move |address| ("undated", text(address)))
    }
}
