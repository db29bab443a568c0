//! Where in their programs handlers are, as far as somebody has looked it up; names
//! come later than the signals that they handled.

use std::collections::VecDeque;

use crate::event::{printable, BootTime, Fault, MappedFile, ProcessKey};
use crate::history::hash::Map;

use super::engine::Engine;
use super::place::{function, Named};
use super::report::{HandlerPlace, Report, SignalReport, Update};

/// So many are known at a time.
const KNOWN: usize = 1024;
/// Signals whose handlers may still be named.
const KEPT: usize = 64;

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    places: Map<(ProcessKey, u64), HandlerPlace>,
    waiting: VecDeque<Box<SignalReport>>,
}

impl Handlers {
    /// Where this one is.
    pub(crate) fn place(&self, key: ProcessKey, address: u64) -> HandlerPlace {
        let known = self.places.get(&(key, address));
        known.cloned().unwrap_or(HandlerPlace {
            address,
            object: None,
            offset: None,
            function: None,
        })
    }

    fn found(&mut self, key: ProcessKey, address: u64, file: &MappedFile) {
        if self.places.len() >= KNOWN {
            self.places.clear();
        }
        let name = file.names.first();
        let place = HandlerPlace {
            address,
            object: name.map(|name| printable(&String::from_utf8_lossy(name))),
            offset: Some(file.offset),
            function: None,
        };
        self.places.insert((key, address), place);
    }

    /// A signal whose handler may still be named.
    pub(crate) fn wait_for_name(&mut self, report: &SignalReport) {
        let place = report.handler.as_ref();
        if place.is_none_or(|place| place.object.is_none() || place.function.is_some()) {
            return;
        }
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Box::new(report.clone()));
    }

    /// Another program has other handlers.
    pub(crate) fn forget(&mut self, key: ProcessKey) {
        self.places.retain(|&(of, _), _| of != key);
    }
}

impl Engine {
    /// Where a handler is that is about to run.
    pub(super) fn handler_found(&mut self, place: &Fault) {
        let mapping = place.mapping.as_ref();
        if let Some(file) = mapping.and_then(|mapping| mapping.file.as_ref()) {
            self.handlers.found(place.task.key, place.ip, file);
        }
    }

    /// Somebody has looked up which function it is.
    pub(super) fn handler_named(
        &mut self,
        id: u64,
        time: BootTime,
        (key, address): (ProcessKey, u64),
        named: &Named,
    ) {
        let Some(place) = self.handlers.places.get_mut(&(key, address)) else {
            return;
        };
        place.function = Some(function(named));
        let place = place.clone();
        let is_it = |report: &SignalReport| {
            let handler = report.handler.as_ref();
            report.target.key == key && handler.is_some_and(|h| h.address == address)
        };
        let waiting = self.handlers.waiting.drain(..);
        let (named, others): (VecDeque<_>, _) = waiting.partition(|report| is_it(report));
        self.handlers.waiting = others;
        for mut now in named {
            let of = now.id;
            now.handler = Some(Box::new(place.clone()));
            let now = Update::HandlerNamed(now);
            self.outbox.push(time, id, Report::Update { of, time, now });
        }
    }
}
