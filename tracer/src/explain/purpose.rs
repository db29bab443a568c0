//! What each signal is for and who usually sends it, as signal(7) and the manuals
//! of those who send it have it.

use super::signals::{RTMAX, RTMIN};

/// Index n-1 for signal n.
const STANDARD: [&str; 31] = [
    "the terminal or its session is gone, or: read the configuration again; sent by the kernel at a hangup, by shells to their jobs, by service managers and log rotation to daemons",
    "interrupt from the keyboard; sent by the terminal for Ctrl-C to its foreground process group, and by people who ask a program to end",
    "quit from the keyboard, with a core dump; sent by the terminal for Ctrl-\\ and by people: Go and Java programs print their stacks, nginx and php-fpm end gracefully",
    "an instruction that the processor does not have; sent by the kernel to the thread that executed it, often on purpose by a compiler's trap",
    "a breakpoint or a single step was reached; sent by the kernel to a traced program, for its debugger",
    "the program found itself in a state that it cannot go on from; sent by abort(3) to itself (failed assertions, a corrupted heap, a runtime's fatal error), and by systemd's watchdog",
    "memory that is mapped and cannot be had: beyond the end of a file that was truncated, or broken hardware; sent by the kernel to the thread that touched it",
    "an arithmetic error, mostly an integer division by zero; sent by the kernel to the thread that computed",
    "end at once; sent by people and container engines once nothing else helped, and by the kernel for lack of memory and at the end of a PID namespace",
    "whatever a program's documentation says of it; sent by people and other programs (reopen log files, print statistics)",
    "memory that is not mapped or not allowed; sent by the kernel to the thread that touched it",
    "whatever a program's documentation says of it; sent by people and other programs",
    "a pipe or a socket has no reader any more; sent by the kernel to the thread that wrote to it",
    "the time of alarm(2) or setitimer(2) is up; sent by the kernel's timer to the process that set it",
    "the polite request to end; sent by kill without a signal's name, and by docker stop, the kubelet and systemd first, with SIGKILL after a grace period",
    "nothing on Linux: the kernel never sends it",
    "a child has ended, stopped or gone on; sent by the kernel to its parent, to wait for it",
    "go on after a stop; sent by shells for fg and bg, by people, and by systemd and timeout(1) after a request to end",
    "stop, whatever the program thinks of it; sent by people and by debuggers",
    "stop from the keyboard; sent by the terminal for Ctrl-Z to its foreground process group",
    "a background process reads from its terminal; sent by the terminal to its process group",
    "a background process writes to its terminal; sent by the terminal to its process group",
    "urgent data has come in on a socket; sent by the kernel, and by Go's runtime to its own threads to preempt them",
    "the limit of CPU time is reached (RLIMIT_CPU); sent by the kernel each second beyond the soft limit",
    "a file would grow beyond the limit of file sizes (RLIMIT_FSIZE); sent by the kernel to the thread that wrote",
    "a timer that counts the CPU time of the program itself is up (ITIMER_VIRTUAL); sent by the kernel to the process that set it",
    "a timer that counts CPU time is up (ITIMER_PROF); sent by the kernel to programs that are being profiled",
    "the terminal has another size; sent by the terminal to its foreground process group; Apache's httpd ends gracefully for it, and is stopped with it in a container",
    "a file or a socket is ready; sent by the kernel to whoever asked for that (O_ASYNC)",
    "power is failing; sent by whoever watches the power supply to PID 1, and by LXC to shut a container down",
    "a system call that does not exist or is not permitted; sent by the kernel for a seccomp filter",
];

/// One line; of a number that is no signal's an empty one.
pub fn purpose(number: i32) -> &'static str {
    match number {
        1..=31 => STANDARD[number as usize - 1],
        32 => "kept by the C library to cancel threads (pthread_cancel(3)); sent by it to a thread of its own process",
        33 => "kept by the C library to change the user of all threads (setuid(2)); sent by it to the threads of its own process",
        37 => "whatever a program's documentation says of it; PID 1 of systemd shuts down for SIGRTMIN+3, and Podman and LXC stop containers that run systemd with it",
        RTMIN..=RTMAX => "whatever a program's documentation says of it; sent by programs with sigqueue(3), often with a value, and by POSIX timers",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::signals::{name, parse};

    #[test]
    fn each_signal_says_what_it_is_for_and_who_sends_it() {
        for number in 1..=RTMAX {
            let text = purpose(number);
            assert!(!text.is_empty() && !text.ends_with('.'), "{number}");
            let sender = ["sent by", "never sends", "with it"];
            assert!(sender.iter().any(|s| text.contains(s)), "{number}: {text}");
        }
        assert_eq!((purpose(0), purpose(65)), ("", ""));
        // The order is that of the numbers.
        for (signal, word) in [
            ("HUP", "hangup"),
            ("KILL", "lack of memory"),
            ("SEGV", "not mapped"),
            ("TERM", "polite"),
            ("CHLD", "child"),
            ("WINCH", "size"),
            ("SYS", "seccomp"),
            ("RTMIN+3", "systemd"),
        ] {
            let number = parse(signal).unwrap();
            assert!(purpose(number).contains(word), "{}", name(number));
        }
    }
}
