//! Where a process comes from, as its cgroup is called: a container, a pod, a unit of
//! systemd, a login session. The kernel side tells the names, `container::origin`
//! what they mean; names are anyone's to choose, and any text.

use std::sync::Arc;

use super::CgroupId;

/// See the module. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The innermost container.
    pub container: Option<OriginContainer>,
    /// The pod around that, by its id.
    pub pod: Option<String>,
    /// The innermost unit, as systemd writes it (`a\x2db.service`); in a container one
    /// of that one's own systemd.
    pub unit: Option<String>,
    /// The login session, by logind's number.
    pub session: Option<String>,
    /// Whose session it is, or whose own systemd has the unit.
    pub uid: Option<u32>,
}

/// A container that a cgroup is named after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginContainer {
    /// Its full id.
    pub id: String,
    /// What its engine calls it, where that was told.
    pub name: Option<String>,
    /// Its engine, where the cgroup's name tells.
    pub engine: Option<&'static str>,
}

/// What an origin is first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginKind {
    /// A unit of systemd.
    Unit,
    /// A login session.
    Session,
    /// A pod, outside of its containers.
    Pod,
    /// A container.
    Container,
}

impl Origin {
    /// `None`: it says nothing.
    pub fn kind(&self) -> Option<OriginKind> {
        Some(match self {
            Self {
                container: Some(_), ..
            } => OriginKind::Container,
            Self { pod: Some(_), .. } => OriginKind::Pod,
            Self {
                session: Some(_), ..
            } => OriginKind::Session,
            Self { unit: Some(_), .. } => OriginKind::Unit,
            _ => return None,
        })
    }

    /// Whether both are in one container, whatever it is called by now, and in the
    /// same place of that; or of what else they are in.
    pub fn is_same(&self, other: &Self) -> bool {
        let bare = |origin: &Self| {
            let id = origin.container.as_ref().map(|it| it.id.clone());
            let container = id.map(|id| OriginContainer {
                id,
                name: None,
                engine: None,
            });
            Self {
                container,
                ..origin.clone()
            }
        };
        bare(self) == bare(other)
    }
}

/// The cgroups that a task is in, and what they tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Of cgroup v2 and of the `pids` hierarchy of cgroup v1, by id; 0: none, or not
    /// known.
    pub cgroups: [CgroupId; 2],
    /// What those are called, where that says anything.
    pub origin: Option<Arc<Origin>>,
}

/// Of a signal: where its sender and its target are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The task that ran.
    pub current: Whereabouts,
    /// The target.
    pub target: Whereabouts,
}

impl Places {
    /// Where the sender comes from, if the target is elsewhere: the rest is no news.
    pub fn elsewhere(&self) -> Option<&Arc<Origin>> {
        let target = self.target.origin.as_deref();
        let same = |origin: &&Arc<Origin>| target.is_some_and(|target| target.is_same(origin));
        self.current.origin.as_ref().filter(|origin| !same(origin))
    }

    /// Where the target is, if a sender of another container reached into it, or the
    /// host's PID 1 into a unit: a chain names both ends then.
    pub fn reached(&self, by_pid1: bool) -> Option<&Arc<Origin>> {
        use OriginKind::{Container, Pod, Session, Unit};
        let from = self.elsewhere()?.kind();
        let is_wanted = |target: &&Arc<Origin>| match target.kind() {
            Some(Container | Pod) => matches!(from, Some(Container | Pod)),
            Some(Unit | Session) => by_pid1,
            None => false,
        };
        self.target.origin.as_ref().filter(is_wanted)
    }
}
