//! What a child is to become before it is another program: made ready by the parent, carried out in `child`.
//! Values only.

use std::ffi::{CString, c_int};

/// Everything beyond program, arguments, environment and descriptors. The default changes nothing but the mask of
/// new files.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The mask of new files; ours unless said.
    pub(crate) umask: Option<libc::mode_t>,
    /// Another root.
    pub(crate) root: Option<CString>,
    /// How much of the machine it gets.
    pub(crate) limits: Limits,
    /// Who it runs as.
    pub(crate) identity: Identity,
}

impl Setup {
    /// As we are.
    pub(crate) const NONE: Self = Self {
        umask: None,
        root: None,
        limits: Limits {
            rlimits: Vec::new(),
            nice: None,
            scheduling: None,
            affinity: Vec::new(),
            io_priority: None,
            oom_score: None,
        },
        identity: Identity {
            groups: None,
            gid: None,
            uid: None,
            bounding: None,
            ambient: 0,
            no_new_privileges: false,
        },
    };
}

/// How much of the machine a process gets.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Resources by their numbers, soft and hard.
    pub(crate) rlimits: Vec<(c_int, libc::rlimit64)>,
    /// Nice value.
    pub(crate) nice: Option<c_int>,
    /// Policy and priority.
    pub(crate) scheduling: Option<(c_int, c_int)>,
    /// A bit for each processor; empty for all.
    pub(crate) affinity: Vec<u64>,
    /// Class and level in one number.
    pub(crate) io_priority: Option<c_int>,
    /// The text for `oom_score_adj`.
    pub(crate) oom_score: Option<Box<[u8]>>,
}

/// Who a process runs as, and what that may do.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Supplementary groups.
    pub(crate) groups: Option<Vec<libc::gid_t>>,
    /// Group.
    pub(crate) gid: Option<libc::gid_t>,
    /// User.
    pub(crate) uid: Option<libc::uid_t>,
    /// Capabilities it can have at all, a bit for each.
    pub(crate) bounding: Option<u64>,
    /// Capabilities it has whoever it is.
    pub(crate) ambient: u64,
    /// Whether it can gain no privileges.
    pub(crate) no_new_privileges: bool,
}
