//! Names for places in programs: in which function a fault was, or a handler is. A worker
//! reads the files ([`crate::program`]); what it answers becomes a fact like any other.

use std::{
    io,
    time::{Duration, SystemTime},
};

use super::live::{Live, LAST_WORDS};
use crate::{
    event::{BootTime, Fact, Home},
    kernel,
    program::worker::{Answer, Question, What, Worker},
};

impl Live {
    /// In which function a fault was, or a handler is: asked while the files can
    /// still be found.
    pub(super) fn look_into(&mut self, time: BootTime, fact: &Fact) {
        let (place, what) = match fact {
            Fact::Fault(place) => (place, What::Fault(place.ip)),
            Fact::HandlerFound(place) => (place, What::Handler(place.ip)),
            _ => return,
        };
        let file = place
            .mapping
            .as_ref()
            .and_then(|mapping| mapping.file.as_ref());
        // The process that reads symbols is a child of this one.
        let own = place.task.ppid == std::process::id();
        let Some(file) = file.filter(|file| !own && !file.names.is_empty()) else {
            return;
        };
        let Some(symbols) = &mut self.symbols else {
            return;
        };
        let namespaces = &place.task.namespaces;
        let pid1s = self.watched.iter().filter_map(|watched| {
            let in_it = matches!(watched.home, Home::PidNs(ns) if namespaces.contains(&ns));
            watched.pid1().filter(|_| in_it)
        });
        let wall = time.0.saturating_add_signed(self.clock.offset_ns);
        symbols.ask(Question {
            key: place.task.key,
            what,
            file: file.clone(),
            pids: [place.task.key.pid, place.task.ppid]
                .into_iter()
                .chain(pid1s)
                .collect(),
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(wall),
        });
    }

    pub(super) fn name(&mut self, answer: Answer) {
        let Some(function) = answer.function else {
            return;
        };
        let (key, name) = (answer.key, function.name.into());
        let (offset, source) = (function.offset, function.source.map(Into::into));
        let fact = match answer.what {
            What::Fault(ip) => Fact::FaultNamed {
                key,
                ip,
                name,
                offset,
                source,
            },
            What::Handler(address) => Fact::HandlerNamed {
                key,
                address,
                name,
                offset,
                source,
            },
        };
        self.push(kernel::now(), fact);
    }

    /// Everything has ended; a name that is being looked up comes in a moment.
    pub(super) async fn last_names(&mut self) -> io::Result<()> {
        while let Some(symbols) = self.symbols.as_mut().filter(|symbols| symbols.is_busy()) {
            match tokio::time::timeout(LAST_WORDS, symbols.answer()).await {
                Ok(answer) => self.name(answer),
                Err(_) => break,
            }
            self.advance(kernel::now())?;
        }
        Ok(())
    }
}

/// The next name; none ever comes without a worker.
pub(super) async fn answer(symbols: Option<&mut Worker>) -> Answer {
    match symbols {
        Some(symbols) => symbols.answer().await,
        None => std::future::pending().await,
    }
}
