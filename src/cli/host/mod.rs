//! `install`, `uninstall`, `deploy`: the supervisor as a service of this host's own init. What each init wants is
//! in a file of its own; nothing here runs as PID 1.

mod call;
mod deploy;
mod init;
mod install;
mod launchd;
mod made;
mod openrc;
mod purge;
mod runit;
mod site;
mod systemd;
mod sysvinit;
mod uninstall;
mod verify;

pub(super) use deploy::answer as deploy;
pub(super) use install::answer as install;
pub(super) use uninstall::answer as uninstall;
