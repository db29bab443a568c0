//! A signal that the kernel refused because its sender may not signal that process:
//! whether its user ids or a security module say so (`check_kill_permission`).

use crate::event::{Creds, Denial, Refused, Task};

use super::refused::{error_name, no_such_signal, refused, whom, EACCES, EINVAL};
use super::verdict::{Verdict, View};
use super::words;

/// check_kill_permission said no.
pub(crate) fn denied(view: View<'_>, r: &Refused, denial: &Denial) -> Verdict {
    let (by, to) = (words::who(&r.current), words::who(&denial.target));
    let said = error_name(denial.error);
    let v = refused()
        .field(format!("check_kill_permission=-{said}"))
        .field(format!("sender euid={} uid={}", r.creds.euid, r.creds.uid))
        .field(format!(
            "target uid={} suid={}",
            denial.creds.uid, denial.creds.suid
        ));
    if denial.error == EINVAL {
        return no_such_signal(r);
    }
    if denial.by_module || denial.error == EACCES {
        let v = match denial.by_module {
            true => v.field(format!("security_task_kill=-{said}")),
            false => v,
        };
        return by_module(r, denial, v, &by, &to);
    }
    let rights = rights(&r.creds, &denial.creds);
    let sees = view.coverage.sees_module;
    match rights {
        Rights::SameUser if !sees => by_module(r, denial, v, &by, &to).but(
            "what security_task_kill returned (it is not hooked): its user ids would allow it",
        ),
        // Only a module can say that a capability which is there may not be used.
        Rights::Capable => v
            .because("lsm-denied")
            .but("which check said no: CAP_KILL would allow it, and using that is for security modules to forbid (security_capable)")
            .field("CAP_KILL is effective")
            .say(format!(
                "{by} (uid {}) may not signal {to} (uid {}), although it has CAP_KILL: a security module seems to forbid using that.",
                r.creds.euid, denial.creds.uid
            ))
            .advise("look at the security module's profile of the sender (capability kill in AppArmor)"),
        Rights::SameUser => v
            .because("no-permission")
            .but("why: its user ids would allow it")
            .say(format!("{by} may not signal {to} ({said}).")),
        Rights::OtherUser | Rights::Elsewhere | Rights::Unsure => {
            let v = match (sees, rights) {
                (true, _) | (false, Rights::OtherUser) => v,
                _ => v.but("what security_task_kill returned (it is not hooked)"),
            };
            no_permission(r, Some(denial.creds), v, &by, &to)
        }
    }
}

/// What its user ids and CAP_KILL allow a sender (`kill_ok_by_cred`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// One of its ids is one of the target's.
    SameUser,
    /// CAP_KILL counts where the target is.
    Capable,
    /// None is, and it has no CAP_KILL there.
    OtherUser,
    /// It has CAP_KILL, in a user namespace that the target is not in or below.
    Elsewhere,
    /// It has no CAP_KILL, but may be the owner of the target's user namespace.
    Unsure,
}

fn rights(of: &Creds, to: &Creds) -> Rights {
    let same = |id| id == to.suid || id == to.uid;
    if same(of.euid) || same(of.uid) {
        return Rights::SameUser;
    }
    let one = of.user_ns == to.user_ns;
    match of.cap_kill {
        true if one || of.user_ns_level == 0 => Rights::Capable,
        true if of.user_ns_level >= to.user_ns_level => Rights::Elsewhere,
        false if one || of.user_ns_level >= to.user_ns_level => Rights::OtherUser,
        _ => Rights::Unsure,
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

fn by_module(r: &Refused, denial: &Denial, v: Verdict, by: &str, to: &str) -> Verdict {
    let mut v = v.because("lsm-denied").say(format!(
        "The user ids allow {by} to signal {to}, but a security module refused it (security_task_kill, {}).",
        error_name(denial.error)
    ));
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
            v.advise("allow it in the profiles of both sides (signal rules in AppArmor); the kernel's log has what was denied (journalctl -k, ausearch -m avc)")
        }
        None => v.advise("look at what confines the two: cat /proc/PID/attr/current of both, and whether the sender is in a Landlock domain that scopes signals; the kernel's log may have what was denied (journalctl -k, ausearch -m avc)"),
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
        let why = if same {
            "they are of the same user"
        } else {
            "it has CAP_KILL"
        };
        return v.because("lsm-denied").but(unseen).say(format!(
            "{by} may not signal {to}, although {why}: a security module seems to forbid it."
        ));
    }
    no_permission(r, None, v.but(unseen), &by, &to)
}
