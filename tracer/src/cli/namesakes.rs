//! What `/proc` adds to a signal that was refused, looked up when that comes in:
//! who has the pid that was not found in another PID namespace, and what the
//! security modules call the two sides. What it means is decided in
//! `explain::refused`.

use std::time::{Duration, Instant};

use crate::{
    event::{Profiles, Refused, Task},
    kernel::procfs::Proc,
};

const ESRCH: i32 = 3;
/// Everybody is asked at most so often: it takes milliseconds on a busy machine.
const EVERY: Duration = Duration::from_millis(250);
/// So many namesakes are enough.
const MOST: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Namesakes {
    looked: Option<Instant>,
}

impl Namesakes {
    /// Looks, if it is time.
    pub(super) fn look(&mut self, refused: &mut Refused, proc: &mut Proc) {
        if let Some(denial) = refused.denial.as_ref().filter(|denial| denial.by_module) {
            refused.profiles = Some(Profiles {
                sender: proc.profile(refused.current.key).into(),
                target: proc.profile(denial.target.key).into(),
            });
        }
        let Some(pid) = refused.wanted_pid().filter(|_| refused.error == ESRCH) else {
            return;
        };
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        refused.namesakes = proc.called(pid).ok().map(|found| {
            let others = found.into_iter().filter(|task| task.key.pid != 0);
            others.take(MOST).collect::<Vec<Task>>()
        });
    }
}
