//! A signal that the kernel refused because its sender may not signal that process:
//! whether its user ids or a security module say so (`check_kill_permission`).

use crate::event::{Creds, Denial, Refused, Right, Task, EINVAL, EPERM};

use super::refused::{error_name, no_such_signal, refused, whom, EACCES};
use super::verdict::{Verdict, View};
use super::words;

/// check_kill_permission said no.
pub(crate) fn denied(r: &Refused, denial: &Denial) -> Verdict {
    let (by, to) = (words::who(&r.current), words::who(&denial.target));
    let v = refused()
        .field(format!(
            "check_kill_permission=-{}",
            error_name(denial.error)
        ))
        .field(format!("sender euid={} uid={}", r.creds.euid, r.creds.uid))
        .field(format!(
            "target uid={} suid={}",
            denial.creds.uid, denial.creds.suid
        ));
    if denial.error == EINVAL {
        no_such_signal(r)
    } else if denial.is_by_module() {
        by_module(r, denial, v, &by, &to)
    } else {
        no_permission(r, Some(denial.creds), v, &by, &to)
    }
}

fn no_permission(r: &Refused, to: Option<Creds>, v: Verdict, by: &str, target: &str) -> Verdict {
    let uids = |creds: &Creds| match creds.euid == creds.uid {
        true => format!("uid {}", creds.euid),
        false => format!("uid {}, effective {}", creds.uid, creds.euid),
    };
    let theirs = to
        .as_ref()
        .map_or(String::new(), |to| format!(" ({})", uids(to)));
    let lacks = match r.creds.cap_kill {
        true => "its CAP_KILL counts only in its own user namespace",
        false => "it has no CAP_KILL",
    };
    let v = v
        .because("no-permission")
        .field(match r.creds.cap_kill {
            true => format!("CAP_KILL in the user namespace {}", r.creds.user_ns),
            false => "CAP_KILL is not effective".to_owned(),
        })
        .say(format!(
            "{by} ({}) may not signal {target}{theirs}: they are of different users, and {lacks}.",
            uids(&r.creds)
        ));
    match (to, r.creds.cap_kill) {
        (_, true) => v.advise("send it from the target's user namespace or from one around it: as root of the host"),
        (Some(to), _) => v.advise(format!(
            "run the sender as uid {} or as root, or give it CAP_KILL (docker run --cap-add KILL)",
            to.uid
        )),
        (None, _) => v.advise("run the sender as the target's user or as root, or give it CAP_KILL (docker run --cap-add KILL)"),
    }
}

/// What would allow it does, and after that only security modules are asked.
fn by_module(r: &Refused, denial: &Denial, v: Verdict, by: &str, to: &str) -> Verdict {
    let error = error_name(denial.error);
    let v = v.because("lsm-denied");
    // Then a module may have forbidden the use of that: `security_capable`, whose no is EPERM.
    let of_capability =
        matches!(denial.right, Right::Capable | Right::Owner) && denial.error == EPERM;
    let mut v = match denial.right {
        Right::None => v.say(format!(
            "A security module refused it: {by} may not signal {to} (security_task_kill, {error})."
        )),
        Right::Own => v.field("same_thread_group").say(format!(
            "A process may signal itself, but a security module refused {by} that (security_task_kill, {error})."
        )),
        Right::User => v.say(format!(
            "The user ids allow {by} to signal {to}, but a security module refused it (security_task_kill, {error})."
        )),
        Right::Session => v.field("task_session is the same").say(format!(
            "SIGCONT may go to every process of a session, but a security module refused {by} to send it to {to} (security_task_kill, {error})."
        )),
        Right::Capable | Right::Owner => {
            let (field, why) = match denial.right {
                Right::Owner => (
                    "user_namespace.owner is the sender's euid",
                    "it made the user namespace of that",
                ),
                _ => ("CAP_KILL is effective", "it has CAP_KILL there"),
            };
            let check = match of_capability {
                true => "security_capable or security_task_kill",
                false => "security_task_kill",
            };
            v.field(field).say(format!(
                "{by} (uid {}) may not signal {to} (uid {}), although {why}: a security module refused it ({check}, {error}).",
                r.creds.euid, denial.creds.uid
            ))
        }
    };
    let rules = match of_capability {
        true => "signal rules and capability kill",
        false => "signal rules",
    };
    let named = |profile: &str| match profile {
        "" => "none".to_owned(),
        profile => format!("\"{profile}\""),
    };
    let profiles = r.profiles.as_ref();
    let profiles = profiles.filter(|of| !of.sender.is_empty() || !of.target.is_empty());
    match profiles {
        Some(of) => {
            v = v.say(format!(
                "The profile of {by} is {}, that of {to} {}.",
                named(&of.sender),
                named(&of.target)
            ));
            v.advise(format!("allow it in the profiles of both sides ({rules} in AppArmor); the kernel's log has what was denied (journalctl -k, ausearch -m avc)"))
        }
        None => v.advise(format!("look at what confines the two: cat /proc/PID/attr/current of both ({rules} in AppArmor), and whether the sender is in a Landlock domain that scopes signals; the kernel's log may have what was denied (journalctl -k, ausearch -m avc)")),
    }
}

/// EPERM or EACCES, and check_kill_permission was not seen to say so.
pub(crate) fn by_someone(view: View<'_>, r: &Refused, target: Option<&Task>) -> Verdict {
    let by = words::who(&r.current);
    let unseen = if view.coverage.sees_check {
        "what check_kill_permission returned, which was missed"
    } else {
        "what check_kill_permission returned (it is not hooked)"
    };
    let to = target.map_or_else(|| whom(r), words::who);
    let v = refused();
    // Before security modules nobody returns this.
    if r.error == EACCES {
        return v.because("lsm-denied").say(format!(
            "A security module refused it: {by} may not signal {to}."
        ));
    }
    let same = target.is_some_and(|to| [r.creds.euid, r.creds.uid].contains(&to.uid));
    let root = r.creds.cap_kill && r.creds.user_ns_level == 0;
    if same || root {
        // The target's uid is as it was last seen, and may be another one by now.
        let why = if root {
            "it has CAP_KILL"
        } else {
            "they are of the same user"
        };
        return v.because("lsm-denied").but(unseen).say(format!(
            "{by} may not signal {to}, although {why}: a security module seems to forbid it."
        ));
    }
    no_permission(r, None, v.but(unseen), &by, &to)
}
