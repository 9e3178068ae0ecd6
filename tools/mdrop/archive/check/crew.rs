//! Threads that do pieces of work, and hand on what comes out in the order of the pieces.
//!
//! So the result is the same however many threads there are. No thread runs further ahead than a few pieces of the one that is waited for,
//! so that one slow piece does not let the results of all others pile up.

use crate::error::{Error, Result, Status};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

/// How many pieces a thread may be ahead.
const AHEAD: usize = 16;

/// Which piece is next to be begun, how many have been handed on, and whether no more are to be begun.
#[derive(Default)]
struct Progress {
    begun: usize,
    taken: usize,
    stop: bool,
}

#[derive(Default)]
struct Crew {
    progress: Mutex<Progress>,
    moved: Condvar,
}

impl Crew {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of `count`, as soon as it may be begun.
    fn next(&self, count: usize, ahead: usize) -> Option<usize> {
        let mut progress = self.progress();
        while !progress.stop && progress.begun < count && progress.begun >= progress.taken + ahead {
            progress = self.moved.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        let piece = progress.begun;
        progress.begun += 1;
        (!progress.stop && piece < count).then_some(piece)
    }

    fn took(&self) {
        self.progress().taken += 1;
        self.moved.notify_all();
    }

    fn stop(&self) {
        self.progress().stop = true;
        self.moved.notify_all();
    }
}

/// Ends all threads when one of them dies, for what it did not do would be waited for.
struct Stopping<'a>(&'a Crew);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// Does `work` for each of `pieces` on `jobs` threads; `take` gets the results here, in the order of the pieces.
///
/// # Errors
/// The first that `work` or `take` returns, in that order; nothing is begun after it.
pub(super) fn in_order<P: Sync, T: Send>(
    jobs: usize,
    pieces: &[P],
    work: impl Fn(&P) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let (crew, ahead) = (Crew::default(), jobs.saturating_mul(AHEAD));
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let (crew, work) = (&crew, &work);
        for _ in 0..jobs.min(pieces.len()) {
            let send = send.clone();
            scope.spawn(move || {
                let _stopping = Stopping(crew);
                while let Some(number) = crew.next(pieces.len(), ahead) {
                    let Some(piece) = pieces.get(number) else { return };
                    if send.send((number, work(piece))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let taken = hand_on(crew, pieces.len(), &receive, &mut take);
        crew.stop();
        taken
    })
}

fn hand_on<T>(
    crew: &Crew,
    count: usize,
    receive: &mpsc::Receiver<(usize, Result<T>)>,
    take: &mut impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut waiting = BTreeMap::new();
    for wanted in 0..count {
        let result = loop {
            if let Some(result) = waiting.remove(&wanted) {
                break result;
            }
            let (number, result) = receive.recv().map_err(|_| Error::new(Status::Software, "a thread has died"))?;
            waiting.insert(number, result);
        };
        take(result?)?;
        crew.took();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_the_order_of_the_pieces_whatever_the_threads() {
        let pieces: Vec<u64> = (0..200).collect();
        for jobs in [1, 2, 7] {
            let mut seen = Vec::new();
            let work = |piece: &u64| {
                std::thread::sleep(Duration::from_micros(piece * 7919 % 500));
                Ok(*piece)
            };
            in_order(jobs, &pieces, work, |piece| {
                seen.push(piece);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, pieces, "{jobs} threads");
        }
    }

    #[test]
    fn an_error_ends_all_threads() {
        let pieces: Vec<u64> = (0..10_000).collect();
        let bad = |piece: u64| if piece == 100 { Err(Error::new(Status::Data, "bad")) } else { Ok(()) };
        let mut seen = 0;
        let mut count = |()| {
            seen += 1;
            Ok(())
        };
        assert!(in_order(3, &pieces, |piece| bad(*piece), &mut count).is_err());
        assert_eq!(seen, 100);
        assert!(in_order(3, &pieces, |piece| Ok(*piece), bad).is_err());
    }
}
