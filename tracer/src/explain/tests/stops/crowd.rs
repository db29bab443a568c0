//! A container of many.

use super::*;

/// A container of so many, of which none ends until the kernel kills it with PID 1;
/// how many processes were looked up.
fn crowd(many: u32) -> u64 {
    let (mut w, one, _) = container(TERM);
    let all: Vec<_> = (0..many).map(|i| member(200 + i, 3 + i, "app")).collect();
    for child in &all {
        w.fork(&one, child);
    }
    term(&mut w, &one, TERM).handled();
    w.pass(3_010 * MS);
    w.send(&runc(960), &one, KILL).ancestry(SHIM).fatal();
    w.exit(&one, KILL);
    for child in &all {
        w.zapped(&one, child);
    }
    let mut engine = crate::explain::Engine::new(w.coverage.clone());
    for event in &w.events {
        engine.push(event.clone());
    }
    let (reports, _) = engine.finish(crate::event::BootTime(w.now + 5_000 * MS));
    let deaths = reports.iter().filter_map(|report| match report {
        Report::Exit(e) => Some(e),
        _ => None,
    });
    let (first, rest): (Vec<_>, Vec<_>) = deaths.partition(|e| e.pid1);
    let others = format!("sent nothing on to the {} other processes", many + 1);
    assert!(why(first[0]).contains(&others), "{}", why(first[0]));
    assert_eq!(rest.len(), many as usize);
    assert!(rest.iter().all(|e| chain(e).contains("runc 960")));
    let steps = &engine.history.steps;
    steps.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn each_of_many_that_die_with_pid1_costs_a_few_steps() {
    let (few, many) = (crowd(100), crowd(1_000));
    assert!(many < few * 11, "{few} {many}");
}
