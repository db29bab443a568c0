//! Off the way of events: a thread that takes one fault after the other, and for
//! each starts this program again to read the symbols (`sigtrace symbolize`). That
//! process has no privileges and little time and memory; if the file makes it crash or
//! hang, there is no name and nothing else.

use std::{
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
/// The longest answer.
const LINE: u64 = 4096;

/// A fault.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose.
    pub key: ProcessKey,
    /// Where.
    pub file: MappedFile,
    /// Processes that may see that file.
    pub pids: Vec<u32>,
    /// When it was.
    pub at: SystemTime,
}

/// The function that it was in; `None`: not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose fault.
    pub key: ProcessKey,
    /// Where.
    pub function: Option<Function>,
}

/// The thread's other end.
#[derive(Debug)]
pub struct Worker {
    questions: SyncSender<Question>,
    answers: UnboundedReceiver<Answer>,
    pending: usize,
}

impl Worker {
    /// Starts the thread, which waits until there is something to do.
    pub fn start() -> std::io::Result<Self> {
        let (questions, inbox) = sync_channel(WAITING);
        let (outbox, answers) = unbounded_channel();
        thread::Builder::new()
            .name("symbols".into())
            .spawn(move || work(&inbox, &outbox))?;
        Ok(Self {
            questions,
            answers,
            pending: 0,
        })
    }

    /// Asks, unless too many wait already.
    pub fn ask(&mut self, question: Question) {
        if self.questions.try_send(question).is_ok() {
            self.pending += 1;
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

fn work(inbox: &Receiver<Question>, outbox: &UnboundedSender<Answer>) {
    while let Ok(question) = inbox.recv() {
        let function = function(&question);
        let key = question.key;
        if outbox.send(Answer { key, function }).is_err() {
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
