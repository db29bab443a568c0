//! Where in their programs handlers are, and the faults that they took, as far as somebody
//! has looked it up; names come later than the signals that were handled.

use std::collections::VecDeque;

use crate::event::{printable, BootTime, Fault, ProcessKey};
use crate::history::hash::Map;
use crate::history::process::NotedFault;

use super::engine::Engine;
use super::place::{self, function, Named};
use super::report::{HandlerPlace, Report, SignalReport, Update};

/// So many are known at a time.
const KNOWN: usize = 1024;
/// And of one process.
const OF_ONE: usize = 256;
/// Signals whose handlers may still be named.
const KEPT: usize = 64;

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    places: Map<(ProcessKey, u64), NotedFault>,
    /// The same by age, the oldest first.
    order: VecDeque<(ProcessKey, u64)>,
    waiting: VecDeque<Box<SignalReport>>,
}

impl Handlers {
    /// Where this one is.
    pub(crate) fn place(&self, key: ProcessKey, address: u64) -> HandlerPlace {
        let known = self.places.get(&(key, address));
        let file = known.and_then(|known| known.fault.mapping.as_ref()?.file.as_ref());
        let name = file.and_then(|file| file.names.first());
        HandlerPlace {
            address,
            object: name.map(|name| printable(&String::from_utf8_lossy(name))),
            offset: file.map(|file| file.offset),
            function: known.and_then(|known| known.function.as_ref().map(function)),
        }
    }

    /// What is known of an address in a process's program.
    pub(super) fn known(&self, key: ProcessKey, address: u64) -> Option<&NotedFault> {
        self.places.get(&(key, address))
    }

    fn found(&mut self, event: u64, place: Fault) {
        let function = None;
        let (key, address) = (place.task.key, place.ip);
        if !self.places.contains_key(&(key, address)) {
            self.make_room(key);
            self.order.push_back((key, address));
        }
        let place = NotedFault {
            event,
            fault: place,
            function,
        };
        self.places.insert((key, address), place);
    }

    /// A program that faults everywhere pushes out its own places, not those of others.
    fn make_room(&mut self, key: ProcessKey) {
        let own = self.order.iter().filter(|(of, _)| *of == key).count();
        let oldest = match own {
            OF_ONE.. => self.order.iter().position(|(of, _)| *of == key),
            _ => (self.order.len() >= KNOWN).then_some(0),
        };
        if let Some(old) = oldest.and_then(|at| self.order.remove(at)) {
            self.places.remove(&old);
        }
    }

    /// A signal whose handler may still be named.
    pub(crate) fn wait_for_name(&mut self, report: &SignalReport) {
        let handler = report.handler.as_ref();
        let handler = handler.is_some_and(|h| h.object.is_some() && h.function.is_none());
        let fault = report.fault.as_ref();
        let fault = fault.is_some_and(|f| f.object.is_some() && f.function.is_none());
        if !handler && !fault {
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
        self.order.retain(|&(of, _)| of != key);
    }
}

impl Engine {
    /// Where a handler is that is about to run, or the fault that it takes.
    pub(super) fn handler_found(&mut self, event: u64, place: Fault) {
        self.handlers.found(event, place);
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
        place.function = Some(named.clone());
        let place = self.handlers.place(key, address);
        let is_it = |report: &SignalReport| {
            let handler = report.handler.as_ref();
            let handler = handler.is_some_and(|h| h.address == address);
            let fault = report.fault.as_ref().is_some_and(|f| f.ip == address);
            report.target.key == key && (handler || fault)
        };
        let waiting = self.handlers.waiting.drain(..);
        let (known, others): (VecDeque<_>, _) = waiting.partition(|report| is_it(report));
        self.handlers.waiting = others;
        for mut now in known {
            let of = now.id;
            if now.handler.as_ref().is_some_and(|h| h.address == address) {
                now.handler = Some(Box::new(place.clone()));
            }
            if let Some(fault) = now.fault.as_mut().filter(|f| f.ip == address) {
                place::rename(fault, function(named), &mut now.explanation, &mut []);
            }
            // The other of the two may still be named.
            self.handlers.wait_for_name(&now);
            let now = Update::HandlerNamed(now);
            self.outbox.push(time, id, Report::Update { of, time, now });
        }
        self.crash_named(id, time, (key, address), named);
    }
}
