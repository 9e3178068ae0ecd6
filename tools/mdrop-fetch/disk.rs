//! Fetching from disk: an mbox, a Maildir, a tree of .eml files, none of which is ever written to.

use crate::job::{Facts, Job};
use crate::select;
use mdrop::disk::{self, Found, Visitor};
use mdrop::error::{Error, Result, Status};
use mdrop::held::{Held, Taker};
use mdrop::identity::Place;
use mdrop::octets::Octets;
use mdrop::record::Listing;
use std::collections::BTreeMap;

/// Reads all mail under the profile's path.
pub fn read(job: &mut Job) -> Result<()> {
    let account = &job.profile.account;
    let path = account.path.as_deref().ok_or_else(|| Error::new(Status::Config, "[account] needs path = \"…\""))?;
    let mut messages = Messages { job, listings: BTreeMap::new() };
    let visited = disk::visit(account.protocol, path, &mut messages);
    let Messages { job, listings } = messages;
    listings.into_values().try_for_each(|listing| job.log_listing(listing))?;
    visited
}

/// Puts messages into the stream, and keeps the listings until all is seen.
struct Messages<'j, 'a> {
    job: &'j mut Job<'a>,
    listings: BTreeMap<Octets, Listing>,
}

fn place(found: &Found) -> Place {
    Place::Disk { mailbox: found.mailbox.clone(), path: found.path.clone() }
}

impl Visitor for Messages<'_, '_> {
    fn wants(&mut self, found: &Found) -> Result<bool> {
        let account = &self.job.profile.account;
        let unread = || select::unread_name(&found.mailbox, &account.mailboxes, &account.exclude);
        // Another size under the same name is another message.
        let size = self.job.known.paths.get(&(found.mailbox.clone(), found.path.clone()));
        let known = size.is_some_and(|size| size.is_none_or(|size| size == found.size));
        let new = || {
            let mut listing = self.job.listing(Some(found.mailbox.clone()));
            listing.unread = unread();
            listing
        };
        let listing = self.listings.entry(found.mailbox.clone()).or_insert_with(new);
        listing.listed.add(found.size);
        if listing.unread.is_some() {
            return Ok(false);
        }
        if known {
            listing.already.add(found.size);
            return Ok(false);
        }
        listing.names.push(found.path.to_string());
        if !self.job.dry_run {
            self.job.progress.expect(1, found.size);
        }
        Ok(!self.job.dry_run)
    }

    fn unreadable(&mut self, mailbox: &Octets, error: Error) -> Result<()> {
        self.job.fail_mailbox(mailbox, error)
    }
}

impl Taker<Found> for Messages<'_, '_> {
    fn message(&mut self, found: &Found, octets: &mut Held) -> Result<()> {
        let facts = Facts { place: place(found), received: None, server_size: Some(found.size), flags: found.flags.clone() };
        self.job.write(facts, octets)
    }

    fn failed(&mut self, found: &Found, error: Error) -> Result<()> {
        self.job.fail(Some(place(found)), error, Some(found.size))
    }
}
