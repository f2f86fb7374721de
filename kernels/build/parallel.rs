//! Runs compilers in parallel, as many at once as cargo runs jobs.

use std::env;
use std::sync::Mutex;

/// The results of all jobs, in their order; jobs start in the same order.
///
/// # Errors
/// The first error in that order.
pub fn all<T: Send>(jobs: Vec<impl FnOnce() -> Result<T, String> + Send>) -> Result<Vec<T>, String> {
    let at_once = env::var("NUM_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(1usize).max(1);
    let left = Mutex::new(jobs.into_iter().enumerate());
    let next = || left.lock().map_or(None, |mut left| left.next());
    let work = || {
        let mut done = Vec::new();
        while let Some((index, job)) = next() {
            done.push((index, job()));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.collect::<Result<Vec<_>, _>>()
            .map_err(|_| "a thread of the build script has panicked".to_owned())
    })?
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
