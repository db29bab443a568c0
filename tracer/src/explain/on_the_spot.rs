//! Deaths without any signal: the kernel can end the current task where it stands
//! (`do_exit` with a signal's number), for a system call that strict seccomp forbids or
//! for an error of its own.

use crate::event::{Detail, Frame};
use crate::explain::report::Evidence;
use crate::history::process::Exited;

use super::death::Death;
use super::path::KernelPath;
use super::{kernel_words, signals, stack};

/// A death without any signal, from the stack of its exit: the kernel can end
/// the current task on the spot (`do_exit` with a signal's number).
pub(super) fn at_exit(number: i32, exited: Exited, exit_stack: &[Frame]) -> Option<Death> {
    // Before 5.16 a filter's verdict to kill was carried out so, that of strict mode is
    // on all kernels.
    const SECCOMP: &[&str] = &[
        "__seccomp_filter",
        "__secure_computing",
        "__secure_computing_strict",
        // Since Linux 7.
        "__seccomp_permit_syscall",
    ];
    const OOPS: &[&str] = &[
        "make_task_dead",
        "oops_end",
        "rewind_stack_and_make_dead",
        "rewind_stack_do_exit",
    ];
    let strict = number == signals::KILL;
    let call = kernel_words::system_call(exited.call);
    let (cause, frame, why) = if let Some(frame) = stack::find(exit_stack, OOPS) {
        (
            "kernel-oops",
            frame,
            "The kernel ran into an error of its own while it worked for this process, and ended it without any signal (an oops).".to_owned(),
        )
    } else if let Some(frame) =
        stack::find(exit_stack, SECCOMP).filter(|_| number == signals::SYS || strict)
    {
        (
            "seccomp",
            frame,
            if strict {
                format!("It was in the strict mode of seccomp, which allows no system call but read, write, exit and sigreturn, and made {}: the kernel ended it on the spot, without sending the SIGKILL that its status names.",
                    match exited.call {
                        Detail::None => "another one",
                        _ => &call,
                    }
                )
            } else {
                format!("It made {call}, which its seccomp filter forbids: the filter's verdict is to kill.")
            },
        )
    } else {
        return None;
    };
    let mut d = Death::new(cause, Some("exit"));
    d.kernel_path = KernelPath::new(exit_stack);
    d.evidence(Evidence::Stack(frame.to_owned()));
    d.evidence(Evidence::Event(exited.event));
    d.say(why);
    d.link(
        Some(exited.event),
        format!("ended as if by {}", signals::name(number)),
    );
    let known = exited.call != Detail::None;
    let (root, advice) = match cause {
        "seccomp" if strict => (
            format!("{call} that strict seccomp forbids"),
            match known {
                true => "the program itself asked for that mode (prctl PR_SET_SECCOMP)",
                false => "find out which call it was (the audit log has it, or strace); the program itself asked for that mode (prctl PR_SET_SECCOMP)",
            },
        ),
        "seccomp" => (
            format!("{call}, which its seccomp filter forbids"),
            match known {
                true => "allow that call, if it is meant to be (docker run --security-opt seccomp=PROFILE)",
                false => "find out which call it was (the audit log has it, or strace) and allow it, if it is meant to be (docker run --security-opt seccomp=PROFILE)",
            },
        ),
        _ => (
            "an error in the kernel".to_owned(),
            "look at the kernel log (dmesg): it has the place and the module",
        ),
    };
    d.link(None, root);
    d.advise(advice);
    Some(d)
}
