//! The options of `reclaim`, and the sections they select.

use clap::Args;
use maint_core::section::ReclaimSection;
use maint_run::{
    Run, UsageError,
    args::{Changing, Rescuing},
    config::Named,
};

/// Options beside those of every tool.
#[derive(Debug, Args)]
pub(crate) struct ReclaimArgs {
    #[command(flatten)]
    pub(crate) changing: Changing,
    #[command(flatten)]
    pub(crate) rescuing: Rescuing,
}

impl ReclaimArgs {
    /// The sections in the order in which they run: the lowest priority first, of equal ones the first in
    /// the file.
    pub(crate) fn sections(&self, run: &mut Run) -> Result<Vec<Named<ReclaimSection>>, UsageError> {
        if self.rescuing.is_asked_for() {
            self.rescuing.check(run)?;
        }
        let mut sections: Vec<Named<ReclaimSection>> = run.selected()?;
        let disabled: Vec<String> = sections
            .extract_if(.., |section| !section.value.enabled)
            .map(|section| format!("[reclaim.{}]", section.name))
            .collect();
        if let Some(name) = disabled.first()
            && !run.names().is_empty()
        {
            return Err(UsageError::new(format!("{name} says enabled = false: nothing was started")));
        }
        if sections.is_empty() && !disabled.is_empty() {
            run.explain_idleness(format!("all is disabled ({})", disabled.join(", ")));
        }
        sections.sort_by_key(|section| section.value.priority);
        Ok(sections)
    }
}
