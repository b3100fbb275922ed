//! What a service is there for, when it is started, and what its exits mean. What it waits for is in `order`.

use super::error::Problems;
use super::item::{Choice, Item};
use super::plan::{Kind, OnExit, Restart, Start, Success};
use super::said::set;
use super::units;

/// Most exit codes in a list.
const CODES_MAX: usize = 256;

/// Values of `type`.
const KIND: Choice<Kind> = Choice { known: &[("daemon", Kind::Daemon), ("task", Kind::Task)], later: &[] };

/// Values of `start`.
const START: Choice<Start> = Choice {
    known: &[("boot", Start::Boot), ("manual", Start::Manual), ("on-demand", Start::OnDemand)],
    later: &[],
};

/// Values of `onExit`.
const ON_EXIT: Choice<OnExit> = Choice {
    known: &[
        ("nothing", OnExit::Nothing),
        ("shutdown", OnExit::Shutdown),
        ("shutdown-on-failure", OnExit::ShutdownOnFailure),
    ],
    later: &[],
};

/// What is said so far; `None` where nothing is.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// `type`
    pub(super) kind: Option<Kind>,
    /// `start`
    pub(super) start: Option<Start>,
    /// `onExit`
    pub(super) on_exit: Option<OnExit>,
    /// `successExitCodes`
    pub(super) success: Option<Success>,
    /// `restartPolicy.permanentExitCodes`
    pub(super) permanent: Option<Vec<u8>>,
    /// `stop.command`
    pub(super) stop_command: Option<Vec<Box<str>>>,
}

impl Course {
    /// `type`, with what it rules out.
    pub(super) fn read_kind(&mut self, root: &Item<'_>, problems: &mut Problems) {
        let Some(item) = root.get("type") else { return };
        set(&mut self.kind, item.choice(problems, &KIND));
        if self.kind != Some(Kind::Task) {
            return;
        }
        if root.get("restart").is_some_and(|restart| restart.node.text() == Some("always")) {
            item.wrong(problems, "contradicts restart: a task ends, so it is not restarted always");
        }
        for key in ["mcpConfig", "configFile"] {
            if root.get(key).is_some() {
                item.wrong(problems, "contradicts mcpConfig: a server is no task");
            }
        }
    }

    /// `start`
    pub(super) fn read_start(&mut self, item: &Item<'_>, problems: &mut Problems) {
        set(&mut self.start, item.choice(problems, &START));
    }

    /// `onExit`
    pub(super) fn read_on_exit(&mut self, item: &Item<'_>, problems: &mut Problems) {
        set(&mut self.on_exit, item.choice(problems, &ON_EXIT));
    }

    /// `successExitCodes`: codes, and signals by their names.
    pub(super) fn read_success(&mut self, item: &Item<'_>, problems: &mut Problems) {
        let Some(items) = item.items(problems, CODES_MAX) else { return };
        let mut success = Success::default();
        for item in items {
            if let Some(signal) = item.node.text().and_then(units::signal) {
                success.signals.push(signal);
            } else {
                success.codes.extend(code(&item, problems, " or the name of a signal"));
            }
        }
        self.success = Some(success);
    }

    /// `restartPolicy.permanentExitCodes`
    pub(super) fn read_permanent(&mut self, item: &Item<'_>, problems: &mut Problems) {
        let Some(items) = item.items(problems, CODES_MAX) else { return };
        self.permanent = Some(items.iter().filter_map(|item| code(item, problems, "")).collect());
    }

    /// When it is started again, if `said` says nothing that fits. A task that is done is not done again.
    pub(super) fn restart(&self, said: Option<Restart>) -> Restart {
        match (self.kind(), said) {
            (Kind::Daemon, said) => said.unwrap_or(Restart::Always),
            (Kind::Task, None) => Restart::Never,
            // A default that was meant for daemons.
            (Kind::Task, Some(Restart::Always)) => Restart::OnFailure,
            (Kind::Task, Some(said @ (Restart::OnFailure | Restart::Never))) => said,
        }
    }

    /// What it is there for.
    pub(super) fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Daemon)
    }
}

/// An exit code.
fn code(item: &Item<'_>, problems: &mut Problems, or: &str) -> Option<u8> {
    item.count(problems, 0..=255, or).and_then(|code| u8::try_from(code).ok())
}
