//! --calibrate: which fields at which positions are genuine for this provider, and the lines of the profile that say so.
//!
//! Nothing is learnt while mail is routed: an administrator looks at a sample, reads what speaks for each line, and puts it into the
//! profile. The answer is itself the `[route]` section, with its reasons as comments, so that there is nothing to copy together.

mod domains;
mod hosts;
mod own;
mod places;
mod propose;
mod replay;
mod sample;
mod text;
mod view;

use crate::evidence::Header;
use crate::policy::Policy;
use mdrop::error::Result;
use mdrop::journal::{Format, Report};
use mdrop::profile::RouteSettings;
use mdrop::users::Users;

/// From how many messages on anything is proposed.
const FEW: usize = 10;

/// Whether so many messages are nearly all of them: 90 in a hundred. Less than that a sender, or a few of them, could write.
fn is_most(part: usize, of: usize) -> bool {
    is_part(part, of, 90)
}

/// Whether `part` is at least so many in a hundred.
fn is_part(part: usize, of: usize, percent: usize) -> bool {
    of > 0 && 100 * part >= percent * of
}

/// The domain under which messages are read where the profile names none; nobody can have it (RFC 6761 section 6.4).
const NOBODYS: &str = "domains.invalid";

/// What --calibrate needs to know and gathers.
#[derive(Debug)]
pub struct Calibration {
    profile: String,
    settings: RouteSettings,
    users: Option<Users>,
    sample: sample::Sample,
}

impl Calibration {
    /// An empty sample for a profile.
    #[must_use]
    pub fn new(profile: &str, settings: RouteSettings, users: Option<Users>) -> Self {
        Self { profile: profile.into(), settings, users, sample: sample::Sample::default() }
    }

    /// The policy under which the sample's headers are read: the profile's, which may lack domains.
    ///
    /// # Errors
    /// As [`Policy::new`].
    pub fn policy(&self) -> Result<Policy> {
        let mut settings = self.settings.clone();
        if settings.domains.is_empty() {
            settings.domains = vec![NOBODYS.into()];
        }
        Policy::new(&settings, self.users.clone())
    }

    /// Takes one message in; `octets` are its beginning, where they lie in memory.
    pub fn add(&mut self, policy: &Policy, origin: String, header: Header, report: Option<Report>, octets: Option<&[u8]>) {
        // A captured copy is one only where journal-from says so; else it is a delivery notification.
        let report = report.filter(|report| report.format != Format::Capture || !policy.journal_from.is_empty());
        self.sample.add(policy, origin, header, report, octets);
    }

    /// The answer.
    ///
    /// # Errors
    /// As [`Policy::new`].
    pub fn finish(&self) -> Result<String> {
        let proposal = propose::propose(&self.settings, self.users.as_ref(), &self.sample.kept)?;
        text::write(&self.profile, &self.sample, &proposal)
    }
}
