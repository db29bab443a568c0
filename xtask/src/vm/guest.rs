//! The guest's first program, and the words by which it tells the host what
//! becomes of the command. `run` is the other end.
//!
//! Four serial ports, because all kernels have their driver built in: the
//! kernel's messages, the command's stdout, its stderr, and these words.

use crate::cmd;

/// Where the copied files are and the command starts.
pub(crate) const WORKING_FOLDER: &str = "/work";

/// PID 1. The command writes into pipes, so that it does not take the serial
/// ports for a terminal, and has a session of its own. What its children still
/// write after its end is waited for a second, not for ever.
/// `stty` drains the port before it changes anything.
pub(crate) const INIT: &str = r#"#!/bin/busybox sh
export PATH=/usr/local/bin:/usr/bin:/bin:/sbin HOME=/root TERM=dumb
mount -t devtmpfs -o mode=755 dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmp /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
ip link set lo up
hostname guest
for port in 1 2 3; do stty -F /dev/ttyS$port raw -echo; done
mkfifo /run/out /run/err
cat /run/out >/dev/ttyS1 & out=$!
cat /run/err >/dev/ttyS2 & err=$!
echo ready >/dev/ttyS3
cd /work
setsid /command </dev/null >/run/out 2>/run/err
status=$?
for wait in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null || break
    sleep 0.1
done
for port in 1 2; do stty -F /dev/ttyS$port raw -echo; done
echo "exit $status" >/dev/ttyS3
stty -F /dev/ttyS3 raw -echo
reboot -f
"#;

/// What the guest says on its last port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The file systems are mounted, the command begins.
    Ready,
    /// The command is over, and all its output is out.
    Exit(i32),
}

impl Word {
    /// Reads one line of the port.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line == "ready" {
            return Some(Self::Ready);
        }
        line.strip_prefix("exit ")?.parse().ok().map(Self::Exit)
    }
}

/// The script that runs the command, word by word as it was given.
pub(crate) fn command_script(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| cmd::quote(word)).collect();
    format!("#!/bin/busybox sh\nexec {}\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_guest() {
        assert_eq!(Word::parse("ready\n"), Some(Word::Ready));
        assert_eq!(Word::parse("exit 137\r\n"), Some(Word::Exit(137)));
        assert_eq!(Word::parse("exit"), None);
        assert_eq!(Word::parse("[    1.0] noise"), None);
    }

    #[test]
    fn a_command_keeps_its_words() {
        let command = ["sh", "-c", "echo \"$1\"; exit 3", "x", "two  words"].map(str::to_owned);
        let script = command_script(&command);
        assert!(
            script.ends_with("exec sh -c 'echo \"$1\"; exit 3' x 'two  words'\n"),
            "{script}"
        );
    }
}
