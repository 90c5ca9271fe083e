//! `backup-db` and what a restore must not lose, must not overwrite, and must be able to do.

use maint_tests::{Postgres, ServedDb, Tool, chmod, scale, wait_until};
use std::fs;

fn restore(host: &ServedDb, id: &str, url: &str) -> Tool {
    Tool::backup(&host.config).args(&format!("restore {id} --into {url}"))
}

#[test]
fn what_was_put_there_meanwhile_is_not_dropped() {
    let rows = scale(300_000, 1_500_000);
    let made = format!("create table t as select i, md5(i::text) as m from generate_series(1, {rows}) i");
    let host = ServedDb::new(&made);
    let id = host.back_up();
    host.server.create("target");
    let restore = restore(&host, &id, &host.server.url("target"));
    let running = std::thread::spawn(move || restore.run());
    wait_until("a restore", || {
        host.server.sql("postgres", "select count(*) from pg_database where datname ~ '^maint_restore_'")
            == "1"
    });
    host.server.sql("target", "create table orders as select generate_series(1, 5000) as id");
    let done = running.join().unwrap();
    assert_eq!(done.code, Some(4), "{}", done.stdout);
    done.says("somebody has put something into target meanwhile");
    assert_eq!(host.server.sql("target", "select count(*) from orders"), "5000");
    let left = "select string_agg(datname, ' ' order by datname) from pg_database where not datistemplate";
    assert_eq!(host.server.sql("postgres", left), "app postgres target");
}

#[test]
fn whatever_somebody_made_is_something() {
    let host = ServedDb::new("create table t (a int)");
    let id = host.back_up();
    for made in [
        "create collation mine from \"C\"",
        "create operator === (leftarg = int, rightarg = int, function = int4eq)",
        "create text search configuration mine (copy = simple)",
        "create text search dictionary mine (template = simple)",
        "create conversion mine for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
        "create operator family mine using btree",
        "create extension hstore",
        "select lo_create(0)",
        "alter default privileges grant select on tables to public",
    ] {
        host.server.create("target");
        host.server.sql("target", made);
        let done = restore(&host, &id, &host.server.url("target")).run();
        assert_eq!(done.code, Some(4), "{made}: {}", done.stdout);
        done.says("is not empty");
        host.server.sql("postgres", "drop database target");
    }
    host.server.create("target");
    host.server.sql("target", "alter database target set work_mem = '9MB'");
    let into = host.server.url("target");
    restore(&host, &id, &into).exits(4).says("has settings of its own");
    host.server.sql("target", "alter database target reset all");
    host.server.sql("target", "create temporary table passing (a int)");
    restore(&host, &id, &host.server.url("target")).exits(0);
}

#[test]
fn what_is_in_it_may_need_what_it_is_set_to() {
    let made = "create table t (a int, tenant text); insert into t values (1, 'acme'), (2, 'other');
        alter database app set app.tenant = 'acme'; set app.tenant = 'acme';
        create materialized view mv as select * from t where tenant = current_setting('app.tenant')";
    let host = ServedDb::new(made);
    let id = host.back_up();
    restore(&host, &id, &host.server.url("again")).exits(0);
    assert_eq!(host.server.sql("again", "select a from mv"), "1");
}

#[test]
fn an_owner_restores_what_he_may() {
    let made = "create role lim login createdb; create table t (a int);
        alter database app set log_statement = 'all'; alter database app set work_mem = '7MB'";
    let host = ServedDb::new(made);
    let id = host.back_up();
    let url = host.server.url("mine").replace("postgres@", "lim@");
    for more in ["--no-owner", ""] {
        let done =
            Tool::backup(&host.config).args(&format!("restore {id} {more} --replace --into {url}")).run();
        if more.is_empty() {
            // What belonged to the superuser cannot be given to him by anybody else.
            assert_eq!(done.code, Some(2), "{}", done.stdout);
            continue;
        }
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        done.says("lim may not set log_statement of the database");
        let set = "select setconfig from pg_db_role_setting s join pg_database d on d.oid = setdatabase where datname = 'mine'";
        assert_eq!(host.server.sql("postgres", set), "{work_mem=7MB}");
    }
}

#[test]
fn roles_that_come_and_go_hinder_no_proof() {
    let made = "create table t as select i, md5(i::text) as m from generate_series(1, 400000) i; create role old_token login";
    let host = ServedDb::new(made);
    let mut changes = host.server.beside(
        "postgres",
        "do $$ begin for i in 1..40 loop execute 'create role token_' || i || ' login'; commit; perform pg_sleep(0.1); end loop; end $$",
    );
    host.server.sql("postgres", "drop role old_token");
    let id = host.back_up();
    changes.wait().unwrap();
    let roles = fs::read_to_string(host.backups().join(&id).join("roles.sql")).unwrap();
    let schema = fs::read_to_string(host.backups().join(&id).join("schema.txt")).unwrap();
    for n in 1..=40 {
        let (dumped, told) = (format!("CREATE ROLE token_{n};"), format!("role token_{n} "));
        assert_eq!(roles.contains(&dumped), schema.contains(&told), "{n}");
    }
}

#[test]
fn no_database_is_left_out_without_a_word() {
    let host = ServedDb::at(
        Postgres::start(),
        "app",
        "create table t (a int)",
        "databases = 'all'\nexcept = ['spare']",
    );
    for name in ["pattern", "shut", "spare", "bare"] {
        host.server.create(name);
        if name != "bare" {
            host.server.sql(name, "create table t as select 1 as a");
        }
    }
    host.server.sql("postgres", "alter database pattern is_template true");
    host.server.sql("postgres", "alter database spare is_template true");
    host.server.sql("postgres", "alter database shut allow_connections false");
    let done = Tool::backup(&host.config).exits(1);
    done.says(
        "the database pattern of this server has no backup, for it is a template: name it in databases",
    )
    .says("the database shut of this server has no backup, for it lets nobody in");
    assert!(!done.stdout.contains("spare"), "{}", done.stdout);
    let text = fs::read_to_string(&host.config).unwrap();
    fs::write(&host.config, text.replace("'all'\nexcept = ['spare']", "['app', 'pattern']")).unwrap();
    Tool::backup(&host.config).run().says("main:pattern");
}

#[test]
fn who_waits_for_no_lock_waits_not_at_all() {
    let host = ServedDb::at(Postgres::start(), "app", "create table t (a int)", "lock-wait = '0s'");
    let mut held = host.server.beside("app", "begin; lock table t; select pg_sleep(60)");
    wait_until("a lock", || {
        host.server.sql("app", "select count(*) from pg_locks where relation = 't'::regclass and granted")
            != "0"
    });
    let begun = std::time::Instant::now();
    Tool::backup(&host.config).exits(2).says("locked by somebody");
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    held.kill().unwrap();
    held.wait().unwrap();
}

#[test]
fn backups_in_quick_succession_have_moments_of_their_own() {
    let host = ServedDb::at(Postgres::start(), "app", "create table t (a int)", "verify = 'checksum'");
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..4 {
        let done = Tool::backup(&host.config).arg("--json").exits(0).json();
        ids.push(done["targets"][0]["id"].as_str().unwrap().to_owned());
    }
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

#[test]
fn where_anybody_may_swap_them_no_backups_are_kept() {
    let host = ServedDb::new("create table t (a int)");
    let dir = host.scratch.folder("backups");
    chmod(&dir, 0o777);
    Tool::backup(&host.config).exits(4).says("anybody may rename and remove what lies there");
    chmod(&dir, 0o1777);
    Tool::backup(&host.config).exits(0);
}
