//! Whose an address is: the users list of mdrop-users(5), in each of its forms, and the directory made of it and the profile.
//!
//! An address belongs at any time to one user, to a group that says so on purpose, or to nobody. Two claims to one address are an error,
//! because either answer would put mail into the wrong person's archive.

mod digest;
mod directory;
mod entries;
mod file;
mod list;
mod locality;
mod pattern;
mod span;
mod virtual_map;

pub use digest::settings_digest;
pub use directory::{Directory, Local, Whose};
pub use list::Users;
