//! What `backup-db` counts in a snapshot: every table by a name of its own, and as many of everything as a server
//! holds.

use maint_tests::{Postgres, ServedDb, Tool, scale};
use serde_json::Value;

/// What was counted for the newest backup.
fn contents(host: &ServedDb) -> Value {
    let manifest = host.backups().join(host.newest()).join("manifest.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    manifest["contents"].clone()
}

#[test]
fn names_with_dots_are_not_taken_for_each_other() {
    let host = ServedDb::new(
        "create schema a; create schema \"a.b\"; create table \"a.b\".c as select generate_series(1, 3) i; create table a.\"b.c\" as select generate_series(1, 5) i;
         create sequence \"a.b\".s start 3; create sequence a.\"b.s\" start 5; create table \"What is new\" (i int); create table \"\"\"\" (i int);
         create materialized view \"a.b\".m as select 1 as i; create materialized view a.\"b.m\" as select 1 as i union select 2",
    );
    Tool::backup(&host.config).exits(0).says("proved         restore");
    let counted = contents(&host);
    let names = |of: &str| counted[of].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names("tables"),
        [r#""a.b".c"#, r#"a."b.c""#, r#"public."""""#, "public.What is new"],
        "what needs no quotation marks has none, as in every backup so far"
    );
    for table in [r#""a.b".c"#, r#"a."b.c""#] {
        let rows = host.server.sql("app", &format!("select count(*) from {table}"));
        assert_eq!(counted["tables"][table]["rows"].to_string(), rows);
    }
    assert_eq!(counted["sequences"][r#""a.b".s"#]["from"], 3);
    assert_eq!(counted["sequences"][r#"a."b.s""#]["from"], 5);
    assert_eq!(names("materialized_views"), [r#""a.b".m"#, r#"a."b.m""#]);
}

#[test]
fn large_objects_are_counted_one_after_the_other() {
    let objects = scale(5_000, 200_000);
    let host = ServedDb::new(&format!(
        "create role bob login; grant create on schema public to bob; grant create on database app to bob; alter database app owner to bob; set role bob;
         select count(lo_from_bytea(0, '\\x6162')) from generate_series(1, {objects}); select lo_create(0);
         do $$ begin perform lo_put(lo_create(0), 70 << 20, '\\x01'); end $$"
    ));
    // Who owns them may not read the server's own table of their pages.
    let text = std::fs::read_to_string(&host.config).unwrap().replace("postgres@", "bob@");
    std::fs::write(&host.config, text).unwrap();
    Tool::backup(&host.config).exits(0).says("proved         restore");
    let counted = &contents(&host)["large_objects"];
    assert_eq!(counted["rows"], objects + 2);
    // By the length that is read, and with none of them opened.
    let part = 64 << 20;
    let hash = host.server.sql(
        "app",
        &format!(
            "select sum(hashtextextended(concat_ws(' ', oid, length(lo_get(oid)), part, md5(lo_get(oid, part::bigint * {part}, {part}))), 0))
             from pg_largeobject_metadata, generate_series(0, length(lo_get(oid)) / {part}) part"
        ),
    );
    assert_eq!(counted["hash"], hash, "as in every backup so far");
}

#[test]
fn more_tables_are_counted_than_one_transaction_can_read() {
    const TABLES: usize = 450;
    let tables: Vec<String> = (0..TABLES)
        .map(|n| format!("create table t{n} (id int primary key); insert into t{n} values ({n})"))
        .collect();
    let server = Postgres::with(&["max_locks_per_transaction=10", "max_connections=20"]);
    let host = ServedDb::at(server, "app", &tables.join(";\n"), "");
    let all = "do $$ begin for n in 0..449 loop execute 'select * from t' || n || ' where id = 1'; end loop; end $$";
    let refused = host.server.program("psql").args(["-X", "-d", "app", "-c", all]).output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("out of shared memory"), "the server is as small as it should be: {why}");
    Tool::backup(&host.config).exits(0).says("proved         restore");
    assert_eq!(contents(&host)["tables"].as_object().unwrap().len(), TABLES);
    // With more than that the dump fails, and what the server advises is told.
    let more: Vec<String> = (0..4 * TABLES).map(|n| format!("create table u{n} (id int)")).collect();
    host.server.script("app", &more.join(";\n"));
    Tool::backup(&host.config)
        .exits(2)
        .says("out of shared memory; hint: You might need to increase max_locks_per_transaction");
}

#[test]
fn a_row_whose_text_is_too_long_is_counted_all_the_same() {
    // More than a gigabyte of text is for a run of everything.
    let marks = scale(0, 550 << 20);
    let host = ServedDb::new(&format!(
        "create table huge (id int, j json, t text); insert into huge values (1, '[1]', repeat('\"', {marks})), (2, null, null)"
    ));
    Tool::backup(&host.config).exits(0).says("proved         restore");
    let hash = contents(&host)["tables"]["public.huge"]["hash"].as_str().unwrap().to_owned();
    let way = if marks == 0 { "text " } else { "columns " };
    assert!(hash.starts_with(way), "{hash}");
}
