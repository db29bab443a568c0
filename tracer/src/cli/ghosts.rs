//! Processes whose end, or whose reaping, was lost. Without it they would count as living or
//! as zombies, and be remembered for as long as nobody gets their pids. A while after a loss
//! it is looked who of them is no longer there.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use crate::{event::ProcessKey, kernel::procfs::Proc};

/// How long after a loss is looked, and how long after that once more: what was told
/// of an end has come by then.
const AFTER: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    due: Option<Instant>,
    /// Who was gone the last time.
    gone: HashSet<ProcessKey>,
}

impl Ghosts {
    /// Events were lost.
    pub(super) fn lost(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + AFTER);
    }

    /// When it is to be looked.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Who of these was not there twice in a row.
    pub(super) fn look(&mut self, there: Vec<ProcessKey>, proc: &Proc) -> Vec<ProcessKey> {
        let gone = there.into_iter().filter(|&key| !proc.is_still(key));
        let (sure, new) = gone.partition::<Vec<_>, _>(|key| self.gone.contains(key));
        self.gone = new.into_iter().collect();
        self.due = (!self.gone.is_empty()).then(|| Instant::now() + AFTER);
        sure
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn who_is_gone_twice_is_dead() {
        let root = env::temp_dir().join(format!("sigtrace-ghosts-{}", std::process::id()));
        fs::create_dir_all(root.join("50")).unwrap();
        let stat = "50 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 50 0";
        fs::write(root.join("50/stat"), stat).unwrap();
        let key = |pid| ProcessKey {
            pid,
            start_ns: 500_000_000,
        };
        let again = ProcessKey {
            pid: 50,
            start_ns: 100_000_000,
        };
        let living = vec![key(50), key(60), again];
        let (proc, mut ghosts) = (Proc::new(&root), Ghosts::default());
        assert_eq!(ghosts.due(), None);
        ghosts.lost();
        assert!(ghosts.due().is_some());
        assert_eq!(ghosts.look(living.clone(), &proc), []);
        // Whose pid another one has is gone, too.
        assert_eq!(ghosts.look(living, &proc), [key(60), again]);
        assert_eq!(ghosts.look(vec![key(50)], &proc), []);
        assert_eq!(ghosts.due(), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
