//! The library behind the mdrop tools: formats, identities, durability, protocols, and the frame round a tool's main.
//!
//! The layers, innermost first; each may use those above it in this list, never those below:
//!
//! 1. formats and identities, which know nothing of sockets or files: [`octets`], [`utf7`], [`time`], [`identity`], [`uids`],
//!    [`error`], [`header`], [`address`], [`journal`], [`fingerprint`], [`folder`], [`record`], [`stream`], [`inner`], [`words`],
//!    [`profile`], [`users`];
//! 2. [`durable`], which alone makes, syncs, names and removes files; [`spool`], [`held`], [`command`], [`config`], [`interrupt`];
//! 3. [`archive`], the folder of mdrop-archive(5); [`disk`], mail that already lies on disk;
//! 4. [`net`], which alone opens sockets;
//! 5. [`frame`], which only a tool's main uses.

pub mod address;
pub mod archive;
pub mod command;
pub mod config;
pub mod disk;
pub mod durable;
pub mod error;
pub mod fingerprint;
pub mod folder;
pub mod frame;
pub mod header;
pub mod held;
pub mod identity;
pub mod inner;
pub mod interrupt;
pub mod journal;
pub mod net;
pub mod octets;
pub mod profile;
pub mod record;
pub mod spool;
pub mod stream;
pub mod time;
pub mod uids;
pub mod users;
pub mod utf7;
pub mod words;
