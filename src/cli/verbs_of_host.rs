//! The part of the table of verbs that makes the supervisor a service of the host. Nothing is done here.

use super::options::{Flag, Opt, switch, valued};
use super::verbs::{Does, Verb};

/// Which init.
const INIT: Opt = valued(
    Flag::Init,
    None,
    "init",
    "NAME",
    "systemd, openrc, sysvinit, runit or launchd (that of the host)",
);
/// What it is called.
const NAME: Opt = valued(Flag::Name, None, "name", "NAME", "what the host calls the service (mcp-init)");
/// A person's own.
const USER: Opt = switch(Flag::User, None, "user", "a service of yours, not of the host (systemd, launchd)");
/// An image.
const ROOT: Opt = valued(Flag::Root, None, "root", "DIR", "the root of an image; DESTDIR says the same");
/// Another program.
const PROGRAM: Opt = valued(Flag::Program, None, "program", "PATH", "where mcp-init is (this one)");
/// In spite of it all.
const FORCE: Opt =
    switch(Flag::Force, None, "force", "also a file that install did not make, or somebody changed");

/// `install`.
pub(super) static INSTALL: Verb = Verb {
    does: Does::Install,
    name: "install",
    arguments: "",
    summary: "make the supervisor a service of this host",
    text: &[
        "Writes what the host's init wants, so that mcp-init -c DIR run starts with the host and is started again \
         when it dies: a unit of systemd, a script of OpenRC or of a System V init, a service folder of runit, a \
         property list of launchd. Starts nothing.",
        "The service does not have your environment: what ${NAME} in the configuration needs goes into the file \
         environment beside mcp-init.json, a NAME=VALUE a line, readable by its owner only.",
        "Each file says in its first lines that it was made; one that was not, or was changed, is not replaced.",
    ],
    options: &[
        INIT,
        NAME,
        USER,
        ROOT,
        PROGRAM,
        FORCE,
        switch(Flag::Print, None, "print", "show what would be written, and write nothing"),
    ],
    exits: &[],
    examples: &[
        ("mcp-init install --print", "see the unit"),
        ("mcp-init install --user", "one of your own, by systemd"),
        ("mcp-init install --init openrc --root /mnt/image", "into an image"),
    ],
    hidden: false,
};

/// `uninstall`.
pub(super) static UNINSTALL: Verb = Verb {
    does: Does::Uninstall,
    name: "uninstall",
    arguments: "",
    summary: "end the service of this host and remove it",
    text: &[
        "Ends the supervisor and removes what install made. The configuration stays; so do state and logs, unless \
         --purge is said.",
    ],
    options: &[
        INIT,
        NAME,
        USER,
        ROOT,
        FORCE,
        switch(Flag::Purge, None, "purge", "state and logs as well, and folders that are empty then"),
    ],
    exits: &[],
    examples: &[("mcp-init uninstall --purge", "leave nothing but the configuration")],
    hidden: false,
};

/// `deploy`.
pub(super) static DEPLOY: Verb = Verb {
    does: Does::Deploy,
    name: "deploy",
    arguments: "",
    summary: "install, start and verify it, or leave everything as it was",
    text: &[
        "Step by step: the configuration is checked as the service will read it, folders are made, the service is \
         installed and started, and then every enabled service must run and not be unhealthy. If not, what was \
         done is undone, and an older installation runs again.",
        "Said again, it takes up a changed configuration or a new program.",
    ],
    options: &[
        INIT,
        NAME,
        USER,
        PROGRAM,
        FORCE,
        valued(Flag::Timeout, None, "timeout", "TIME", "for everything to run (60s)"),
    ],
    exits: &[],
    examples: &[("mcp-init deploy", "from a folder of JSON files to a service of the host")],
    hidden: false,
};
