//! What to do when the connection broke, without I/O: go on with another one, without the message at which it breaks, or give up.
//!
//! A message is left out only after it has broken two connections, the second time asked for alone: then it is surely that message, and
//! not one that was on its way beside it. What is left out is tried again in the next run.

use mdrop::profile::Profile;
use std::time::Duration;

/// The longest pause before connecting again.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How many messages in a row may be left out: a server that breaks at each is broken itself.
const MOST_LEFT_OUT: u32 = 10;

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<K> {
    /// Connect again after the pause, and go on, with the suspect alone first.
    Again(Duration),
    /// Leave this message out; connect again after the pause, and go on.
    LeaveOut(Duration, K),
    /// It is no use.
    GiveUp,
}

/// What was seen of a connection so far.
#[derive(Debug)]
pub struct Patience<K> {
    retries: u32,
    pause: Duration,
    /// How often the connection broke with nothing handed on in between.
    broken: u32,
    left_out: u32,
    suspect: Option<K>,
    dropped: Option<K>,
}

impl<K: Clone + PartialEq> Patience<K> {
    /// The patience that a profile asks for.
    pub fn of(profile: &Profile) -> Self {
        Self::new(profile.account.retries, profile.account.retry_pause)
    }

    /// Patience for so many connections in a row, the first after `pause`.
    pub fn new(retries: u32, pause: Duration) -> Self {
        Self { retries, pause, broken: 0, left_out: 0, suspect: None, dropped: None }
    }

    /// The message at which the last connection broke, if it is not cleared since.
    pub fn suspect(&self) -> Option<&K> {
        self.suspect.as_ref()
    }

    /// The message that is left out since the connection last broke at one, if it is; so that it is known even where no other connection
    /// can be made.
    pub fn dropped(&self) -> Option<&K> {
        self.dropped.as_ref()
    }

    /// A message was handed on.
    pub fn progressed(&mut self) {
        (self.broken, self.left_out, self.suspect) = (0, 0, None);
    }

    /// The connection broke, or could not be made; `at` is the message that was awaited next, if one was.
    pub fn broke(&mut self, at: Option<K>) -> Next<K> {
        let again = at.is_some() && at == self.suspect;
        if at.is_some() {
            self.dropped = None;
        }
        if let Some(message) = at.clone().filter(|_| again && self.left_out < MOST_LEFT_OUT && self.retries > 0) {
            self.left_out += 1;
            (self.broken, self.suspect) = (0, None);
            self.dropped = Some(message.clone());
            return Next::LeaveOut(self.pause, message);
        }
        self.suspect = at.or(self.suspect.take());
        if self.broken >= self.retries || again {
            return Next::GiveUp;
        }
        let doubled = 2_u32.saturating_pow(self.broken);
        self.broken += 1;
        Next::Again(self.pause.saturating_mul(doubled).min(LONGEST_PAUSE.max(self.pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn again(seconds: u32) -> Next<u32> {
        Next::Again(SECOND * seconds)
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_the_retries() {
        let mut patience = Patience::<u32>::new(8, SECOND);
        let pauses: Vec<Next<u32>> = (0..9).map(|_| patience.broke(None)).collect();
        let expected: Vec<Next<u32>> = [1, 2, 4, 8, 16, 32, 60, 60].into_iter().map(again).chain([Next::GiveUp]).collect();
        assert_eq!(pauses, expected);
        patience.progressed();
        assert_eq!(patience.broke(None), again(1));
        assert_eq!(Patience::<u32>::new(0, SECOND).broke(Some(1)), Next::GiveUp);
    }

    #[test]
    fn a_message_is_left_out_when_it_breaks_a_second_connection_alone() {
        let mut patience = Patience::new(3, SECOND);
        assert_eq!((patience.broke(Some(7)), patience.suspect()), (again(1), Some(&7)));
        // The server is away for a while: that says nothing of the message.
        assert_eq!((patience.broke(None), patience.suspect()), (again(2), Some(&7)));
        assert_eq!((patience.broke(Some(7)), patience.suspect()), (Next::LeaveOut(SECOND, 7), None));
        assert_eq!(patience.broke(Some(8)), again(1));
        patience.progressed();
        assert_eq!(patience.broke(Some(8)), again(1), "it came in between, so it is not to blame");
    }

    #[test]
    fn a_server_that_breaks_at_every_message_is_given_up() {
        let mut patience = Patience::new(3, SECOND);
        let left_out = (0..100).map_while(|message| {
            assert_eq!(patience.broke(Some(message)), again(1));
            matches!(patience.broke(Some(message)), Next::LeaveOut(..)).then_some(())
        });
        assert_eq!(left_out.count(), usize::try_from(MOST_LEFT_OUT).unwrap());
        assert_eq!(patience.broke(Some(1000)), again(2));
    }
}
