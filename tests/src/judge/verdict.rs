//! Holds the events of one scenario against what is known to have happened. Each
//! event is claimed once; what nobody claims is a wrong verdict too, so nothing
//! can be said about these processes that the scenario does not know of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::phrases::{self, Phrase};
use super::table::{Place, Sure, Table};
use super::Event;

/// Who must have sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A process, by its pid on the host.
    Process(u32),
    /// The kernel on behalf of a process.
    KernelFor(u32),
    /// A terminal on behalf of a process.
    TerminalFor(u32),
    /// The kernel, a terminal or a timer: `sender.kind`. Whoever ran then had
    /// nothing to do with it.
    Nobody(&'static str),
    /// A process that nobody knows the pid of, by its name.
    Program(&'static str),
}

/// One scenario's judge.
pub(crate) struct Judge<'a> {
    scenario: &'a str,
    table: &'a Table,
    pub(crate) place: &'a Place,
    events: Vec<&'a Event>,
    claimed: Vec<bool>,
    /// Where the signals to a process and its death stand: thousands of claims
    /// are made where thousands of processes die.
    by_pid: HashMap<u64, Vec<usize>>,
    claims: BTreeSet<String>,
    pub(crate) faults: Vec<String>,
    names: BTreeMap<u32, String>,
    /// What the table has for proven took longer than what can be: it has to be inferred.
    pub(crate) too_slow_to_prove: bool,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        scenario: &'a str,
        table: &'a Table,
        place: &'a Place,
        events: Vec<&'a Event>,
    ) -> Self {
        let mut by_pid: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, event) in events.iter().enumerate() {
            let path = if event.is_death() {
                "/task/pid"
            } else {
                "/target/pid"
            };
            if let Some(pid) = event.number(path) {
                by_pid.entry(pid).or_default().push(at);
            }
        }
        Self {
            scenario,
            table,
            place,
            claimed: vec![false; events.len()],
            by_pid,
            events,
            claims: BTreeSet::new(),
            faults: Vec::new(),
            names: BTreeMap::new(),
            too_slow_to_prove: false,
        }
    }

    /// Something is wrong.
    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    /// The signals to a process and its death, in their order.
    pub(crate) fn of(&self, pid: u32) -> impl Iterator<Item = &'a Event> + '_ {
        let places = self.by_pid.get(&u64::from(pid));
        places.into_iter().flatten().map(|&at| self.events[at])
    }

    /// What to call a process in messages.
    pub(crate) fn call(&mut self, pid: u32, name: &str) {
        self.names.insert(pid, name.to_owned());
    }

    /// The next signal with this number to this process. `claim` is its name in
    /// the table of expectations.
    pub(crate) fn signal(
        &mut self,
        claim: &str,
        number: i32,
        from: From,
        to: u32,
    ) -> Verdict<'_, 'a> {
        let found = self.find(to, |event| is_signal(event, number, from, to));
        if found.is_none() {
            let to = self.name(to);
            self.fault(format!("{claim}: no signal {number} {from:?} → {to}"));
        }
        Verdict::new(self, found, claim)
    }

    /// The next signal of a process that was refused, why, and with which error, as
    /// sure as the table says. Where that says that it cannot be known, nothing may be
    /// said of it.
    pub(crate) fn refused(
        &mut self,
        claim: &str,
        (number, by): (i32, u32),
        (reason, error): (&str, Option<&str>),
    ) -> Verdict<'_, 'a> {
        let is_it = |event: &Event| {
            event.is_refused()
                && event.number("/sender/pid") == Some(by.into())
                && event.now.pointer("/signal/number") == Some(&Value::from(number))
        };
        let free = |at: &usize| !self.claimed[*at] && is_it(self.events[*at]);
        let found = (0..self.events.len()).find(free);
        let ids = [("fate", "refused"), ("reason", reason)];
        let expected = self.table.expected(self.scenario, claim, self.place);
        let Some(at) = found else {
            self.claims.insert(claim.to_owned());
            if expected.0 == Sure::Impossible {
                for (kind, id) in ids {
                    self.table.ledger.note(kind, id, expected);
                }
            } else {
                let who = self.name(by);
                self.fault(format!("{claim}: no refused signal {number} of {who}"));
            }
            return Verdict::new(self, None, claim);
        };
        self.claimed[at] = true;
        let event = self.events[at];
        let sure = self.grade(claim, event, event.text("/reason"), &ids);
        let mut verdict = Verdict::new(self, Some(at).filter(|_| sure), claim);
        let said = event.now["error"].as_str();
        if event.text("/reason") != reason || said != error || event.text("/fate") != "refused" {
            verdict.wrong(&format!("expected {reason} {}", error.unwrap_or("")));
        }
        verdict
    }

    /// The next fork of a process that was rejected, why, and with which error.
    pub(crate) fn fork_rejected(
        &mut self,
        claim: &str,
        by: u32,
        reason: &str,
        error: &str,
    ) -> Verdict<'_, 'a> {
        let is_it = |event: &Event| {
            event.is_fork_rejected() && event.number("/task/pid") == Some(by.into())
        };
        let free = |at: &usize| !self.claimed[*at] && is_it(self.events[*at]);
        let Some(at) = (0..self.events.len()).find(free) else {
            self.claims.insert(claim.to_owned());
            let who = self.name(by);
            self.fault(format!("{claim}: no rejected fork of {who}"));
            return Verdict::new(self, None, claim);
        };
        self.claimed[at] = true;
        let event = self.events[at];
        let said = event.text("/reason");
        let sure = self.grade(claim, event, said, &[("reason", reason)]);
        let mut verdict = Verdict::new(self, Some(at).filter(|_| sure), claim);
        if said != reason || event.text("/error") != error {
            verdict.wrong(&format!("expected {reason} {error}"));
        }
        verdict
    }

    /// Whether there is one more of these that nobody has claimed.
    pub(crate) fn has_signal(&self, number: i32, from: From, to: u32) -> bool {
        let events = self.events.iter().zip(&self.claimed);
        let mut free = events.filter(|(_, &claimed)| !claimed);
        free.any(|(event, _)| is_signal(event, number, from, to))
    }

    /// The next death of a process with this pid.
    pub(crate) fn death(&mut self, claim: &str, pid: u32) -> Verdict<'_, 'a> {
        let found = self.find(pid, Event::is_death);
        if found.is_none() {
            let who = self.name(pid);
            self.fault(format!("{claim}: no death of {who}"));
        }
        Verdict::new(self, found, claim)
    }

    /// The death of a process with this pid, claimed or not.
    pub(crate) fn last(&self, pid: u32) -> Option<&'a Event> {
        let of_pid = self.by_pid.get(&u64::from(pid))?;
        let mut events = of_pid.iter().map(|&at| self.events[at]);
        events.rfind(|event| event.is_death())
    }

    /// A closer look at the death of a process with this pid, claimed or not.
    pub(crate) fn last_death(&mut self, claim: &str, pid: u32) -> Verdict<'_, 'a> {
        let of_pid = self.by_pid.get(&u64::from(pid)).cloned();
        let at = of_pid
            .into_iter()
            .flatten()
            .rfind(|&at| self.events[at].is_death());
        if at.is_none() {
            let who = self.name(pid);
            self.fault(format!("{claim}: no death of {who}"));
        }
        Verdict::new(self, at, claim)
    }

    /// The SIGKILL of a dying PID 1 to a process, and the death by it.
    pub(crate) fn zapped(&mut self, claim: &str, pid: u32, pid1: u32) -> Verdict<'_, 'a> {
        self.signal(
            &format!("SIGKILL to {claim}"),
            libc::SIGKILL,
            From::KernelFor(pid1),
            pid,
        )
        .fate("fatal", None)
        .field("/cause", "pid1-exited");
        self.death(claim, pid)
            .cause("pid1-exited", "kernel-signal", 137)
            .field("/signal", "SIGKILL")
            .forced(true)
    }

    /// The play ends a PID 1 by SIGKILL from outside, once its scene is over.
    pub(crate) fn cleared(&mut self, pid1: u32) {
        let play = std::process::id();
        self.signal("SIGKILL to PID 1", libc::SIGKILL, From::Process(play), pid1)
            .fate("fatal", None)
            .field("/cause", "killed-by-process");
        self.death("PID 1", pid1)
            .cause("killed-by-process", "kill-syscall", 137)
            .forced(true);
    }

    /// Programs of these names came in from outside or were started there, and
    /// ended well, or with their PID 1.
    pub(crate) fn bystanders(&mut self, programs: &[&str], pid1: u32) {
        let is_one = |name: &str| programs.contains(&name);
        for (at, event) in self.events.iter().enumerate() {
            let well = event.is_death()
                && is_one(event.text("/task/comm"))
                && event.text("/cause") == "exit"
                && event.number("/exit_code") == Some(0);
            let with_pid1 = event.text("/cause") == "pid1-exited"
                && (is_one(event.text("/task/comm"))
                    || is_one(event.text("/target/comm"))
                        && event.number("/sender/on_behalf_of/pid") == Some(pid1.into()));
            self.claimed[at] |= well || with_pid1;
        }
    }

    /// Everything is claimed, but for routine signals and what only accompanies.
    pub(crate) fn nothing_else(&mut self) {
        for (at, event) in self.events.iter().enumerate() {
            let matters = event.is_death()
                || event.is_refused()
                || event.is_fork_rejected()
                || (event.is_signal() && event.now["routine"] != Value::Bool(true));
            if matters && !self.claimed[at] {
                self.faults
                    .push(format!("an event that did not happen: {}", event.now));
            }
        }
    }

    /// The table's rows have all been needed.
    pub(crate) fn table_is_met(&mut self) {
        let unmet = self.table.unmet(self.scenario, self.place, &self.claims);
        for claim in unmet {
            self.faults.push(format!(
                "expected.toml has a row for {claim}, which is not claimed here"
            ));
        }
    }

    fn name(&self, pid: u32) -> String {
        self.names
            .get(&pid)
            .map_or_else(|| pid.to_string(), |name| format!("{name} {pid}"))
    }

    fn find(&mut self, pid: u32, wanted: impl Fn(&Event) -> bool) -> Option<usize> {
        let of_pid = self.by_pid.get(&u64::from(pid))?;
        let mut free = of_pid.iter().filter(|&&at| !self.claimed[at]);
        let at = *free.find(|&&at| wanted(self.events[at]))?;
        self.claimed[at] = true;
        Some(at)
    }

    /// Whether it is as sure as the table says; false: it cannot know here, and
    /// says so, and there is nothing further to check.
    fn grade(
        &mut self,
        claim: &str,
        event: &Event,
        verdict: &str,
        ids: &[(&'static str, &str)],
    ) -> bool {
        self.grade_told(claim, &event.now, verdict, ids)
    }

    /// The same of what was told of it at a time.
    fn grade_told(
        &mut self,
        claim: &str,
        told: &Value,
        verdict: &str,
        ids: &[(&'static str, &str)],
    ) -> bool {
        self.claims.insert(claim.to_owned());
        let (expected, because) = self.table.expected(self.scenario, claim, self.place);
        for (kind, id) in ids {
            self.table.ledger.note(kind, id, (expected, because));
        }
        let because = if because.is_empty() {
            String::new()
        } else {
            format!(" ({because})")
        };
        let missing = told["missing"].as_array().map_or(0, Vec::len);
        let certainty = told["certainty"].as_str().unwrap_or_default();
        if expected == Sure::Impossible {
            if verdict != "unknown" || missing == 0 {
                self.fault(format!(
                    "{claim}: expected it to be unknown with what is missing{because}, got {verdict}"
                ));
            }
            return false;
        }
        let or_proven = self.table.or_proven(self.scenario, claim, self.place);
        let expected = match expected {
            Sure::Proven if self.too_slow_to_prove => Sure::Inferred,
            expected => expected,
        };
        if certainty != expected.to_string() && !(or_proven && certainty == "proven") {
            self.fault(format!(
                "{claim}: expected {expected}{because}, got {certainty}; missing: {}",
                told["missing"]
            ));
        }
        if certainty != "proven" && missing == 0 {
            self.fault(format!("{claim}: {certainty}, but nothing is missing"));
        }
        true
    }
}

fn is_signal(event: &Event, number: i32, from: From, to: u32) -> bool {
    let sender = &event.now["sender"];
    event.is_signal()
        && event.number("/signal/number") == u64::try_from(number).ok()
        && event.number("/target/pid") == Some(to.into())
        && match from {
            From::Process(pid) => sender["kind"] == "process" && sender["pid"] == pid,
            From::KernelFor(pid) => {
                sender["kind"] == "kernel" && sender["on_behalf_of"]["pid"] == pid
            }
            From::TerminalFor(pid) => {
                sender["kind"] == "terminal" && sender["on_behalf_of"]["pid"] == pid
            }
            From::Nobody(kind) => sender["kind"] == kind && sender["on_behalf_of"].is_null(),
            From::Program(name) => sender["kind"] == "process" && sender["comm"] == name,
        }
}

fn has_ancestor(event: &Event, name: &str) -> bool {
    let list = event.now.pointer("/sender/ancestry");
    let mut list = list.and_then(Value::as_array).into_iter().flatten();
    list.any(|one| one["comm"].as_str().is_some_and(|c| c.starts_with(name)))
}

/// A way through the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'w> {
    /// Functions that are on the stack, in this order, outermost first.
    pub(crate) stack: &'w [&'w str],
    /// All that are on no stack; the last one decides.
    pub(crate) beyond: &'w [&'w str],
    /// Words of the condition.
    pub(crate) because: &'w str,
    /// The function that proves the cause is one of these; none: it may be any.
    pub(crate) proof: &'w [&'w str],
}

/// One event on trial.
pub(crate) struct Verdict<'j, 'a> {
    judge: &'j mut Judge<'a>,
    event: Option<&'a Event>,
    claim: String,
}

impl<'j, 'a> Verdict<'j, 'a> {
    fn new(judge: &'j mut Judge<'a>, found: Option<usize>, claim: &str) -> Self {
        let event = found.map(|at| judge.events[at]);
        Self {
            judge,
            event,
            claim: claim.to_owned(),
        }
    }

    fn wrong(&mut self, what: &str) {
        if let Some(event) = self.event {
            let fault = format!("{}: {what}: {}", self.claim, event.now);
            self.judge.faults.push(fault);
        }
    }

    /// A signal's fate and its reason, as sure as the table says.
    pub(crate) fn fate(mut self, fate: &str, reason: Option<&str>) -> Self {
        let Some(event) = self.event else { return self };
        let got = event.text("/fate");
        let reason_too = reason.map(|reason| ("reason", reason));
        let ids: Vec<_> = [("fate", fate)].into_iter().chain(reason_too).collect();
        if !self.judge.grade(&self.claim, event, got, &ids) {
            self.event = None;
            return self;
        }
        // Where the machine is busy, it can take more than the second after which
        // that is told.
        let why = event.now["reason"].as_str();
        let late = fate == "fatal" && why == Some("not-scheduled");
        if got != fate || (why != reason && !(late && reason.is_none())) {
            self.wrong(&format!("expected {fate} {}", reason.unwrap_or("")));
        }
        if event.now["settled"] != Value::Bool(true) && !matches!(fate, "blocked" | "pending") {
            self.wrong("its fate is not settled");
        }
        self
    }

    /// A signal's fate when it was first told.
    pub(crate) fn fate_at_first(mut self, fate: &str, reason: &str) -> Self {
        let Some(event) = self.event else { return self };
        if event.first["fate"] != fate || event.first["reason"] != reason {
            self.wrong(&format!("expected {fate} {reason} at first"));
        }
        self.interim("at first", &event.first, fate, reason);
        self
    }

    /// What was said of it for a while, at first or by an update: all of these words.
    pub(crate) fn said_meanwhile(mut self, words: &[&str]) -> Self {
        let Some(event) = self.event else { return self };
        let told = [&event.first].into_iter().chain(&event.then);
        let said: Vec<&str> = told
            .filter_map(|told| told["explanation"].as_str())
            .collect();
        let all = |said: &&str| words.iter().all(|word| said.contains(word));
        if !said.iter().any(all) {
            self.wrong(&format!("expected the words {words:?}, not: {said:?}"));
        }
        self
    }

    /// What a signal's fate was for a while, as it was told last: at first, or by an
    /// update, which may know more.
    pub(crate) fn fate_meanwhile(mut self, fate: &str, reason: &str) -> Self {
        let Some(event) = self.event else { return self };
        let is_it = |told: &&Value| told["fate"] == fate && told["reason"] == reason;
        match [&event.first].into_iter().chain(&event.then).rfind(is_it) {
            Some(told) => self.interim("meanwhile", told, fate, reason),
            None => self.wrong(&format!("expected {fate} {reason} meanwhile")),
        }
        self
    }

    /// What was told before the end, as sure as the table says: `CLAIM, at first` and
    /// `CLAIM, meanwhile` are claims of their own.
    fn interim(&mut self, when: &str, told: &Value, fate: &str, reason: &str) {
        let claim = format!("{}, {when}", self.claim);
        let ids = [("fate", fate), ("reason", reason)];
        self.judge.grade_told(&claim, told, fate, &ids);
    }

    /// A death's cause, how it was carried out and the status, as sure as the
    /// table says.
    pub(crate) fn cause(self, cause: &str, mechanism: &str, status: i32) -> Self {
        self.cause_by(cause, &[mechanism], status)
    }

    /// The same where it may have been carried out in several ways.
    pub(crate) fn cause_by(mut self, cause: &str, mechanisms: &[&str], status: i32) -> Self {
        let Some(event) = self.event else { return self };
        let got = event.text("/cause");
        if event.now["exit_code"] != status {
            self.wrong(&format!("expected status {status}"));
        }
        let mechanism = mechanisms
            .iter()
            .find(|one| **one == event.text("/mechanism"));
        let mechanism = mechanism.map(|mechanism| ("mechanism", *mechanism));
        let ids: Vec<_> = [("cause", cause)].into_iter().chain(mechanism).collect();
        if !self.judge.grade(&self.claim, event, got, &ids) {
            self.event = None;
            return self;
        }
        if got != cause || !mechanisms.contains(&event.text("/mechanism")) {
            self.wrong(&format!("expected {cause} by {}", mechanisms.join(" or ")));
        }
        self
    }

    /// Whether it was killed by force.
    pub(crate) fn forced(self, forced: bool) -> Self {
        self.is("/forced", &Value::Bool(forced))
    }

    /// A text at a path.
    pub(crate) fn field(self, path: &str, expected: &str) -> Self {
        if path == "/cause" {
            self.note("cause", expected);
        }
        self.is(path, &Value::from(expected))
    }

    /// An id that is as sure as its claim is.
    fn note(&self, kind: &'static str, id: &str) {
        if self.event.is_some() {
            let judge = &self.judge;
            let sure = (judge.table).expected(judge.scenario, &self.claim, judge.place);
            judge.table.ledger.note(kind, id, sure);
        }
    }

    /// A value at a path.
    pub(crate) fn is(mut self, path: &str, expected: &Value) -> Self {
        let wrong = self
            .event
            .is_some_and(|event| event.now.pointer(path) != Some(expected));
        if wrong {
            self.wrong(&format!("expected {path} to be {expected}"));
        }
        self
    }

    /// Its way through the kernel (`--path`).
    pub(crate) fn way(mut self, way: Way<'_>) -> Self {
        let Some(event) = self.event else { return self };
        let steps = event.now["path"].as_array().cloned().unwrap_or_default();
        let (stack, beyond): (Vec<_>, Vec<_>) =
            steps.iter().partition(|step| step["source"] == "stack");
        let mut rest = stack.iter();
        for name in way.stack {
            match rest.find(|step| step["function"] == *name) {
                Some(step) if step["decides"].is_string() => {}
                Some(_) => self.wrong(&format!("says nothing of {name}")),
                None => self.wrong(&format!("expected {name} on its way")),
            }
        }
        let names: Vec<_> = beyond.iter().map(|step| &step["function"]).collect();
        if names != way.beyond {
            self.wrong(&format!("expected {:?} beyond the stack", way.beyond));
        }
        let mut decided = steps.iter().filter(|step| !step["decided"].is_null());
        let at = decided
            .next()
            .map(|step| (&step["function"], &step["decided"]));
        let right = match (at, way.beyond.last()) {
            (Some((name, why)), Some(last)) => {
                name == last && why.as_str().is_some_and(|why| why.contains(way.because))
            }
            (None, None) => true,
            _ => false,
        };
        if !right || decided.next().is_some() {
            self.wrong(&format!("expected the decision at {:?}", way.beyond.last()));
        }
        if !way.proof.is_empty() {
            let proves = |step: &&Value| step["proves"] == true;
            let found: Vec<_> = steps.iter().filter(proves).collect();
            let known = |step: &&Value| way.proof.iter().any(|name| step["function"] == *name);
            if found.len() != 1 || !found.iter().all(known) {
                self.wrong(&format!(
                    "expected one of {:?} alone to prove it",
                    way.proof
                ));
            }
        }
        self
    }

    /// A number at a path.
    pub(crate) fn within(mut self, path: &str, range: std::ops::Range<u64>) -> Self {
        let number = self.event.and_then(|event| event.number(path));
        if !number.is_some_and(|number| range.contains(&number)) {
            self.wrong(&format!("expected {path} within {range:#x?}"));
        }
        self
    }

    /// The end of a text at a path.
    pub(crate) fn text_ends(mut self, path: &str, expected: &str) -> Self {
        if self
            .event
            .is_some_and(|event| !event.text(path).ends_with(expected))
        {
            self.wrong(&format!("expected {path} to end with {expected}"));
        }
        self
    }

    /// Nothing at a path.
    pub(crate) fn absent(mut self, path: &str) -> Self {
        if self.event.is_some_and(|e| e.now.pointer(path).is_some()) {
            self.wrong(&format!("expected no {path}"));
        }
        self
    }

    /// The sender has an ancestor whose name begins so.
    pub(crate) fn ancestor(mut self, name: &str) -> Self {
        if self.event.is_some_and(|event| !has_ancestor(event, name)) {
            self.wrong(&format!("expected {name} among the sender's ancestors"));
        }
        self
    }

    /// It has none whose name begins so.
    pub(crate) fn no_ancestor(mut self, name: &str) -> Self {
        if self.event.is_some_and(|event| has_ancestor(event, name)) {
            self.wrong(&format!("expected no {name} among the sender's ancestors"));
        }
        self
    }

    /// The sender's ancestry begins with these pids.
    pub(crate) fn ancestry(mut self, expected: &[u32]) -> Self {
        let Some(event) = self.event else { return self };
        let list = event.now.pointer("/sender/ancestry");
        let list = list.and_then(Value::as_array).into_iter().flatten();
        let pids = list.map(|one| one["pid"].as_u64().unwrap_or(0));
        let expected = expected.iter().map(|&pid| u64::from(pid));
        if !pids.take(expected.len()).eq(expected.clone()) {
            let expected: Vec<_> = expected.collect();
            self.wrong(&format!("expected the sender's ancestors {expected:?}"));
        }
        self
    }

    /// A list at a path has this text.
    pub(crate) fn has(mut self, path: &str, expected: &str) -> Self {
        if path == "/contributing" {
            self.note("reason", expected);
        }
        let wrong = self.event.is_some_and(|event| {
            let list = event.now.pointer(path).and_then(Value::as_array);
            !list.is_some_and(|list| list.iter().any(|item| item == expected))
        });
        if wrong {
            self.wrong(&format!("expected {path} to have {expected}"));
        }
        self
    }

    /// The chain begins with links that begin so.
    pub(crate) fn chain(mut self, expected: &[&str]) -> Self {
        let Some(event) = self.event else { return self };
        let links = event.now["chain"].as_array().cloned().unwrap_or_default();
        let fits = |(at, begin): (usize, &&str)| {
            links
                .get(at)
                .and_then(|link| link["what"].as_str())
                .is_some_and(|what| what.starts_with(begin))
        };
        if !expected.iter().enumerate().all(fits) {
            self.wrong(&format!("expected a chain of {expected:?}"));
        }
        self
    }

    /// The chain's last link begins so.
    pub(crate) fn chain_ends(mut self, expected: &str) -> Self {
        let Some(event) = self.event else { return self };
        let links = event.now["chain"].as_array();
        let last = links.and_then(|links| links.last()?["what"].as_str());
        if !last.is_some_and(|what| what.starts_with(expected)) {
            self.wrong(&format!("expected a chain that ends with {expected}"));
        }
        self
    }

    /// Of the sentences that tell situations apart, this one and no other.
    pub(crate) fn says(mut self, phrase: Phrase) -> Self {
        let Some(event) = self.event else { return self };
        for fault in phrases::faults(event.text("/explanation"), phrase) {
            self.wrong(&fault);
        }
        self
    }

    /// The explanation has these words.
    pub(crate) fn words(mut self, words: &[&str]) -> Self {
        let Some(event) = self.event else { return self };
        for word in words {
            if !event.text("/explanation").contains(word) {
                self.wrong(&format!("does not say \"{word}\""));
            }
        }
        self
    }

    /// The advice has these words.
    pub(crate) fn advises(mut self, words: &str) -> Self {
        let Some(event) = self.event else { return self };
        if !event.now["advice"].to_string().contains(words) {
            self.wrong(&format!("does not advise \"{words}\""));
        }
        self
    }

    /// The explanation has none of these words.
    pub(crate) fn no_words(mut self, words: &[&str]) -> Self {
        let Some(event) = self.event else { return self };
        for word in words {
            if event.text("/explanation").contains(word) {
                self.wrong(&format!("says \"{word}\""));
            }
        }
        self
    }
}
