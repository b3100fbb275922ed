//! Where things are: the configuration, the supervisor's socket, its state and its logs. Nothing of it is read
//! but `mcp-init.json`, so that a verb costs little however many services there are.

use std::env;
use std::path::PathBuf;

use super::arguments::Invocation;
use super::failure::{CONFIGURATION, Failure};
use crate::config::plan::Settings;
use crate::config::{self, ConfigError, Environment};

/// The name of the control socket in the runtime folder.
const SOCKET: &str = "control.sock";

/// Where things are.
#[derive(Debug)]
pub(super) struct Places {
    /// What the configuration may know of the world.
    pub(super) environment: Environment,
    /// The folder of the configuration.
    pub(super) config: PathBuf,
}

impl Places {
    /// As the command line and the environment say.
    pub(super) fn of(invocation: &Invocation) -> Result<Self, Failure> {
        let current_dir =
            env::current_dir().map_err(|error| Failure::reading("the present folder", &error))?;
        let environment = Environment {
            variables: env::vars_os().collect(),
            root: nix::unistd::geteuid().is_root(),
            exe: env::current_exe().ok(),
            current_dir,
        };
        let config = match invocation.config() {
            Some(said) => environment.current_dir.join(said),
            None => config::default_dir(&environment),
        };
        Ok(Self { environment, config })
    }

    /// The supervisor's settings.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        config::settings(&self.config, &self.environment).map_err(|problems| refused(&problems))
    }

    /// The control socket.
    pub(super) fn socket(&self) -> Result<PathBuf, Failure> {
        Ok(self.settings()?.runtime_dir.join(SOCKET))
    }
}

/// The configuration has problems; one line has room for the first.
fn refused(problems: &[ConfigError]) -> Failure {
    let text = match problems {
        [first, _, ..] => format!("{first}; \"mcp-init check\" says more"),
        [first] => first.to_string(),
        [] => "cannot read the configuration".to_owned(),
    };
    Failure::new(CONFIGURATION, text)
}
