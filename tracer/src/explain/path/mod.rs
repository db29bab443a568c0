//! The path through the kernel by which something came about: the functions on its
//! stack, what each of them decides ([`functions`]), and where the fate was decided
//! ([`Decision`]). Pure; whether and how it is shown is the writers' affair.

pub(crate) mod decision;
pub mod functions;
mod kernel;
mod sending;

use std::borrow::Cow;

use crate::event::{Frame, Signal};
use crate::explain::report::Evidence;

pub use decision::Decision;

use super::stack;

/// What is known of the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// None was taken: of routine signals none is, unless `--path` asks for it.
    #[default]
    NotTaken,
    /// It has addresses, and the kernel's symbols are hidden.
    Unnamed,
    /// It has names.
    Named,
}

/// By which functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelPath {
    /// Those on the stack, innermost first, without the tracing itself.
    pub functions: Vec<String>,
    /// How it was had.
    pub stack: Stack,
    /// Where the fate was decided.
    pub decision: Option<Decision>,
}

/// How a step is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was on the stack.
    Stack,
    /// It lies below the tracepoint, and follows from the facts of the signal.
    Below,
    /// The same; the target comes to it only later.
    Later,
}

/// One function of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub function: String,
    /// What it decides, in a line.
    pub decides: Option<Cow<'static, str>>,
    /// How it is known.
    pub source: Source,
    /// The fate was decided here: by this condition.
    pub decided: Option<String>,
    /// It proves the cause of death.
    pub proves: bool,
}

impl KernelPath {
    /// From a stack.
    pub(crate) fn new(frames: &[Frame]) -> Self {
        Self {
            functions: stack::path(frames),
            stack: match frames {
                [] => Stack::NotTaken,
                _ if stack::named(frames) => Stack::Named,
                _ => Stack::Unnamed,
            },
            decision: None,
        }
    }

    /// That of a signal which ends its target.
    pub(crate) fn fatal(s: &Signal) -> Self {
        Self {
            decision: Some(Decision::fatal(s)),
            ..Self::new(&s.stack)
        }
    }

    /// As it happened: outermost first, then what is on no stack. `evidence`: that
    /// of a cause of death.
    pub fn steps(&self, evidence: &[Evidence]) -> Vec<Step> {
        let mut named = evidence.iter().filter_map(|evidence| match evidence {
            Evidence::Stack(function) => Some(function.as_str()),
            _ => None,
        });
        // Several are no proof: they stand there because none fits.
        let proof = named.next().filter(|_| named.next().is_none());
        let step = |function: &str, source| Step {
            function: function.to_owned(),
            decides: functions::decides(function),
            source,
            decided: None,
            proves: source == Source::Stack && proof == Some(function),
        };
        let on_stack = self.functions.iter().rev();
        let mut steps: Vec<_> = on_stack.map(|name| step(name, Source::Stack)).collect();
        let Some(decision) = self.decision.filter(|_| self.stack != Stack::NotTaken) else {
            return steps;
        };
        let source = if decision.is_later() {
            Source::Later
        } else {
            Source::Below
        };
        let at = decision.at();
        let more = match decision.below() {
            [] if steps.iter().any(|step| step.function == at) => &[][..],
            [] => &[at][..],
            below => below,
        };
        steps.extend(more.iter().map(|name| step(name, source)));
        if let Some(decided) = steps.iter_mut().rfind(|step| step.function == at) {
            decided.decided = Some(decision.to_string());
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::functions::find;
    use crate::explain::{kernel_rules, killed, stack};

    #[test]
    fn every_function_that_a_rule_names_is_explained() {
        let lists = [stack::TERMINAL, stack::TIMER, stack::ACCEPTS];
        let listed = lists.into_iter().flatten().copied();
        let calls = stack::calls();
        for name in listed
            .chain(kernel_rules::frames())
            .chain(calls)
            .chain([killed::FORKED_INTO])
        {
            let known = super::functions::decides(name).is_some();
            assert!(known, "{name} has no line in explain/path");
        }
        assert!(find("zap_pid_ns_processes").is_some());
    }
}
