//! `backup-db` and real PostgreSQL servers: what comes back is what was there.

use maint_tests::{Done, Postgres, Scratch, Tool, chmod, json_lines, scale};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

/// Every thing that dumps and restores are known to trip over.
const AWKWARD: &str = r#"
create role "odd "" role" login password 'secret' connection limit 3;
create role readers; grant readers to "odd "" role" with admin option;
alter role readers set work_mem = '5MB';
create schema "Odd Schema" authorization "odd "" role";
create extension hstore; create extension pg_trgm schema "Odd Schema"; create extension citext;
create type mood as enum ('sad', 'it''s fine', 'glad');
create type pair as (a int, b text);
create domain positive as int default 7 check (value > 0) not null;
create type span as range (subtype = float8);
create collation numbers (provider = icu, locale = 'en-u-kn-true');
create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create sequence down increment -3 minvalue -1000 maxvalue 10 start 10 cycle; select nextval('down'), nextval('down');
create sequence fresh start 41;
create table kinds (
    id bigint generated always as identity (start 100 increment 5), small serial, m mood, p pair, d positive,
    s span, h hstore, c citext, t text collate numbers, l text collate loose, f float8, n numeric, b bytea, j jsonb, js json, x xml,
    ts timestamptz, iv interval, ip inet, arr text[][], mon money, bits bit varying(9), pt point, u uuid, cls regclass, ts2 tsvector,
    twice float8 generated always as (f * 2) stored, primary key (id), unique (small), exclude using gist (s with &&));
insert into kinds (m, p, s, h, c, t, l, f, n, b, j, js, x, ts, iv, ip, arr, mon, bits, pt, u, cls, ts2)
select (array['sad', 'it''s fine', 'glad'])[1 + i % 3]::mood, row(i, E'a\tb\\\n"' || i)::pair, span(i, i + 0.5), hstore('k' || i, null), 'CaSe' || i,
       'file' || i, 'LOOSE' || i, case i when 1 then 'NaN' when 2 then 'Infinity' when 3 then '-0' else i / 3.0 end::float8, i / 7.0,
       decode(md5(i::text), 'hex') || '\x00'::bytea, jsonb_build_object('i', i, 'é', null), '{"b":1, "a" : 2}', '<a>&amp;</a>',
       case i when 5 then 'infinity' else now() - i * interval '1 hour' end, interval '1 mon -3 days 04:05:06.789', '10.0.0.1/8',
       array[['a', null], ['c,"', 'd']], i::numeric::money, '101', point(i, 1e-300), gen_random_uuid(), 'pg_class', to_tsvector('the quick ' || i)
from generate_series(1, 500) i;
create table "weird ""name"" é" ("the row" int, "select" text, "a.b" text); insert into "weird ""name"" é" values (1, 'x', 'y'), (1, 'x', 'y'), (null, null, null);
create table empty (a int); create table nothing (); insert into nothing default values; insert into nothing default values;
create unlogged table unlogged (a int); insert into unlogged select generate_series(1, 50);
create table parts (day date not null, k int, v text) partition by range (day);
create table parts_1 partition of parts for values from ('2026-01-01') to ('2026-07-01');
create table parts_2 partition of parts for values from ('2026-07-01') to ('2027-01-01') partition by list (k);
create table parts_2a partition of parts_2 for values in (1, 2); create table parts_2b partition of parts_2 default;
create table parts_x partition of parts default; create index on parts (k, day desc nulls last) include (v) where k > 1;
insert into parts select date '2025-12-01' + i, i % 5, 'v' || i from generate_series(1, 400) i;
create table mother (a int); create table child (b int) inherits (mother); insert into mother values (1); insert into child values (2, 3);
create table big (t text); alter table big alter t set storage external; insert into big select repeat(md5(i::text), 40000) from generate_series(1, 8) i;
create table refs (id int primary key, up int references refs deferrable initially deferred, k bigint);
insert into refs values (1, 2, 100), (2, 1, 7); alter table refs add foreign key (k) references kinds on delete cascade not valid; alter table refs cluster on refs_pkey; alter table refs replica identity full;
create view v as select id, m from kinds where f > 10 with check option; create view rec as with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r;
create materialized view filled as select m, count(*) from kinds group by m; create unique index on filled (m); create materialized view unfilled as select 1 as one with no data;
create function twice(int) returns int language sql immutable strict parallel safe as 'select $1 * 2'; create index on kinds (twice(small)); create index on kinds using gin (j jsonb_path_ops); create index on kinds using gin (t "Odd Schema".gin_trgm_ops);
create function noted() returns trigger language plpgsql security definer set search_path = public as $$ begin return new; end $$;
create trigger noting before insert or update of f on kinds for each row when (new.f > 0) execute function noted('a', 'b'); alter table kinds disable trigger noting;
create procedure proc(inout a int) language plpgsql as $$ begin a := a + 1; end $$; create aggregate total (int) (sfunc = int4pl, stype = int, initcond = '0');
create operator === (leftarg = int, rightarg = int, function = int4eq); create cast (pair as text) with inout;
create rule no_delete as on delete to empty do instead nothing; create statistics st (dependencies, mcv) on m, f from kinds;
alter table empty enable row level security; alter table empty force row level security; create policy only_one on empty for select to readers using (a = 1);
create function never() returns event_trigger language plpgsql as $$ begin end $$; create event trigger et on ddl_command_end when tag in ('CREATE TABLE') execute function never();
create publication pub for table kinds; alter default privileges for role "odd "" role" in schema "Odd Schema" grant select on tables to readers;
grant select (id, m), update (m) on kinds to readers with grant option; grant usage on sequence fresh to public; revoke execute on function twice(int) from public; grant all on schema "Odd Schema" to readers;
alter table refs owner to "odd "" role"; comment on table kinds is E'it''s a\nline'; comment on column kinds.m is 'mood'; comment on database awkward is 'odd';
select lo_from_bytea(0, decode(repeat('ab', 100000), 'hex')); select lo_from_bytea(4711, 'hello'); select lo_create(4712); select lo_put(4712, 5000000, 'far away'); grant select on large object 4711 to readers; comment on large object 4711 is 'greeting';
alter database awkward set search_path = "$user", public, "Odd Schema"; alter database awkward set work_mem = '6MB'; alter role readers in database awkward set datestyle = 'SQL, DMY';
alter database awkward connection limit 50; grant connect on database awkward to readers; revoke temporary on database awkward from public;
create table live_a (id bigint primary key, t text); create table live_b (id bigint primary key, n numeric);
"#;

fn configured(scratch: &Scratch, server: &Postgres, database: &str, keys: &str) -> PathBuf {
    let url = server.url(database);
    let backups = scratch.path().join("backups");
    scratch.config(&format!(
        "[database.main]\nurl = '{url}'\n[database.main.backup]\ndir = '{}'\nkeep = {{ daily = 14 }}\n{keys}\n",
        backups.display()
    ))
}

fn only_id(config: &Path) -> String {
    let listed = Tool::backup(config).args("list --json").exits(0).json();
    let backups = listed["backups"].as_array().unwrap().clone();
    assert_eq!(backups.len(), 1, "{listed}");
    backups[0]["id"].as_str().unwrap().to_owned()
}

/// Somebody who writes pairs of rows, each pair in one transaction, as long as he lives.
fn writer(server: &Postgres, database: &str) -> Child {
    let sql = "do $$ begin for i in 1..1000000 loop
        insert into live_a values (i, md5(i::text)); insert into live_b values (i, i); commit; end loop; end $$";
    server.beside(database, sql)
}

#[test]
fn a_database_of_every_awkward_thing_comes_back() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("awkward");
    server.script("awkward", AWKWARD);
    // Two KB a row, which no compression makes less than half.
    let rows = scale(2_000, 540_000);
    server.script(
        "awkward",
        &format!(
            "create table bulk as select i, (select string_agg(md5(i || '-' || n), '') from generate_series(1, 61) n) as t
             from generate_series(1, {rows}) i"
        ),
    );
    let config = configured(&scratch, &server, "awkward", "");
    let mut writing = writer(&server, "awkward");
    maint_tests::wait_until("somebody writes", || {
        server.sql("awkward", "select count(*) from live_a") != "0"
    });
    let done = Tool::backup(&config).arg("--json").exits(0).json();
    // Who has lost his client goes on: the server must end him.
    let ours = "pid <> pg_backend_pid() and datname = 'awkward'";
    server.sql(
        "postgres",
        &format!("select pg_terminate_backend(pid, 30000) from pg_stat_activity where {ours}"),
    );
    writing.wait().unwrap();
    let target = &done["targets"][0];
    assert_eq!(
        (target["verified"].as_str(), target["status"].as_str()),
        (Some("restore"), Some("ok")),
        "{done}"
    );

    let id = only_id(&config);
    let restored =
        Tool::backup(&config).args(&format!("restore {id} --into")).arg(server.url("again")).exits(0);
    restored.says("1 proved by restoring");
    // Of what was written meanwhile all came that was committed by the moment of the snapshot, and nothing else.
    for database in ["awkward", "again"] {
        assert_eq!(
            server.sql(database, "select (select count(*) from live_a) = (select count(*) from live_b) and (select count(*) = max(id) from live_a) and (select count(*) > 0 from live_a)"),
            "t"
        );
        server.sql(database, "truncate live_a, live_b");
    }
    assert_eq!(server.picture("awkward"), server.picture("again"));
    assert_eq!(server.schema("awkward"), server.schema("again"));
    let own = |database: &str| {
        let query = format!(
            "select encoding, datcollate, datctype, datconnlimit, shobj_description(oid, 'pg_database'),
                    (select string_agg(a::text, ',' order by a::text) from unnest(datacl) a),
                    (select string_agg(setrole || setconfig::text, ',' order by setrole) from pg_db_role_setting where setdatabase = d.oid)
             from pg_database d where datname = '{database}'"
        );
        server.sql("postgres", &query)
    };
    assert_eq!(own("awkward"), own("again"));
    assert_eq!(server.sql("again", "select nextval('down'), nextval('fresh')"), "4|41");
    assert_eq!(server.sql("again", "select encode(lo_get(4712, 5000000, 8), 'escape')"), "far away");
    assert_eq!(server.sql("again", "insert into kinds (f) values (1) returning id"), "2600");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    server.script(
        "app",
        "create role owner_of_it; create table t as select 1 as a; alter table t owner to owner_of_it",
    );
    let config = configured(&scratch, &server, "app", "");
    Tool::backup(&config).exits(0);
    let id = only_id(&config);
    let restore = |database: &str| {
        Tool::backup(&config).args(&format!("restore {id} --into")).arg(server.url(database))
    };
    restore("app").exits(4).says("is not empty: name another one, or add --replace");
    server.create("empty");
    restore("empty").exits(0);
    server.sql("app", "insert into t values (2)");
    // Who is connected would go on working on what is going to be dropped.
    let mut connected = server
        .program("psql")
        .args(["-d", "app", "-c", "select pg_sleep(60)"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    maint_tests::wait_until("a session", || {
        server.sql("postgres", "select count(*) from pg_stat_activity where datname = 'app'") == "1"
    });
    restore("app").arg("--replace").exits(4).says("1 session is connected to app: end them first");
    assert_eq!(server.sql("app", "select count(*) from t"), "2");
    server.sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'app'");
    connected.wait().unwrap();
    restore("app").arg("--replace").exits(0);
    assert_eq!(server.sql("app", "select count(*) from t"), "1");
    assert_eq!(
        server.sql(
            "postgres",
            "select string_agg(datname, ' ' order by datname) from pg_database where not datistemplate"
        ),
        "app empty postgres"
    );
    // Somewhere else its roles are not known.
    let other = Postgres::start();
    let there =
        |more: &str| Tool::backup(&config).args(&format!("restore {id} {more} --into")).arg(other.url("app"));
    there("").exits(4).says("does not know the roles owner_of_it: make them (psql -f");
    there("--no-owner").exits(0);
    assert_eq!(other.sql("app", "select count(*) from t"), "1");
    for (words, says) in [
        ("restore nonsense --into x", "there is no backup nonsense"),
        ("restore", "takes the ID of one backup"),
        ("--replace", "--replace is for restore"),
        ("emergency-copy main", "is no SQLite file"),
        ("verify nonsense", "there is no backup nonsense"),
        ("drill nobody", "no section [database.nobody]"),
    ] {
        Tool::backup(&config).args(words).exits(3).warns(says);
    }
    Tool::backup(&config).args(&format!("restore {id}")).exits(3).warns("wants --into");
    Tool::backup(&config)
        .args(&format!("restore {id} --into /srv/x.db"))
        .exits(3)
        .warns("postgres://user@host/database");
}

#[test]
fn all_databases_are_backed_up_and_a_forgotten_one_is_named() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    for name in ["one", "two three", "a/b"] {
        server.create(name);
        server.sql(name, "create table t as select generate_series(1, 10) as a");
    }
    let config = configured(&scratch, &server, "one", "");
    let done = Tool::backup(&config).exits(1);
    done.says("the database two three of this server has no backup")
        .says("the database a/b of this server has no backup");
    assert!(!done.stdout.contains("database postgres"), "nothing is in it: {}", done.stdout);
    let all = configured(&scratch, &server, "one", "databases = 'all'\nexcept = ['postgres']");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let done = Tool::backup(&all).arg("--json").exits(0).json();
    let names: Vec<&str> =
        done["targets"].as_array().unwrap().iter().map(|target| target["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["main:a/b", "main:one", "main:two three"]);
    server.create("new");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    Tool::backup(&all).exits(0).says("main:new:");
    Tool::backup(&all).arg("drill").exits(0).says("4 proved by restoring");
    let gone = configured(&scratch, &server, "nowhere", "");
    Tool::backup(&gone).exits(2).says("nowhere").says("does not exist");
}

#[test]
fn a_server_that_is_there_for_it_serves_as_well() {
    let (server, other, scratch) = (Postgres::start(), Postgres::start(), Scratch::new());
    server.create("app");
    server.script(
        "app",
        "create role somebody; create table t as select 1 as a; alter table t owner to somebody",
    );
    let text = format!("scratch = 'lab'\n[database.lab]\nurl = '{}'", other.url("postgres"));
    let config = configured(&scratch, &server, "app", &text);
    Tool::backup(&config)
        .exits(0)
        .says("proved         restore")
        .says("lab does not know the roles somebody");
    assert_eq!(other.sql("postgres", "select count(*) from pg_database where not datistemplate"), "1");
    let wrong = configured(&scratch, &server, "app", "scratch = 'main'");
    Tool::backup(&wrong).exits(3).warns("names this very section");
    let wrong = configured(&scratch, &server, "app", "scratch = 'nobody'");
    Tool::backup(&wrong).exits(3).warns("there is no [database.nobody]");
}

#[test]
fn passwords_are_used_and_never_told() {
    const SECRET: &str = "hunter2:with\\signs";
    let (mut server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    server.sql("app", "create table t as select generate_series(1, 300000) as a");
    server.sql("app", &format!("create role backer superuser login password '{SECRET}'"));
    let place = server.socket().to_owned();
    fs::write(
        place.join("data/pg_hba.conf"),
        "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    server.crash();
    server.go();
    let port = server.port();
    let secret = scratch.file("password", SECRET);
    let section = |keys: &str| {
        let backups = scratch.path().join("backups");
        let text = format!(
            "[database.main]\n{keys}\n[database.main.backup]\ndir = '{}'\nkeep = {{ last = 9 }}\n",
            backups.display()
        );
        scratch.config(&text)
    };
    let parts = format!("host = '127.0.0.1'\nport = {port}\nuser = 'backer'\ndbname = 'app'\n");
    let by_file = format!("{parts}password-file = '{}'", secret.display());
    Tool::backup(&section(&by_file)).exits(2).says("others may read or write it").says("chmod 600");
    chmod(&secret, 0o600);
    let run = |config: &Path| {
        Tool::wrapped(
            "backup-db",
            &[
                "strace",
                "-f",
                "-s",
                "9999",
                "-e",
                "trace=execve,write",
                "-o",
                scratch.path().join("trace").to_str().unwrap(),
            ],
        )
        .arg("-c")
        .arg(config)
        .arg("-vv")
        .run()
    };
    let config = section(&by_file);
    let done = run(&config);
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let trace = fs::read_to_string(scratch.path().join("trace")).unwrap();
    let told = trace.lines().filter(|line| line.contains("hunter2") && !line.contains("*:*:*:*:"));
    assert_eq!(told.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(trace.contains("pg_dumpall"), "it did its work");
    for place in ["backups", "state", "audit.jsonl", "metrics"] {
        let found = std::process::Command::new("grep")
            .args(["-r", "hunter2"])
            .arg(scratch.path().join(place))
            .output()
            .unwrap();
        assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    }
    // The ways of libpq.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let pass = scratch.file(
        "pgpass",
        &format!(
            "127.0.0.1:{port}:app:backer:{}\n*:*:*:*:wrong\n",
            SECRET.replace('\\', "\\\\").replace(':', "\\:")
        ),
    );
    chmod(&pass, 0o600);
    Tool::backup(&section(&parts)).env("PGPASSFILE", &pass).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let service = scratch.file(
        "service.conf",
        &format!("[camera]\nhost=127.0.0.1\nport={port}\nuser=backer\ndbname=app\npassword={SECRET}\n"),
    );
    Tool::backup(&section("service = 'camera'")).env("PGSERVICEFILE", &service).exits(0);
    Tool::backup(&section("service = 'other'"))
        .env("PGSERVICEFILE", &service)
        .exits(2)
        .says("there is no service other");
    // What is wrong is said without it.
    let wrong = section(&format!("url = 'postgres://backer:hunter2wrong@127.0.0.1:{port}/app'"));
    let refused = Tool::backup(&wrong).exits(3);
    refused.warns("holds a password and anybody may read it");
    chmod(&wrong, 0o600);
    let refused = Tool::backup(&wrong).exits(2);
    refused.says("password authentication failed");
    let typo = section(&format!("url = 'postgres://backer:hunter2wrong@127.0.0.1:{port}/app?x=y'"));
    chmod(&typo, 0o600);
    let fault = Tool::backup(&typo).exits(3);
    fault.warns("unknown parameter `x`").warns(":8:7:");
    for done in [&refused, &fault] {
        assert!(
            !done.stdout.contains("hunter2") && !done.stderr.contains("hunter2"),
            "{}{}",
            done.stdout,
            done.stderr
        );
    }
}

fn openssl(folder: &Path, words: &str) {
    let done = std::process::Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_server_that_is_not_who_it_says_is_told_nothing() {
    let scratch = Scratch::new();
    let place = scratch.folder("tls");
    for name in ["ca", "other"] {
        openssl(
            &place,
            &format!(
                "req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN={name} -keyout {name}.key -out {name}.crt"
            ),
        );
    }
    openssl(
        &place,
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr",
    );
    openssl(
        &place,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -copy_extensions copy -out server.crt",
    );
    std::process::Command::new("chown").args(["-R", "postgres"]).arg(&place).status().unwrap();
    let files = [
        format!("ssl_cert_file={}/server.crt", place.display()),
        format!("ssl_key_file={}/server.key", place.display()),
    ];
    let server = Postgres::with(&["ssl=on", &files[0], &files[1]]);
    server.create("app");
    let section = |host: &str, authority: &str| {
        let text = format!(
            "[database.main]\nurl = 'postgres://postgres@{host}:{}/app?sslmode=verify-full&sslrootcert={}/{authority}.crt'\n\
             [database.main.backup]\ndir = '{}'\nkeep = {{ last = 9 }}\n",
            server.port(),
            place.display(),
            scratch.path().join("backups").display()
        );
        scratch.config(&text)
    };
    Tool::backup(&section("localhost", "ca")).exits(0).says("proved         restore");
    assert_eq!(
        server.sql("postgres", "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'maint%'"),
        "0"
    );
    Tool::backup(&section("localhost", "other")).exits(2).says("certificate");
    Tool::backup(&section("127.0.0.1", "ca")).exits(2).says("certificate");
    Tool::backup(&section("localhost", "nothing")).exits(2).says("sslrootcert");
}

#[test]
fn a_restore_is_tried_as_seldom_as_is_asked() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    server.sql("app", "create table t as select 1 as a");
    let config = configured(&scratch, &server, "app", "verify-every = '7d'");
    let day = 86_400;
    let start = 1_800_000_000;
    let mut levels = Vec::new();
    for n in 0..9 {
        let done = Tool::backup_at(&config, start + n * day).arg("--json").exits(0).json();
        levels.push(done["targets"][0]["verified"].as_str().unwrap().to_owned());
    }
    let mut expected = vec!["checksum".to_owned(); 9];
    expected[0] = "restore".to_owned();
    expected[7] = "restore".to_owned();
    assert_eq!(levels, expected);
    let left = Tool::backup(&config).args("list --json").exits(0).json()["backups"].as_array().unwrap().len();
    // Two that were restored, and the newest three that were not.
    assert_eq!(left, 5);
    let removed = json_lines(&scratch.path().join("audit.jsonl"));
    assert_eq!(removed.iter().filter(|line| line["event"] == "backup-removed").count(), 4);
}

#[test]
fn by_its_own_programs_in_its_own_place() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    server.create("app");
    server.sql("app", "create table t as select 1 as a");
    // What `docker exec -i postgres` does: run a program where the server is, with what is set there.
    let prefix = scratch.program(
        "inside",
        &format!(
            "#!/bin/sh\nexport PGHOST={} PGPORT={}\nshift 2\nexec \"$@\"\n",
            server.socket().display(),
            server.port()
        ),
    );
    let config = |script: &Path| {
        scratch.config(&format!(
            "[database.main]\nurl = '{}'\ncommand-prefix = ['{}', '-i', 'x']\n[database.main.backup]\ndir = '{}'\nkeep = {{ last = 3 }}\n",
            server.url("app"),
            script.display(),
            scratch.path().join("backups").display()
        ))
    };
    Tool::backup(&config(&prefix)).exits(0).says("proved         restore");
    let old = scratch.program("old", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
    no_backup(&Tool::backup(&config(&old)).exits(2), "9.6.24: it must be as new");
}

fn no_backup(done: &Done, says: &str) {
    done.says(says).says("0 backups");
}
