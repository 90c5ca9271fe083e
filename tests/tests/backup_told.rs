//! What `backup-db` tells, and what it must not: no secret, no wrong reason, and no backup that is there left unsaid.

use maint_tests::{Scratch, Tool};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn no_fault_of_a_configuration_shows_a_password() {
    let scratch = Scratch::new();
    for fault in [
        "url=\"postgres:/u:hunter2@127.0.0.1:1/d\"",
        "url = 'postgres//u:hunter2@127.0.0.1:1/d'",
        "url = 'postgres://u:hun?ter2@127.0.0.1:1/d'",
        "url = 'postgres://u:hun?ter2=x@127.0.0.1:1/d'",
        "url = 'postgres://u:hun/ter2@127.0.0.1:1/d'",
        "url = 'postgres://u:hun#ter2%zz@127.0.0.1:1/d'",
        "url = 'postgres://u:hun'ter2@127.0.0.1:1/d'",
        "url = 'postgres://u:hun\"ter2@127.0.0.1:1/d",
        "url = \"postgres://u:hun\\ter2\\q@127.0.0.1:1/d\"",
        "url = \"\"\"\npostgres:/u:hunter2\\q@127.0.0.1:1/d\"\"\"",
        "url = ['postgres://u:hunter2@127.0.0.1:1/d']",
        "url = 'postgres://u:${hunter2@127.0.0.1:1/d'",
        "url = 'postgres://u:${hun ter2}@127.0.0.1:1/d'",
        "url 'postgres:/u:hunter2@127.0.0.1:1/d'",
        "\"url\": 'postgres:/u:hunter2@127.0.0.1:1/d'",
        "password = 'hunter2'",
        "url = 'sqlite://hunter2'",
    ] {
        let section = format!(
            "[database.a]\n{fault}\n[database.a.backup]\ndir = '/var/backups/a'\nkeep = {{ last = 1 }}\n"
        );
        let config = scratch.config(&section);
        chmod(&config, 0o600);
        for words in ["", "--check-config", "list", "--cron", "--json -vv"] {
            let done = Tool::backup(&config).args(words).exits(3);
            let told = [done.stdout, done.stderr].concat();
            for part in ["hun", "ter2"] {
                assert!(!told.contains(part), "{fault}, {words}: {told}");
            }
            assert!(told.contains("maint.toml:"), "{fault}: {told}");
        }
    }
    // Nor does one of a file of variables, which is there for such things.
    for fault in ["postgres://u:hunter2@h?a=b", "URL='postgres://u:hun'ter2@h'", "hunter2"] {
        chmod(&scratch.file("site.env", fault), 0o600);
        let config = scratch.config("env-file = ['site.env']\n");
        let done = Tool::backup(&config).exits(3);
        done.warns("site.env:1:");
        assert!(!done.stderr.contains("hun") && !done.stderr.contains("ter2"), "{}", done.stderr);
    }
}
