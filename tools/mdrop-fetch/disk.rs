//! Fetching from disk: an mbox, a Maildir, a tree of .eml files, none of which is ever written to; or standard input.

use crate::job::{Facts, Job};
use crate::select;
use mdrop::disk::{self, Found, Notice, Source, Visitor};
use mdrop::error::{Error, Result, Status};
use mdrop::frame;
use mdrop::held::{Held, Taker};
use mdrop::identity::Place;
use mdrop::octets::Octets;
use mdrop::profile::AccountSettings;
use mdrop::record::{Listing, ObjectIds};
use std::collections::BTreeMap;

/// Where the profile says that the mail lies.
pub fn source(account: &AccountSettings) -> Result<Source<'_>> {
    if account.reads_stdin() {
        return Ok(Source::Stdin(Box::new(frame::stdin()?)));
    }
    account.path.as_deref().map(Source::Path).ok_or_else(|| Error::new(Status::Config, "[account] needs path = \"…\""))
}

/// Reads all mail under the profile's path.
pub fn read(job: &mut Job) -> Result<()> {
    let account = &job.profile.account;
    let source = source(account)?;
    let mut messages = Messages { job, listings: BTreeMap::new() };
    let visited = disk::visit(account, source, &mut messages);
    let Messages { job, listings } = messages;
    if visited.is_ok() {
        for name in select::missing_names(&account.mailboxes, listings.keys()) {
            job.fail_mailbox(&name.into(), Error::new(Status::NoInput, "no such mailbox"))?;
        }
    }
    listings.into_values().try_for_each(|listing| job.log_listing(listing))?;
    visited
}

/// Whether a message is archived, as far as its name tells: one with another size under the same name is another message, unless the name
/// says what the message is.
fn is_known(found: &Found, known: Option<&Option<u64>>) -> bool {
    known.is_some_and(|size| found.named_by_digest || size.is_none_or(|size| size == found.size))
}

/// Puts messages into the stream, and keeps the listings until all is seen.
struct Messages<'j, 'a> {
    job: &'j mut Job<'a>,
    listings: BTreeMap<Octets, Listing>,
}

fn place(found: &Found) -> Place {
    Place::Disk { mailbox: found.mailbox.clone(), path: found.path.clone() }
}

impl Messages<'_, '_> {
    fn is_read(&self, mailbox: &Octets) -> bool {
        // What was not listed may be a folder that can't be entered, which the profile can exclude, too.
        let excluded = || select::unread_name(mailbox, '/', &["*".into()], &self.job.profile.account.exclude);
        self.listings.get(mailbox).map_or_else(|| excluded().is_none(), |listing| listing.unread.is_none())
    }
}

impl Visitor for Messages<'_, '_> {
    fn mailbox(&mut self, name: &Octets, delimiter: char) -> Result<bool> {
        if !self.listings.contains_key(name) {
            let account = &self.job.profile.account;
            let mut listing = self.job.listing(Some(name.clone()));
            listing.unread = select::unread_name(name, delimiter, &account.mailboxes, &account.exclude);
            self.listings.insert(name.clone(), listing);
        }
        Ok(self.is_read(name))
    }

    fn wants(&mut self, found: &Found) -> Result<bool> {
        let Some(listing) = self.listings.get_mut(&found.mailbox) else { return Ok(false) };
        listing.listed.add(found.size);
        if listing.unread.is_some() {
            return Ok(false);
        }
        if is_known(found, self.job.known.paths.get(&(found.mailbox.clone(), found.path.clone()))) {
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
        if self.is_read(mailbox) { self.job.fail_mailbox(mailbox, error) } else { Ok(()) }
    }

    fn notice(&mut self, found: Option<&Found>, notice: Notice) -> Result<()> {
        let origin = found.map(|found| self.job.origin(place(found)));
        self.job.find_of(origin, notice.finding, notice.text)
    }
}

impl Taker<Found> for Messages<'_, '_> {
    fn message(&mut self, found: &Found, octets: &mut Held) -> Result<()> {
        let facts = Facts {
            place: place(found),
            received: None,
            server_size: Some(found.size),
            objects: ObjectIds::default(),
            flags: found.flags.clone(),
        };
        self.job.write(facts, octets)
    }

    fn failed(&mut self, found: &Found, error: Error) -> Result<()> {
        self.job.fail(Some(place(found)), error, Some(found.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_counts_only_where_the_name_says_nothing_of_the_octets() {
        let cases = [
            (false, None, false),
            (true, None, false),
            (false, Some(None), true),
            (false, Some(Some(10)), true),
            (false, Some(Some(11)), false),
            (true, Some(Some(11)), true),
        ];
        for (named_by_digest, known, expected) in cases {
            let found = Found { mailbox: "m".into(), path: "p".into(), size: 10, flags: Vec::new(), named_by_digest };
            assert_eq!(is_known(&found, known.as_ref()), expected, "{named_by_digest} {known:?}");
        }
    }
}
