//! Why the kernel turned a program down, in one line for people.

use aya::programs::ProgramError;

/// EPERM, although this process has the capabilities: who is to blame is said
/// only as far as it is known.
pub(super) fn denied(lockdown: Option<&str>) -> String {
    match lockdown {
        Some(state @ ("integrity" | "confidentiality")) => {
            format!("not permitted: kernel lockdown is in the mode `{state}`")
        }
        Some(_) => "not permitted (EPERM), though kernel lockdown is off".into(),
        None => "not permitted by this system (EPERM)".into(),
    }
}

/// The number of the error that the kernel gave.
pub(super) fn os_error(error: &ProgramError) -> Option<i32> {
    // It stands for its error in the chain, and so is not found there.
    if let ProgramError::IOError(io) = error {
        return io.raw_os_error();
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.raw_os_error();
        }
        cause = error.source();
    }
    None
}

/// In one line: the verifier's log can have thousands, its last says why.
pub(super) fn why(error: &ProgramError, lockdown: Option<&str>) -> String {
    if os_error(error) == Some(libc::EPERM) {
        return denied(lockdown);
    }
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            // Statistics come after the complaint.
            let said = |line: &&str| {
                !line.trim().is_empty()
                    && [
                        "processed ",
                        "stack depth",
                        "verification time",
                        "peak_states",
                    ]
                    .iter()
                    .all(|start| !line.starts_with(start))
            };
            let last = log.lines().rfind(said).unwrap_or("");
            format!("the kernel refuses the program: {io_error}: {last}")
        }
        error => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdown_is_blamed_only_where_it_is_on() {
        assert!(denied(Some("integrity")).contains("lockdown is in the mode `integrity`"));
        assert!(denied(Some("none")).contains("lockdown is off"));
        assert!(!denied(None).contains("lockdown"));
        let refused = ProgramError::IOError(std::io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(why(&refused, None), denied(None));
    }
}
