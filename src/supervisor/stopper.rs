//! `stop.command`: a program that asks a service to end, in place of the signal. It has as long as the signal
//! would have; if it fails, the signal follows.

use std::os::fd::AsFd;

use crate::life::policy::{Exit, Pid, Why};
use crate::life::roster::Id;
use crate::sys::signal;
use crate::sys::spawn::Launch;

use super::kin::Whose;
use super::launch::{c_string, candidates, variables};
use super::{Supervisor, events, setup};

/// What tells the command whom it is about.
const PID_VARIABLE: &str = "MAINPID";

impl Supervisor {
    /// Asks a service to end, in the way it is configured. A group whose leader is gone, only a signal can ask.
    pub(super) fn ask_to_end(&mut self, id: Id, leader: Pid) {
        let has_leader = self.roster.get(id).is_some_and(|life| life.state().pid() == Some(leader));
        let has_command = self.unit(id).is_some_and(|unit| !unit.plan.stop.command.is_empty());
        if !(has_leader && has_command) {
            return self.signal_to_end(id, leader);
        }
        if let Err(error) = self.start_stopper(id, leader) {
            self.fault(id, &format!("cannot run its stop command: {error}"));
            self.signal_to_end(id, leader);
        }
    }

    /// Sends the signal that asks for the end.
    fn signal_to_end(&self, id: Id, leader: Pid) {
        let number = self.unit(id).map_or(libc::SIGTERM, |unit| unit.plan.stop.signal);
        self.signal(id, leader, number);
        let present = self.unit(id).and_then(|unit| unit.present.as_ref());
        if present.and_then(|present| present.walled.as_ref()).is_some_and(|it| it.is_deaf_to(leader, number))
        {
            // What the signal would have done to a process from which the kernel keeps it.
            self.signal(id, leader, libc::SIGKILL);
        }
        // A stopped process cannot obey.
        self.signal(id, leader, libc::SIGCONT);
    }

    /// Starts the command. It belongs to the service: what is left of it goes with the rest.
    fn start_stopper(&mut self, id: Id, leader: Pid) -> Result<(), String> {
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return Ok(()) };
        let argv: Vec<_> = unit.plan.stop.command.iter().map(|text| c_string(&**text)).collect();
        let mut variables = variables(&self.environment, unit);
        variables.insert(PID_VARIABLE, leader.0.to_string());
        let programs = candidates(argv.first(), variables.get("PATH").map_or("", |path| path));
        let envp: Vec<_> =
            variables.iter().map(|(name, value)| c_string(format!("{name}={value}"))).collect();
        let null = self.null.as_fd();
        let write = unit.output.as_ref().map_or(null, |output| output.write.as_fd());
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &programs,
                argv: &argv,
                envp: &envp,
                directory: &c_string(unit.plan.working_directory.as_os_str()),
                stdio: [null, write, write],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &setup::of(&unit.plan, unit.present.as_ref().map(|present| &present.hold)),
            })
            .map_err(|error| error.to_string())?;
        if let Some(present) = &mut unit.present {
            present.stopper = Some(process.pid);
        }
        self.acknowledge(process.pid, Whose::Of(id));
        Ok(())
    }

    /// Somebody of a service outside of its group has ended: if that was its stop command, and in vain, the
    /// signal follows.
    pub(super) fn kin_ended(&mut self, id: Id, pid: Pid, exit: Exit) {
        let present = self.unit_mut(id).and_then(|unit| unit.present.as_mut());
        if present.and_then(|present| present.stopper.take_if(|stopper| *stopper == pid)).is_none() {
            return;
        }
        let leader = self.roster.get(id).and_then(|life| life.state().pid());
        if let (Some(leader), Some(fault)) = (leader, events::fault(exit, Why::Itself)) {
            self.fault(id, &format!("its stop command {fault}"));
            self.signal_to_end(id, leader);
        }
    }

    /// Sends a signal to its process group.
    pub(super) fn signal(&self, id: Id, leader: Pid, number: i32) {
        let present = self.unit(id).and_then(|unit| unit.present.as_ref());
        let pidfd = present.and_then(|present| present.pidfd.as_ref()).map(AsFd::as_fd);
        // Nobody left to signal is what we want anyway; the reaper or the next look tells `life`.
        drop(signal::to_group(leader, pidfd, number));
        self.signal_main(id, leader, number);
    }
}
