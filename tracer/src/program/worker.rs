//! Off the way of events: a thread that takes one place after the other, and for
//! each starts this program again to read the symbols (`sigtrace symbolize`). That
//! process has no privileges and little time and memory; if the file makes it crash or
//! hang, there is no name and nothing else.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc::{sync_channel, Receiver, SyncSender},
    thread,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};

use super::{find, name::Function};
use crate::event::{MappedFile, ProcessKey};

/// Faults that wait for a name; more have none.
const WAITING: usize = 64;
/// A name that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(3);
/// So many handlers are remembered.
const KNOWN: usize = 256;
/// The longest answer.
const LINE: u64 = 4096;

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The instruction of a fault, at this address.
    Fault(u64),
    /// The handler at this address.
    Handler(u64),
}

/// A place.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose.
    pub key: ProcessKey,
    /// What is there.
    pub what: What,
    /// Where.
    pub file: MappedFile,
    /// Processes that may see that file.
    pub pids: Vec<u32>,
    /// When it was.
    pub at: SystemTime,
}

/// The function that it is in; `None`: not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose.
    pub key: ProcessKey,
    /// What was asked about.
    pub what: What,
    /// Where.
    pub function: Option<Function>,
}

/// The thread's other end. There is none before the first question.
#[derive(Debug)]
pub struct Worker {
    questions: Option<SyncSender<Question>>,
    outbox: UnboundedSender<Answer>,
    answers: UnboundedReceiver<Answer>,
    pending: usize,
}

impl Worker {
    /// One that has nothing to do yet.
    pub fn new() -> Self {
        let (outbox, answers) = unbounded_channel();
        Self {
            questions: None,
            outbox,
            answers,
            pending: 0,
        }
    }

    /// Asks, unless too many wait already. The thread may do what this one may when
    /// the first question comes: privileges have to be given up before.
    pub fn ask(&mut self, question: Question) {
        if self.questions.is_none() {
            let (questions, inbox) = sync_channel(WAITING);
            let outbox = self.outbox.clone();
            let thread = thread::Builder::new().name("symbols".into());
            if thread.spawn(move || work(&inbox, &outbox)).is_err() {
                return;
            }
            self.questions = Some(questions);
        }
        if let Some(questions) = &self.questions {
            self.pending += usize::from(questions.try_send(question).is_ok());
        }
    }

    /// Whether an answer is to come.
    pub fn is_busy(&self) -> bool {
        self.pending > 0
    }

    /// The next one; waits for ever if none is to come.
    pub async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => {
                self.pending = self.pending.saturating_sub(1);
                answer
            }
            None => {
                self.pending = 0;
                std::future::pending().await
            }
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

fn work(inbox: &Receiver<Question>, outbox: &UnboundedSender<Answer>) {
    let mut known = HashMap::new();
    while let Ok(question) = inbox.recv() {
        let Question { key, what, .. } = question;
        let function = match what {
            What::Fault(_) => function(&question),
            // The same program runs in many processes, which all have the same one.
            What::Handler(_) => {
                let file = &question.file;
                let place = (file.device, file.inode, file.offset);
                if known.len() >= KNOWN {
                    known.clear();
                }
                let known = known.entry(place).or_insert_with(|| function(&question));
                known.clone()
            }
        };
        let answer = Answer {
            key,
            what,
            function,
        };
        if outbox.send(answer).is_err() {
            return;
        }
    }
}

fn function(question: &Question) -> Option<Function> {
    let file = &question.file;
    let id = file.build_id_text();
    let found = find::find(file, &question.pids, question.at);
    found.into_iter().find_map(|found| {
        let sure = found.same || id.is_some();
        sure.then(|| ask(found.file, file.offset, id.as_deref()))?
    })
}

fn ask(file: File, offset: u64, build_id: Option<&str>) -> Option<Function> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("symbolize").arg(offset.to_string());
    if let Some(id) = build_id {
        command.args(["--build-id", id]);
    }
    let mut child = command
        .env_clear()
        .current_dir("/")
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let ended = ends(&mut child);
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    let mut line = String::new();
    let said = child.stdout.take()?.take(LINE).read_to_string(&mut line);
    said.ok().filter(|_| ended && status.success())?;
    serde_json::from_str(&line).ok()
}

/// Waits for its end, which nothing else tells a thread that is to give up in time;
/// what it says fits into a pipe.
fn ends(child: &mut Child) -> bool {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    while begin.elapsed() < PATIENCE {
        match child.try_wait() {
            Ok(None) => thread::sleep(pause),
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    false
}
