//! The kernel side as the user side sees it.

pub mod diagnosis;

/// What this kernel allows.
pub fn diagnose() -> diagnosis::Diagnosis {
    diagnosis::Diagnosis {
        verdict: "this build has no kernel side".to_owned(),
        ..Default::default()
    }
}
