//! Users: address to person.
