//! Names in the commands that a finding names: what is copied into a shell means exactly what is meant.

use maint_core::text::printable;
use std::{os::unix::ffi::OsStrExt as _, path::Path};

/// A path as a word of a shell.
pub(crate) fn path(path: &Path) -> String {
    word(path.as_os_str().as_bytes())
}

/// A name as a word of a shell; one that cannot be shown as it is, in the way of bash.
pub(crate) fn word(name: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._+:@%,-".contains(b);
    let shown = printable(name);
    if !name.is_empty() && name.iter().all(plain) {
        shown
    } else if shown.contains('\\') {
        format!("$'{}'", shown.replace('\'', "\\'"))
    } else {
        format!("'{}'", shown.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_every_name_as_it_is() {
        for name in [
            &b"/mnt/ssd"[..],
            b"/mnt/two words",
            b"/mnt/it's",
            b"/mnt/$HOME `id` \"q\" \\ *",
            b"/mnt/a;b|c&d>e",
            "/mnt/Gr\u{fc}\u{df}e".as_bytes(),
            b"/mnt/line\nbreak 'and\\more",
            b"/mnt/\xff\x1b[2J1",
            b"",
        ] {
            let script = format!("printf %s {}", word(name));
            let said = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(said.stdout, name, "{script}");
        }
    }
}
