//! A monitoring plugin as one more check: its exit code is the status, its first line the message.

use maint_core::{
    section::PluginSection,
    text::{printable, shown_path},
};
use maint_run::{
    command::{self, Performed, Spawn},
    config::Named,
    exit::Status,
    report::{Check, Ended},
};

/// Runs a plugin and takes its word.
pub(crate) fn check(plugin: &Named<PluginSection>) -> Check {
    let Named { name, value, .. } = plugin;
    let unknown = |why: String| Check::new(name.clone(), Status::Unknown, why);
    let words = printable(value.command.join(" ").as_bytes());
    let program = match command::find(&value.command[0]) {
        Ok(program) => program,
        Err(why) => return unknown(why.to_string()).with_next(words),
    };
    let shown = shown_path(&program);
    match command::perform(&Spawn::new(&program, &value.command), value.timeout, || None) {
        Err(error) => unknown(format!("{shown} could not be started: {error}")),
        Ok(Performed { ended: Ended::Exited(code), tail, .. }) => {
            let status = match code {
                0 => Status::Ok,
                1 => Status::Warning,
                2 => Status::Critical,
                _ => Status::Unknown,
            };
            let message = tail.whole().as_deref().and_then(first_line);
            Check::new(
                name.clone(),
                status,
                message.unwrap_or_else(|| format!("{shown}: {}", Ended::Exited(code))),
            )
        }
        Ok(Performed { ended, .. }) => unknown(format!("{shown}: {ended}")),
    }
    .with_next(words)
}

/// The text of the first line, without the performance data behind the bar.
fn first_line(output: &str) -> Option<String> {
    let line = output.lines().find(|line| !line.trim().is_empty())?;
    let text = line.split('|').next()?.trim();
    (!text.is_empty()).then(|| printable(text.as_bytes()))
}
