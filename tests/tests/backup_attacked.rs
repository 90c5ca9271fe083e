//! What once made `backup-db` call a backup proved that was none, or refuse one that was good; and what else two hostile
//! reviews of it found at real servers.

use maint_tests::{Postgres, ServedDb, Tool, reseal, wait_until};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A host with a database of this name.
fn served(database: &str, sql: &str) -> ServedDb {
    ServedDb::at(Postgres::start(), database, sql, "")
}

#[test]
fn ordinary_things_are_proved() {
    let host = served(
        "app",
        "create extension pg_trgm version '1.5'; comment on schema public is 'ours';
         create table parent (a int); create table child (b text) inherits (parent); alter table parent add c int; insert into child values (1, 'x', 2);
         create table dropped (a int, b int, c int); alter table dropped drop a; create statistics st on b, c from dropped;
         create table p (id int primary key, k int) partition by range (id); create table r (pid int references p);
         create table p_b partition of p for values from (10) to (20); create table p_a partition of p for values from (0) to (10); insert into p values (1, 1), (11, 2); insert into r values (1);
         create table own (id int, k int); alter table own add primary key (id); create table part_fk (id int, rid int references own) partition by list (id);
         create table part_fk1 (id int, rid int, constraint own_fk foreign key (rid) references own); alter table part_fk attach partition part_fk1 for values in (1);
         alter default privileges revoke execute on functions from public; create type span as range (subtype = float8); create type \"odd type\" as enum ('a');
         create table dup (a int); insert into dup values (1), (1);
         create materialized view \"what is new\" as select count(*) as n from dup; insert into dup values (2);
         create table checked (s varchar check (s in ('a', 'b')), d text default 'x' || 'y'); create index expr on checked (lower(s)) where d is not null;
         create view v as select * from checked where s in ('a', 'b'); alter role all set work_mem = '5MB'",
    );
    // An index that was never finished, with a comment, and somebody's temporary table.
    let broken = host
        .server
        .program("psql")
        .args(["-X", "-q", "-d", "app", "-c", "create unique index concurrently ii on dup (a)"])
        .output()
        .unwrap();
    assert!(!broken.status.success());
    host.server.sql("app", "comment on index ii is 'broken'");
    let mut temporary = host.server.beside("app",
        "create temp table x (a int constraint kk check (a > 0)); comment on constraint kk on x is 'c'; select pg_sleep(600)",
    );
    wait_until("somebody sleeps", || {
        host.server.sql("app", "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()") == "1"
    });
    let done = Tool::backup(&host.config).exits(0);
    done.says("proved         restore").says("materialized view public.what is new");
    temporary.kill().unwrap();
    temporary.wait().unwrap();
    let id = host.newest();
    let roles = std::fs::read_to_string(host.backups().join(&id).join("roles.sql")).unwrap();
    assert!(roles.contains("ALTER ROLE ALL SET \"work_mem\" TO '5MB'"), "{roles}");
    Tool::backup(&host.config)
        .args(&format!("restore {id} --no-owner --into"))
        .arg(host.server.url("again"))
        .exits(0);
    // A database without the schema that every new one has.
    let bare =
        served("bare", "drop schema public; create schema other; create table other.t as select 1 as a");
    Tool::backup(&bare.config).exits(0).says("proved         restore");
    Tool::backup(&bare.config)
        .args(&format!("restore {} --into", bare.newest()))
        .arg(bare.server.url("again"))
        .exits(0);
    assert_eq!(bare.server.sql("again", "select count(*) from pg_namespace where nspname = 'public'"), "0");
}

#[test]
fn what_was_emptied_under_the_snapshot_is_not_proved_empty() {
    let host = served(
        "app",
        "create table abig as select i, md5(i::text) m from generate_series(1, 20000) i; create table live as select i from generate_series(1, 1000) i",
    );
    // pg_dump waits for one table, and meanwhile the other one is emptied and filled again.
    let mut held = host
        .server
        .beside("app", "begin; lock table abig in access exclusive mode; select pg_sleep(4); commit");
    wait_until("the table is locked", || {
        host.server.sql("app", "select count(*) from pg_locks where relation = 'abig'::regclass and granted")
            != "0"
    });
    let config = host.config.clone();
    let run = std::thread::spawn(move || Tool::backup(&config).arg("--json").run());
    wait_until("pg_dump waits", || {
        host.server.sql("app", "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") != "0"
    });
    host.server.sql("app", "begin; truncate live; insert into live select generate_series(1, 1000); commit");
    held.wait().unwrap();
    let done = run.join().unwrap();
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let manifest = std::fs::read_to_string(host.backups().join(host.newest()).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(
        manifest["contents"]["tables"]["public.live"]["rows"], 1000,
        "at every moment there were so many"
    );
}

#[test]
fn nobody_is_held_up_by_a_backup() {
    let host = served(
        "app",
        "create table other as select i, md5(i::text) m from generate_series(1, 300000) i; create table live as select i from generate_series(1, 1000) i",
    );
    let stop = Arc::new(AtomicBool::new(false));
    // Somebody empties and fills a table again and again, and somebody reads it.
    let (url, stopped) = (host.server.url("app"), Arc::clone(&stop));
    let psql = host.server.bin().join("psql");
    let (program, place) = (psql.clone(), url.clone());
    let writer = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let sql = "begin; truncate live; insert into live select generate_series(1, 1000); commit";
            std::process::Command::new(&program)
                .args(["-X", "-q", "-d", &place, "-c", sql])
                .output()
                .unwrap();
            std::thread::sleep(Duration::from_millis(700));
        }
    });
    let stopped = Arc::clone(&stop);
    let reader = std::thread::spawn(move || {
        let mut worst = Duration::ZERO;
        while !stopped.load(Ordering::Relaxed) {
            let since = std::time::Instant::now();
            std::process::Command::new(&psql)
                .args(["-X", "-q", "-d", &url, "-c", "select count(*) from live"])
                .output()
                .unwrap();
            worst = worst.max(since.elapsed());
        }
        worst
    });
    let codes: Vec<_> = (0..3)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(1100));
            Tool::backup(&host.config).run().code
        })
        .collect();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let worst = reader.join().unwrap();
    assert!(worst < Duration::from_secs(20), "a reader waited {worst:?}: {codes:?}");
    assert!(codes.contains(&Some(0)), "{codes:?}");
}

#[test]
fn what_no_dump_takes_along_is_told() {
    let host = served(
        "app",
        "create extension hstore; create table important as select generate_series(1, 100) a; analyze important; alter extension hstore add table important",
    );
    Tool::backup(&host.config)
        .exits(0)
        .says("public.important belongs to the extension hstore, and no dump takes its rows along");
}

#[test]
fn a_server_with_odd_habits_is_proved_all_the_same() {
    let host = served("x=y", "create role boss superuser login; create table t as select 1 as a");
    host.server.sql("postgres", "alter system set idle_session_timeout = '700ms'");
    host.server.sql("postgres", "alter system set idle_in_transaction_session_timeout = '700ms'");
    host.server.sql("postgres", "alter role postgres set default_transaction_read_only = on");
    host.server.script("postgres", "set default_transaction_read_only = off; alter role postgres set statement_timeout = '5s'; select pg_reload_conf()");
    Tool::backup(&host.config).exits(0).says("proved         restore");
    Tool::backup(&host.config)
        .args(&format!("restore {} --into", host.newest()))
        .arg(host.server.url("again"))
        .exits(0);
    // The first role of all may be forbidden to log in.
    host.server.script(
        "postgres",
        "set default_transaction_read_only = off; alter role postgres reset all; alter role postgres nologin",
    );
    let text =
        std::fs::read_to_string(&host.config).unwrap().replace("postgres://postgres@", "postgres://boss@");
    std::fs::write(&host.config, text).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    // 1, because nobody backs up the one that was just made.
    Tool::backup(&host.config).exits(1).says("proved         restore");
}

#[test]
fn what_somebody_made_ready_is_not_thrown_away() {
    let host = served(
        "app",
        "create role app login; create role bob; create table t as select 1 as a; create policy p on t to bob; alter database app connection limit 5; comment on database app is 'origin'; alter database app set statement_timeout = '77s'; create role maint_proof",
    );
    Tool::backup(&host.config).exits(0);
    let id = host.newest();
    let restore = |more: &str, database: &str| {
        Tool::backup(&host.config).args(&format!("restore {id} {more} --into")).arg(host.server.url(database))
    };
    host.server.create("pre");
    host.server.sql("pre", "create publication pub");
    restore("", "pre").exits(4).says("is not empty");
    host.server.sql("pre", "drop publication pub; create temp table x (a int)");
    host.server.sql("pre", "alter database pre owner to app; alter database pre connection limit 7");
    host.server.sql("pre", "revoke connect on database pre from public; grant connect on database pre to bob; alter database pre set work_mem = '7MB'");
    restore("--no-owner", "pre").exits(0);
    let kept = "select pg_get_userbyid(datdba), datconnlimit, has_database_privilege('bob', oid, 'connect'), (select setconfig from pg_db_role_setting where setdatabase = d.oid) from pg_database d where datname = 'pre'";
    assert_eq!(host.server.sql("postgres", kept), "app|7|t|{work_mem=7MB}");
    // Where a role is not known that a policy is about, that is said before anything is begun.
    let other = Postgres::start();
    Tool::backup(&host.config)
        .args(&format!("restore {id} --no-owner --into"))
        .arg(other.url("app"))
        .exits(4)
        .says("does not know the roles bob");
    // Even that one which the maintenance usually goes through.
    restore("--replace", "postgres").exits(0);
    assert_eq!(host.server.sql("postgres", "select count(*) from t"), "1");
    host.server.sql("postgres", "update pg_database set datallowconn = false where datname = 'pre'");
    restore("--replace", "pre").exits(4).says("lets nobody in");
    host.server.create("maint_restore_1");
    restore("", "next").exits(0).says("a killed run has left the database maint_restore_1");
}

#[test]
fn a_drill_that_fails_makes_the_next_proof_due() {
    let host = served("app", "create table t as select 1 as a");
    host.configure("app", "verify-every = '7d'");
    Tool::backup(&host.config).exits(0).says("proved         restore");
    // What was counted is not what comes out: nobody may rely on it until another restore has held.
    let manifest = host.backups().join(host.newest()).join("manifest.json");
    std::thread::sleep(Duration::from_millis(1100));
    Tool::backup(&host.config).exits(0).says("proved         checksum");
    reseal(&manifest, |body| body.replace("\"rows\": 1", "\"rows\": 2"));
    let id = manifest.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let failed = Tool::backup(&host.config).args(&format!("verify {id} --level restore")).exits(2);
    failed.says("table public.t has 1 rows, and had 2 when it was backed up");
    std::thread::sleep(Duration::from_millis(1100));
    Tool::backup(&host.config).exits(0).says("proved         restore");
}
