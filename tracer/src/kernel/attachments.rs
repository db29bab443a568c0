//! What keeps attached programs in the kernel: a link for each place, and a descriptor
//! for each program. aya's own bookkeeping, with a copy of every program's
//! instructions, is only needed until then.

use std::{
    any::Any,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{
    programs::{Program, ProgramError},
    Ebpf,
};

/// Dropping it detaches the programs.
#[derive(Default)]
pub struct Attachments {
    /// Each sort of link is a type of its own; all that is asked of them is to be there.
    links: Vec<Box<dyn Any>>,
    programs: Vec<(String, OwnedFd)>,
}

impl Attachments {
    /// Attaches a loaded program to a place.
    pub(super) fn attach(&mut self, program: &mut Program, hook: &str) -> Result<(), ProgramError> {
        macro_rules! link {
            ($program:ident, $($place:expr),*) => {{
                let id = $program.attach($($place),*)?;
                Box::new($program.take_link(id)?) as Box<dyn Any>
            }};
        }
        self.links.push(match program {
            Program::RawTracePoint(program) => link!(program, hook),
            Program::TracePoint(program) => link!(program, "sched", hook),
            Program::KProbe(program) => link!(program, hook, 0),
            Program::BtfTracePoint(program) => link!(program,),
            Program::FEntry(program) => link!(program,),
            Program::FExit(program) => link!(program,),
            _ => return Err(ProgramError::UnexpectedProgramType),
        });
        Ok(())
    }

    /// Keeps those programs that were loaded; the others this kernel has no use for.
    pub(super) fn keep(&mut self, ebpf: &Ebpf) -> std::io::Result<()> {
        for (name, program) in ebpf.programs() {
            if let Ok(fd) = program.fd() {
                let fd = fd.as_fd().try_clone_to_owned()?;
                self.programs.push((name.to_owned(), fd));
            }
        }
        Ok(())
    }

    /// The programs, by name.
    pub(super) fn programs(&self) -> &[(String, OwnedFd)] {
        &self.programs
    }
}
