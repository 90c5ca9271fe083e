//! What `backup-db` tells, and what it must not: no secret, no wrong reason, and no backup that is there left unsaid.

use maint_tests::{Postgres, Scratch, Tool};
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

/// A section of a database of a server, whose backups lie in `backups`.
fn section(scratch: &Scratch, server: &Postgres, name: &str, database: &str) -> String {
    let (url, backups) = (server.url(database), scratch.path().join("backups"));
    format!(
        "[database.{name}]\nurl = '{url}'\n[database.{name}.backup]\ndir = '{}'\nkeep = {{ last = 9 }}\n",
        backups.display()
    )
}

/// The newest backup of a section.
fn newest(config: &Path, name: &str) -> String {
    let listed = Tool::backup(config).args("list --json").arg(name).exits(0).json();
    listed["backups"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn no_log_and_no_report_tells_what_a_setting_is() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    server.script(
        "app",
        "create table t as select generate_series(1, 9) as a; alter database app set app.jwt_secret = 'JWTSECRET77';
         alter role postgres in database app set app.jwt_secret = 'JWTSECRET78'; comment on database app is 'JWTSECRET79';
         create function f() returns int language sql set application_name = 'JWTSECRET80' as 'select 1';
         create role helper login; alter role helper createdb; create database theirs owner helper;
         alter database theirs set app.jwt_secret = 'JWTSECRET81'; alter database theirs connection limit 7",
    );
    server.create("bare");
    let both = [("app", "app"), ("bare", "bare")].map(|(name, of)| section(&scratch, &server, name, of));
    let config = scratch.config(&both.concat());
    let is_silent = |done: &maint_tests::Done| {
        let told = [done.stdout.as_str(), &done.stderr].concat();
        assert!(!told.contains("JWTSECRET"), "{told}");
    };
    is_silent(&Tool::backup(&config).arg("-vv").exits(0));
    let (id, bare) = (newest(&config, "app"), newest(&config, "bare"));
    let into = |database: &str| format!("restore {id} -vv --into {}", server.url(database));
    is_silent(&Tool::backup(&config).args(&into("again")).exits(0));
    is_silent(&Tool::backup(&config).args(&into("theirs")).args("--no-owner --replace").exits(0));
    assert_eq!(
        server.sql("theirs", "show app.jwt_secret"),
        "JWTSECRET81",
        "what was there keeps its settings, and nobody reads of it"
    );
    // Who may not set it is told its name.
    server.script("app", "create role plain login createdb; create database mine owner plain");
    server.sql("mine", "alter database mine set app.jwt_secret = 'JWTSECRET82'");
    server.sql("mine", "alter database mine set log_statement = 'all'");
    let as_plain = server.url("mine").replace("postgres@", "plain@");
    let done = Tool::backup(&config)
        .args(&format!("restore {bare} -vv --no-owner --replace --into {as_plain}"))
        .run();
    is_silent(&done);
    done.says("not given to the new database: the setting log_statement: ");
}
