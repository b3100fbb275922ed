//! The steps of a child on its way to another program, by name and by the exit code that says the same. Nothing is
//! done here.

use std::ffi::c_int;

/// A step that failed, and the errno.
pub(super) type Failed = (Stage, c_int);

/// What a child does, in this order; the first step that fails is told to the parent by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A process of its own could not be made at all.
    Clone,
    /// Its control group.
    Cgroup,
    /// A session and process group of its own.
    Session,
    /// Default dispositions, empty mask.
    Signals,
    /// stdin, stdout, stderr and the channel.
    Descriptors,
    /// Another root.
    Root,
    /// The namespaces of its sandbox.
    Namespaces,
    /// The file system of its sandbox.
    View,
    /// Its working directory.
    Directory,
    /// Its resource limits.
    Limits,
    /// Its nice value.
    Nice,
    /// Its scheduling policy.
    Scheduling,
    /// The processors it may run on.
    Affinity,
    /// Its class and level of I/O.
    IoPriority,
    /// Its place in the order in which the kernel kills for want of memory.
    OomScore,
    /// Its groups.
    Group,
    /// Its user.
    User,
    /// What it may do beyond its user.
    Capabilities,
    /// That it can gain no privileges.
    NoNewPrivileges,
    /// The Landlock rules of its sandbox.
    Rules,
    /// The system call filter of its sandbox.
    Filter,
    /// The program itself.
    Exec,
}

impl Stage {
    /// As the object of "cannot".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Clone => "make a process",
            Self::Cgroup => "enter the control group",
            Self::Session => "make a session",
            Self::Signals => "reset signals",
            Self::Descriptors => "set up descriptors",
            Self::Root => "change the root",
            Self::Namespaces => "make the namespaces of the sandbox",
            Self::View => "build the file system of the sandbox",
            Self::Directory => "enter the working directory",
            Self::Limits => "set limits",
            Self::Nice => "set the nice value",
            Self::Scheduling => "set the scheduling policy",
            Self::Affinity => "set the CPU affinity",
            Self::IoPriority => "set the I/O priority",
            Self::OomScore => "set the OOM score",
            Self::Group => "change the group",
            Self::User => "change the user",
            Self::Capabilities => "set capabilities",
            Self::NoNewPrivileges => "give up new privileges",
            Self::Rules => "set the Landlock rules of the sandbox",
            Self::Filter => "set the system call filter of the sandbox",
            Self::Exec => "execute",
        }
    }

    /// The exit code by which systemd says the same; there is none for a process that was never made.
    pub(crate) const fn code(self) -> Option<i32> {
        Some(match self {
            Self::Clone => return None,
            Self::Directory => 200,
            Self::Nice => 201,
            Self::Descriptors => 202,
            Self::Exec => 203,
            Self::Limits => 205,
            Self::OomScore => 206,
            Self::Signals => 207,
            Self::Root => 210,
            Self::IoPriority => 211,
            Self::Scheduling => 214,
            Self::Affinity => 215,
            Self::Group => 216,
            Self::User => 217,
            Self::Capabilities => 218,
            Self::Cgroup => 219,
            Self::Session => 220,
            Self::Namespaces | Self::View | Self::Rules => 226,
            Self::NoNewPrivileges => 227,
            Self::Filter => 228,
        })
    }
}
