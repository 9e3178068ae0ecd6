//! Work on several cores whose results come in the order of the jobs.
//!
//! Each worker has a lane: every so manieth job, and a short queue of results. Whoever takes the results goes from lane to lane, so they are
//! in order, and nobody runs ahead of a slow one by more than his queue.

use crate::error::Result;
use std::sync::mpsc::sync_channel;

/// How many results of one lane may wait.
const WAITING: usize = 2;

/// Has `workers` threads do the jobs; `take` gets each result, in the order of the jobs, until it reports an error.
///
/// # Errors
/// What `take` reports.
pub fn in_order<J: Sync, R: Send>(
    jobs: &[J],
    workers: usize,
    work: impl Fn(&J) -> R + Sync,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    let workers = workers.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..workers)
            .map(|lane| {
                let (results, lane_of) = sync_channel(WAITING);
                let work = &work;
                scope.spawn(move || {
                    // Nobody takes any more: then nothing more is to be done.
                    jobs.iter().skip(lane).step_by(workers).try_for_each(|job| results.send(work(job)).ok())
                });
                lane_of
            })
            .collect();
        let results = lanes.iter().cycle().take(jobs.len()).filter_map(|lane| lane.recv().ok());
        results.into_iter().try_for_each(&mut take)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Status};

    #[test]
    fn results_come_in_the_order_of_the_jobs_whoever_is_slow() {
        let jobs: Vec<u64> = (0..200).collect();
        for workers in [1, 2, 7, 500] {
            let mut taken = Vec::new();
            let work = |job: &u64| {
                std::thread::sleep(std::time::Duration::from_micros(job * 7 % 300));
                *job
            };
            in_order(&jobs, workers, work, |result| {
                taken.push(result);
                Ok(())
            })
            .unwrap();
            assert_eq!(taken, jobs);
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let jobs: Vec<u64> = (0..100_000).collect();
        let done = std::sync::atomic::AtomicU64::new(0);
        let work = |_: &u64| done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let result = in_order(&jobs, 2, work, |_| Err(Error::new(Status::Data, "x")));
        assert!(result.is_err() && done.into_inner() < 100);
        assert!(in_order(&[] as &[u64], 2, |job| *job, |_| Ok(())).is_ok());
    }
}
