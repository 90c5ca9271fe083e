//! What `backup-db` tells, and what it must not: no secret, no wrong reason, and no backup that is there left unsaid.

use maint_tests::{AppDb, Picture, Postgres, Scratch, Tool, chmod, dumped};
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

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

/// The commands of a section of the document, with what is to be changed in them.
fn commands(heading: &str, n: usize, changed: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/restore.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let block = section.split("```sh\n").nth(n).unwrap().split("```").next().unwrap();
    let mut all = String::new();
    for line in block.lines().filter(|line| !line.starts_with("apt-get ")) {
        let variable = changed.iter().find(|(name, _)| line.starts_with(&format!("{name}=")));
        all += &variable.map_or_else(|| line.to_owned(), |(name, value)| format!("{name}='{value}'"));
        all.push('\n');
    }
    all
}

/// Runs a script as a person types it: what fails does not end it. Gives what it printed.
fn typed(script: &str, server: Option<&Postgres>) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec 2>&1\n{script}")]).stdin(Stdio::null()).current_dir("/");
    if let Some(server) = server {
        shell.env("PGHOST", server.socket()).env("PGPORT", server.port().to_string());
    }
    String::from_utf8(shell.output().unwrap().stdout).unwrap()
}

#[test]
fn the_document_restores_a_file() {
    let host = AppDb::new("wal", "keep = { last = 3 }");
    host.fill(200, 100);
    let before = dumped(&host.file);
    Tool::backup(&host.config).exits(0);
    let backup = host.backups().join(newest(&host.config, "app"));
    // The application was killed, and what it leaves is of another state.
    let wal = host.scratch.path().join("app.db-wal");
    fs::write(&host.file, "gone").unwrap();
    fs::write(&wal, "poison").unwrap();
    fs::create_dir(host.scratch.path().join("old")).unwrap();
    let changed =
        [("BACKUP", backup.to_str().unwrap()), ("APP", host.file.to_str().unwrap()), ("OWNER", "nobody")];
    let picture = Picture::of(&backup);
    let told = typed(&(commands("1.", 1, &changed) + &commands("2.", 1, &changed)), None);
    assert_eq!(told.matches(": OK").count(), 2, "{told}");
    assert!(told.contains("\nok\n") && !told.contains("cannot"), "{told}");
    assert!(!wal.exists());
    assert_eq!(dumped(&host.file), before);
    assert_ne!(fs::metadata(&host.file).unwrap().uid(), 0);
    picture.assert_unchanged();
    // And where nothing has been.
    let fresh = host.scratch.folder("new").join("app.db");
    let changed = [changed[0], ("APP", fresh.to_str().unwrap()), changed[2]];
    typed(&(commands("1.", 1, &changed) + &commands("2.", 1, &changed)), None);
    assert_eq!(dumped(&fresh), before);
}

#[test]
fn the_document_restores_databases() {
    let (server, scratch) = (Postgres::start(), Scratch::new());
    for database in ["camera", "postgres"] {
        if database != "postgres" {
            server.create(database);
        }
        server.sql(database, "create table the_table as select generate_series(1, 9) as a");
    }
    server.sql("camera", "create role cam login; alter database camera owner to cam");
    let names = ["camera", "postgres"];
    let config = scratch.config(&names.map(|name| section(&scratch, &server, name, name)).concat());
    Tool::backup(&config).exits(0);
    let other = Postgres::start();
    let restored = |name: &str, first: &str| {
        let backup = scratch.path().join("backups").join(newest(&config, name));
        let picture = Picture::of(&backup);
        let changed = [("BACKUP", backup.to_str().unwrap())];
        let told = typed(
            &(commands("1.", 1, &changed) + first + &commands("3.", 1, &changed) + &commands("4.", 1, &[])),
            Some(&other),
        );
        picture.assert_unchanged();
        assert!(told.contains("public.the_table 9"), "{told}");
        told.lines()
            .filter(|line| line.contains("ERROR") || line.contains("error:"))
            .map(str::to_owned)
            .collect()
    };
    let told: Vec<String> = restored("camera", "");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with("role \"postgres\" already exists"), "{told:?}");
    // The second of a server, which every server has already.
    let rename = commands("3.", 2, &[]).replace("camera", "postgres");
    let told: Vec<String> = restored("postgres", &rename);
    assert_eq!(told.iter().filter(|line| line.ends_with("already exists")).count(), 2, "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    for database in names {
        assert_eq!(other.picture(database), server.picture(database));
        assert_eq!(other.schema(database), server.schema(database));
    }
    assert_eq!(
        other.sql("camera", "select pg_get_userbyid(datdba) from pg_database where datname = 'camera'"),
        "cam"
    );
}

#[test]
fn backups_of_a_section_that_got_another_name_are_found() {
    let host = AppDb::new("wal", "keep = { last = 9 }");
    let mut ids = Vec::new();
    for _ in 0..3 {
        Tool::backup(&host.config).exits(0);
        ids.push(newest(&host.config, "app"));
        // A backup is named after its second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let others = |config: &Path| Tool::backup(config).args("list --json").exits(0).json()["others"].clone();
    assert_eq!(others(&host.config), serde_json::json!([]));
    let text = fs::read_to_string(&host.config).unwrap();
    let config = host
        .scratch
        .file("shop.toml", &text.replace("database.app", "database.shop").replace("last = 9", "last = 1"));
    let (shown, id) = (host.backups().display().to_string(), &ids[2]);
    assert_eq!(
        others(&config),
        serde_json::json!([{ "database": "app", "path": shown, "backups": 3, "newest": id }])
    );
    let listed = Tool::backup(&config).arg("list").exits(0);
    listed
        .says("there is no backup of these sections")
        .says(&format!("3 backups in {shown}, the newest {id}"));
    // It is found, restored and proved.
    let remark = "it was made as [database.app], and lies in the folder of [database.shop]";
    let to = host.scratch.path().join("again.db");
    Tool::backup(&config).args(&format!("restore {id} --into")).arg(&to).exits(0).says(remark);
    assert_eq!(dumped(&to), dumped(&host.file));
    Tool::backup(&config)
        .args(&format!("verify {id} --level restore"))
        .exits(0)
        .says(remark)
        .says("proved         restore");
    Tool::backup(&config)
        .args("restore app-20200101T000000Z --into")
        .arg(&to)
        .exits(3)
        .warns("there is no backup");
    // It is nobody's to remove, however little the section keeps that has its backups there now.
    let pictures: Vec<Picture> = ids.iter().map(|id| Picture::of(&host.backups().join(id))).collect();
    for _ in 0..3 {
        Tool::backup(&config).exits(0);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    pictures.iter().for_each(Picture::assert_unchanged);
    let listed = Tool::backup(&config).arg("list").exits(0);
    listed.says("shop-").says(&format!("3 backups in {shown}, the newest {id}"));
    assert!(!listed.stdout.contains("there is no backup"));
    let damaged = host.backups().join(id).join("data.db.zst");
    fs::write(&damaged, "bad").unwrap();
    Tool::backup(&config).args(&format!("verify {id}")).exits(2).says("data.db.zst");
}

/// A section of a file, and where its backups lie.
fn of_file(file: &Path, keys: &str) -> String {
    format!(
        "[database.app]\nurl = {:?}\n[database.app.backup]\n{keys}\nkeep = {{ last = 9 }}\n",
        format!("sqlite://{}", file.display())
    )
}

#[test]
fn what_a_path_is_called_is_escaped_once() {
    let host = AppDb::new("wal", "keep = { last = 9 }");
    let odd = host.scratch.path().join("a\nb.db");
    fs::copy(&host.file, &odd).unwrap();
    let config = host.scratch.config(&of_file(&odd, &format!("dir = {:?}", host.backups())));
    for done in [Tool::backup(&config).exits(0), Tool::backup(&config).arg("list").exits(0)] {
        done.says("a\\x0ab.db");
        assert!(!done.stdout.contains("\\\\x0a"), "{}", done.stdout);
    }
}

#[test]
fn who_may_not_write_beside_a_file_is_told_so() {
    const NOBODY: u32 = 65_534;
    let scratch = Scratch::new();
    let file = scratch.folder("db").join("app.db");
    let done = Command::new("sqlite3")
        .arg(&file)
        .arg("PRAGMA journal_mode = wal; CREATE TABLE t (a)")
        .output()
        .unwrap();
    assert!(done.status.success());
    let place = scratch.folder("mine");
    for folder in [scratch.path(), &place] {
        std::os::unix::fs::chown(folder, Some(NOBODY), None).unwrap();
    }
    let config = scratch.config(&of_file(&file, &format!("dir = '{}/backups'", place.display())));
    let done = Tool::as_user("backup-db", NOBODY).arg("-c").arg(&config).exits(2);
    done.says("cannot be read by this user").says("app.db-shm beside it, and may not");
    assert!(!done.stdout.contains("interrupted transaction"), "{}", done.stdout);
    // Where there is one, it is told.
    fs::remove_file(&file).unwrap();
    let half = "CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(500000)); PRAGMA cache_size = 1; BEGIN; UPDATE t SET a = 1;
         CREATE TABLE more AS SELECT randomblob(500000);";
    let copies =
        ["", "-journal"].map(|end| format!(".shell cp '{0}{end}' '{0}.half{end}'\n", file.display()));
    let shell = format!("echo \"$1\" | sqlite3 '{}'", file.display());
    let script = [half, "\n", &copies.concat()].concat();
    assert!(Command::new("sh").args(["-c", &shell, "sh", &script]).status().unwrap().success());
    for end in ["", "-journal"] {
        fs::rename(format!("{}.half{end}", file.display()), format!("{}{end}", file.display())).unwrap();
    }
    Tool::as_user("backup-db", NOBODY).arg("-c").arg(&config).exits(2).says("interrupted transaction");
}

#[test]
fn a_second_place_that_is_the_first_one_is_told_so() {
    let host = AppDb::new("wal", "keep = { last = 9 }");
    let backups = host.backups();
    let link = host.scratch.path().join("way");
    std::os::unix::fs::symlink(host.scratch.path(), &link).unwrap();
    let keys = format!(
        "dir = '{}'\ncopy-to = {{ dir = '{}/backups', keep = {{ last = 9 }} }}",
        backups.display(),
        link.display()
    );
    let config = host.scratch.config(&of_file(&host.file, &keys));
    let done = Tool::backup(&config).exits(1);
    done.says(&format!("it is the same folder as dir, {}", backups.display()));
    assert!(!done.stdout.contains("another run"), "{}", done.stdout);
}

#[test]
fn a_folder_that_a_run_would_refuse_is_no_correct_one() {
    let host = AppDb::new("wal", "keep = { last = 9 }");
    for (dir, says) in [
        ("/etc", "belongs to /etc"),
        ("/etc/nowhere", "belongs to /etc"),
        ("/home", "a folder of the system"),
        ("/home/nobody-at-all", "would be a home folder"),
    ] {
        let config = host.scratch.config(&of_file(&host.file, &format!("dir = '{dir}'")));
        let done = Tool::backup(&config).arg("--check-config").exits(3);
        done.warns(says).warns(&format!("maint.toml:7: [database.app]: backup.dir: {dir}"));
        Tool::backup(&config).exits(4).says(says);
        let second = format!(
            "dir = '{}'\ncopy-to = {{ dir = '{dir}', keep = {{ last = 1 }} }}",
            host.backups().display()
        );
        let config = host.scratch.config(&of_file(&host.file, &second));
        Tool::backup(&config).arg("--check-config").exits(3).warns("backup.copy-to: ").warns(says);
    }
    // One that is not there, as a disk that is not mounted, is no fault.
    let config = host.scratch.config(&of_file(&host.file, "dir = '/mnt/not-there/backups'"));
    Tool::backup(&config).arg("--check-config").exits(0).says("correct");
}
