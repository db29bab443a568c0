//! The threads of a process that has several: any of them may be the one that a signal
//! waits for.

use std::{fs, path::Path};

use super::{function, status::Status};
use crate::event::Thread;

/// So many are looked at: as many as the kernel side asks whether they block a signal.
const MOST: usize = sigtrace_common::record::THREADS;

/// Those of the process that has this folder.
pub(super) fn of(folder: &Path) -> Vec<Thread> {
    let Ok(entries) = fs::read_dir(folder.join("task")) else {
        return Vec::new();
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.take(MOST).filter_map(|path| one(&path)).collect()
}

fn one(path: &Path) -> Option<Thread> {
    let tid = path.file_name()?.to_str()?.parse().ok()?;
    let status = Status::of_thread(&fs::read(path.join("status")).ok()?);
    Some(Thread {
        tid,
        state: status.dispositions.state,
        pending: status.dispositions.pending,
        blocked: status.dispositions.blocked,
        function: function(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_may_be_dead() {
        let root = std::env::temp_dir().join(format!("sigtrace-threads-{}", std::process::id()));
        let threads = [
            (7, "Z (zombie)", "0", "0", "0"),
            (9, "D (disk sleep)", "200", "4000", "kernel_clone"),
        ];
        for (tid, state, pending, blocked, place) in threads {
            let folder = root.join(format!("task/{tid}"));
            fs::create_dir_all(&folder).unwrap();
            let status =
                format!("State:\t{state}\nThreads:\t2\nSigPnd:\t{pending}\nSigBlk:\t{blocked}\n");
            fs::write(folder.join("status"), status).unwrap();
            fs::write(folder.join("wchan"), place).unwrap();
        }
        let mut found = of(&root);
        found.sort_by_key(|thread| thread.tid);
        assert_eq!((found[0].tid, found[0].state), (7, b'Z'));
        let sleeper = Thread {
            tid: 9,
            state: b'D',
            pending: 0x200,
            blocked: 0x4000,
            function: Some("kernel_clone".into()),
        };
        assert_eq!(found[1], sleeper);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(of(&root), []);
    }
}
