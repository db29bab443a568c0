//! Where in its program a fault was: the file and the place in it, as the kernel
//! side has seen it, and the function, where somebody has looked that up. Faults that a
//! handler took stand in [`super::crashes`].

use std::sync::Arc;

use crate::event::{printable, BootTime, MappedFile, ProcessKey, Signal};
use crate::explain::report::{
    Evidence, ExitReport, Explanation, FaultFunction, FaultPlace, Link, Report, Update,
};
use crate::history::process::NotedFault;

use super::death::Death;
use super::engine::Engine;
use super::signals;
use super::verdict::View;

/// `SEGV_MAPERR`.
const NOTHING_MAPPED: i32 = 1;

/// Adds it to a death by a fault.
pub(super) fn explain(view: View<'_>, s: &Signal, d: &mut Death) {
    let faults = view.history.process(s.target.key).map(|one| &one.faults);
    // Another thread may have come to a fault of its own meanwhile.
    let own = |noted: &&NotedFault| noted.fault.task.tid == s.target.tid;
    let Some(noted) = faults.and_then(|faults| faults.iter().find(own)) else {
        return;
    };
    let Some(place) = place(noted, s) else {
        return;
    };
    d.evidence(Evidence::Event(noted.event));
    d.say(sentence(&place));
    if let Some(root) = d.chain.last_mut() {
        root.what.push_str(&beside(&place));
    }
    d.fault = Some(Box::new(place));
}

pub(super) fn place(noted: &NotedFault, s: &Signal) -> Option<FaultPlace> {
    let fault = &noted.fault;
    if fault.ip == 0 {
        return None;
    }
    let file = fault
        .mapping
        .as_ref()
        .and_then(|mapping| mapping.file.as_ref());
    let jumped = s.number == signals::SEGV
        && s.code == NOTHING_MAPPED
        && s.detail == crate::event::Detail::Address(fault.ip);
    Some(FaultPlace {
        ip: fault.ip,
        object: file
            .and_then(|file| file.names.first())
            .map(|name| shown(name)),
        path: file
            .filter(|file| file.whole)
            .map(|file| shown(&file.path())),
        offset: file.map(|file| file.offset),
        build_id: file.and_then(MappedFile::build_id_text),
        anonymous: fault
            .mapping
            .as_ref()
            .is_some_and(|mapping| mapping.file.is_none()),
        jumped,
        function: noted.function.as_ref().map(function),
    })
}

/// A function's name, the place in it, and in the source.
pub(super) type Named = (Arc<str>, u64, Option<Arc<str>>);

pub(super) fn function((name, offset, source): &Named) -> FaultFunction {
    FaultFunction {
        name: printable(name),
        offset: *offset,
        source: source.as_deref().map(printable),
    }
}

impl Engine {
    /// Somebody has looked up the function of a fault.
    pub(super) fn fault_named(
        &mut self,
        id: u64,
        time: BootTime,
        (key, ip): (ProcessKey, u64),
        named: &Named,
    ) {
        let found = function(named);
        let key = self.history.resolve(key);
        if let Some(process) = self.history.process_mut(key) {
            for noted in process.faults.iter_mut().filter(|n| n.fault.ip == ip) {
                noted.function = Some(named.clone());
            }
        }
        self.death_named(id, time, key, found, |place| place.ip == ip);
    }

    /// The death of a process by the fault that is meant, if it was reported.
    pub(super) fn death_named(
        &mut self,
        id: u64,
        time: BootTime,
        key: ProcessKey,
        found: FaultFunction,
        is_it: impl Fn(&FaultPlace) -> bool,
    ) {
        let is_it = |r: &ExitReport| r.task.key == key && r.fault.as_deref().is_some_and(&is_it);
        let reported = self.by_fault.iter().position(|report| is_it(report));
        let Some(mut now) = reported.and_then(|at| self.by_fault.remove(at)) else {
            return;
        };
        let ExitReport {
            fault: place,
            explanation,
            chain,
            ..
        } = &mut *now;
        if let Some(place) = place {
            rename(place, found, explanation, chain);
        }
        let of = now.id;
        let now = Update::Named(now);
        self.outbox.push(time, id, Report::Update { of, time, now });
    }

    /// A fault whose function may still be found.
    pub(super) fn may_be_named(&mut self, report: &ExitReport) {
        if report
            .fault
            .as_ref()
            .is_none_or(|place| place.function.is_some() || place.object.is_none())
        {
            return;
        }
        if self.by_fault.len() == KEPT {
            self.by_fault.pop_front();
        }
        self.by_fault.push_back(Box::new(report.clone()));
    }
}

/// Faults whose function may still be found.
const KEPT: usize = 64;

/// Says what was said of the place with its function.
pub(super) fn rename(
    place: &mut FaultPlace,
    function: FaultFunction,
    explanation: &mut Explanation,
    chain: &mut [Link],
) {
    let (said, behind) = (sentence(place), beside(place));
    place.function = Some(function);
    for text in &mut explanation.sentences {
        if *text == said {
            *text = sentence(place);
        }
    }
    for link in chain {
        if let Some(root) = link.what.strip_suffix(&behind) {
            link.what = format!("{root}{}", beside(place));
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

/// `app+0x1136`, or the bare address.
pub(crate) fn called(place: &FaultPlace) -> String {
    match (&place.object, place.offset) {
        (Some(object), Some(offset)) => format!("{object}+{offset:#x}"),
        _ => format!("{:#x}", place.ip),
    }
}

/// `crash (app+0x1136)`.
fn named(place: &FaultPlace) -> String {
    match &place.function {
        Some(function) => format!("{} ({})", function.name, called(place)),
        None => called(place),
    }
}

/// `in crash (app+0x1136), src/app.c:12`.
pub(crate) fn in_short(place: &FaultPlace) -> String {
    let source = place
        .function
        .as_ref()
        .and_then(|function| function.source.as_ref());
    let source = source.map_or_else(String::new, |source| format!(", {source}"));
    format!("in {}{source}", named(place))
}

/// What is put behind the chain's root: ` in app+0x1136`.
pub(crate) fn beside(place: &FaultPlace) -> String {
    match (&place.object, &place.function) {
        (None, None) => format!(", by the instruction at {:#x}", place.ip),
        _ => format!(" in {}", named(place)),
    }
}

/// Where it was.
pub(crate) fn sentence(place: &FaultPlace) -> String {
    let ip = place.ip;
    if place.jumped {
        return format!(
            "It had jumped there: no instruction is at {ip:#x} (a call or a return by a wrong pointer)."
        );
    }
    if let Some(function) = &place.function {
        return format!(
            "It was in the function {} of {}.",
            in_words(function),
            called(place)
        );
    }
    match (&place.object, &place.path, place.offset) {
        (Some(_), Some(path), Some(offset)) => {
            format!("It was at {}: {offset:#x} bytes into the file {path}.", called(place))
        }
        (Some(_), _, _) => format!("It was at {}, counted from the begin of that file.", called(place)),
        _ if place.anonymous => format!(
            "It was at {ip:#x}, in memory of no file: code that was made at run time, or no code at all."
        ),
        _ => format!("It was at {ip:#x}."),
    }
}

/// `crash, src/app.c:12,`.
fn in_words(function: &FaultFunction) -> String {
    match &function.source {
        Some(source) => format!("{} ({source})", function.name),
        None => function.name.clone(),
    }
}
