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
/// Everybody is looked at [`LOOKS`] times in this span at most: each takes
/// milliseconds on a busy machine.
const SPAN: Duration = Duration::from_secs(1);
const LOOKS: u32 = 8;
/// So many namesakes are enough.
const MOST: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Namesakes {
    /// When the span began, and how often was looked in it.
    span: Option<(Instant, u32)>,
}

impl Namesakes {
    /// Looks, if it is time.
    pub(super) fn look(&mut self, refused: &mut Refused, proc: &mut Proc) {
        if let Some(denial) = refused
            .denial
            .as_ref()
            .filter(|denial| denial.is_by_module())
        {
            refused.profiles = Some(Profiles {
                sender: proc.profile(refused.current.key).into(),
                target: proc.profile(denial.target.key).into(),
            });
        }
        let Some(pid) = refused.wanted_pid().filter(|_| refused.error == ESRCH) else {
            return;
        };
        let span = self.span.filter(|(began, _)| began.elapsed() < SPAN);
        let (began, looks) = span.unwrap_or((Instant::now(), 0));
        if looks >= LOOKS {
            return;
        }
        self.span = Some((began, looks + 1));
        let own = refused.current.pidns();
        let seen = |task: &Task| own.is_none_or(|ns| task.namespaces.contains(&ns));
        refused.namesakes = proc.called(pid).ok().map(|mut found| {
            // Low pids are in every container; those of strangers mean nothing.
            found.retain(|task| task.key.pid == pid || seen(task));
            found.truncate(MOST);
            found
        });
    }
}
