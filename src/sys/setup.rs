//! What a child is to become before it is another program: made ready by the parent, carried out in `child`.
//! Values only.

use std::ffi::{CString, c_int};

use super::cgroup::Group;
use super::sandbox::Sandbox;

/// Everything beyond program, arguments, environment and descriptors. The default changes nothing but the mask of
/// new files.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The control group it is made in.
    pub(crate) group: Option<&'a Group>,
    /// The mask of new files; ours unless said.
    pub(crate) umask: Option<libc::mode_t>,
    /// Another root.
    pub(crate) root: Option<CString>,
    /// The walls around it.
    pub(crate) sandbox: Option<Sandbox>,
    /// How much of the machine it gets.
    pub(crate) limits: Limits,
    /// Who it runs as.
    pub(crate) identity: Identity,
}

impl Setup<'_> {
    /// As we are.
    pub(crate) const NONE: Setup<'static> = Setup {
        group: None,
        umask: None,
        root: None,
        sandbox: None,
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
            dropped: None,
            ambient: 0,
            is_powerless: false,
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
    /// Capabilities that we could have and it cannot, a bit for each; none that it inherits are left then.
    pub(crate) dropped: Option<u64>,
    /// Capabilities it has whoever it is.
    pub(crate) ambient: u64,
    /// Whether it has no capabilities, and being root brings none.
    pub(crate) is_powerless: bool,
    /// Whether it can gain no privileges.
    pub(crate) no_new_privileges: bool,
}

/// Resource limits by the names that `prlimit` has for them, and the kernel's numbers.
pub(crate) const RESOURCES: [(&str, c_int); 16] = [
    ("cpu", 0),
    ("fsize", 1),
    ("data", 2),
    ("stack", 3),
    ("core", 4),
    ("rss", 5),
    ("nproc", 6),
    ("nofile", 7),
    ("memlock", 8),
    ("as", 9),
    ("locks", 10),
    ("sigpending", 11),
    ("msgqueue", 12),
    ("nice", 13),
    ("rtprio", 14),
    ("rttime", 15),
];

/// Capabilities without the `CAP_` in front, each at the place of its number.
pub(crate) const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];
