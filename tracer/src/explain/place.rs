//! Where in its program a fault was: the file and the place in it, as the kernel
//! side has seen it, and the function, where somebody has looked that up.

use crate::event::{printable, Fault, MappedFile, Signal};
use crate::explain::report::{Evidence, FaultFunction, FaultPlace};

use super::death::Death;
use super::signals;
use super::verdict::View;

/// `SEGV_MAPERR`.
const NOTHING_MAPPED: i32 = 1;

/// Adds it to a death by a fault.
pub(super) fn explain(view: View<'_>, s: &Signal, d: &mut Death) {
    let noted = view
        .history
        .process(s.target.key)
        .and_then(|p| p.fault.as_deref());
    // Another thread may have come to a fault of its own meanwhile.
    let Some(noted) = noted.filter(|noted| noted.fault.task.tid == s.target.tid) else {
        return;
    };
    let Some(place) = place(&noted.fault, s) else {
        return;
    };
    d.evidence(Evidence::Event(noted.event));
    d.say(sentence(&place));
    if let Some(root) = d.chain.last_mut() {
        root.what.push_str(&beside(&place));
    }
    d.fault = Some(Box::new(place));
}

fn place(fault: &Fault, s: &Signal) -> Option<FaultPlace> {
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
        function: None,
    })
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
