//! `[check.NAME]`: a monitoring plugin as one more check.

use super::{Fault, Section};
use crate::units::Span;

/// The keys of `[check.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PluginSection {
    /// The program and its words; no shell reads them.
    pub command: Vec<String>,
    /// It is ended after this.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

fn default_timeout() -> Span {
    Span::from_seconds(10)
}

impl Section for PluginSection {
    fn check(&self) -> Result<(), Fault> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(Fault::at(
                "command",
                "names no program: [\"/usr/lib/nagios/plugins/check_load\", \"-w\", \"4\"]",
            ));
        }
        if self.timeout.seconds() == 0 {
            return Err(Fault::at("timeout", "0s leaves no time at all"));
        }
        Ok(())
    }
}
