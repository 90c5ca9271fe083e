//! A dump of a PostgreSQL database, and what was in it at that very moment: one snapshot serves both.

use crate::{
    args::Section,
    credentials::Credentials,
    digest,
    store::{Patience, Steps},
    tools::Tools,
    words,
};
use maint_core::fs::Unfinished;
use maint_db::{
    address::Server,
    backup::{BackedUp, FileEntry, Kind},
    contents::Contents,
    quote,
    server::{self, Client, Counted, Databases, DbError, Error, Facts, Properties, Roles, Session},
};
use maint_run::command::{self, Performed, Spawn, Tail};
use std::{
    ffi::OsString,
    io::{self, PipeReader, Read},
    path::PathBuf,
    sync::mpsc::Sender,
};

/// The dump itself, in the server's own format, compressed.
pub(crate) const DUMP: &str = "dump.zst";
/// The roles of the server.
pub(crate) const ROLES: &str = "roles.sql";
/// Where its tablespaces are, if there are any.
pub(crate) const TABLESPACES: &str = "tablespaces.sql";
/// What the database is made of, line by line.
pub(crate) const SCHEMA: &str = "schema.txt";

/// What was written into an unfinished backup.
pub(crate) struct Dumped {
    pub(crate) kind: Kind,
    pub(crate) contents: Contents,
    pub(crate) files: Vec<FileEntry>,
    pub(crate) remarks: Vec<String>,
}

/// Why nothing was.
pub(crate) enum NotDumped {
    /// Somebody was in the way for a moment.
    Again(String),
    /// For good.
    Failed(String),
}

impl From<String> for NotDumped {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<DbError> for NotDumped {
    fn from(error: DbError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What the database was like in the snapshot.
struct Picture {
    snapshot: String,
    properties: Properties,
    facts: Facts,
    roles: Vec<String>,
    unavoidable_roles: Vec<String>,
    contents: Contents,
    remarks: Vec<String>,
}

impl Picture {
    /// Begins the snapshot, and looks at what it is of.
    fn take(client: &mut Client, version: u32) -> Result<Self, Error> {
        // Sequences are no part of a snapshot, and a lock on one would be held as long as it.
        let contents = server::before_the_dump(client)?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let snapshot = client.query_one("SELECT pg_export_snapshot()", &[])?.get(0);
        let properties = Properties::read(client, version)?;
        let facts = Facts::read(client, &properties)?;
        let roles = server::needed_roles(client, &properties)?;
        let unavoidable_roles = server::unavoidable_roles(client)?;
        let remarks = server::left_out(client)?;
        Ok(Self { snapshot, properties, facts, roles, unavoidable_roles, contents, remarks })
    }
}

/// A dump that says when its first byte comes.
struct Announced {
    pipe: PipeReader,
    begin: Option<Sender<()>>,
}

impl Read for Announced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pipe.read(buffer)?;
        // Without a byte there was no dump: whoever waits hears that nobody will speak any more.
        if let Some(begin) = self.begin.take().filter(|_| read > 0) {
            let _ = begin.send(());
        }
        Ok(read)
    }
}

/// A server that is being backed up.
pub(crate) struct Origin<'a> {
    pub(crate) section: &'a Section,
    pub(crate) server: &'a Server,
    pub(crate) databases: &'a Databases,
}

impl Origin<'_> {
    /// Dumps one database of it into an unfinished backup.
    pub(crate) fn dump(
        &self,
        database: &str,
        into: &Unfinished<'_>,
        patience: &Patience,
        steps: &mut Steps,
    ) -> Result<Dumped, NotDumped> {
        let dumper = Dumper::find(self.section, self.databases)?;
        let server = self.server.with_database(database);
        let credentials = Credentials::new(&server, &words::application(self.section));
        let credentials =
            credentials.map_err(|error| format!("no place in memory for a password: {error}"))?;
        let asked = || patience.over();
        let session = Session::open(&server, &words::application(self.section), &asked)?;
        // To pg_dump none at all means for ever.
        let lock_wait = (self.section.backup.lock_wait.seconds() * 1000).max(1);
        let version = self.databases.version_number;
        let picture = session.run(&asked, move |client| Picture::take(client, version))?;
        let Picture { snapshot, properties, facts, roles, unavoidable_roles, contents, mut remarks } =
            picture;

        // Counting waits until pg_dump has all its locks, which is when the first byte comes: a lock of ours before one
        // of its would close a circle with whoever wants to change that table. From then on both read the same
        // pages, and whoever comes second finds them in memory.
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        let counting = session.begin(move |client| match begun.recv() {
            Ok(()) => server::count_while_locked(client, contents),
            Err(_) => Ok(Counted::Unbegun),
        });
        let mut files = Vec::new();
        let file = into.create(DUMP).map_err(|error| format!("{DUMP} cannot be made: {error}"))?;
        let options = [
            "--format=custom".to_owned(),
            "--compress=0".to_owned(),
            format!("--snapshot={snapshot}"),
            format!("--lock-wait-timeout={lock_wait}"),
        ];
        let Called { program, words, environment } =
            dumper.words(&credentials, database, "pg_dump", &options)?;
        let spawn = Spawn::new(&program, &words).with(environment);
        let level = self.section.backup.compression_level.0;
        let alarm = || {
            patience.over().or_else(|| counting.told(Counted::objection).map(|why| format!("because {why}")))
        };
        let (performed, written) = command::stream(&spawn, self.section.backup.timeout, alarm, |pipe| {
            let mut dump = Announced { pipe, begin: Some(begin) };
            digest::compress(&mut dump, file, DUMP, level, || None)
        })
        .map_err(|error| format!("pg_dump cannot be started: {error}"))?;
        // What could not be written comes first: then pg_dump complains only of a closed pipe.
        let entry = written.map_err(|error| format!("{DUMP} cannot be written: {error}"))?;
        // Whoever was stopped for it has no better reason.
        counting
            .told(|answer| match answer {
                Ok(Counted::Not(why)) if !performed.ended.is_success() => Some(NotDumped::Again(why.clone())),
                Err(error) => Some(error.clone().into()),
                Ok(_) => None,
            })
            .map_or(Ok(()), Err)?;
        // That is how pg_dump says that it has waited for a lock.
        let waited = |why: String| {
            if why.contains("due to statement timeout") {
                format!(
                    "a table was locked by somebody for longer than {}: {why}",
                    self.section.backup.lock_wait
                )
            } else {
                why
            }
        };
        ended_well("pg_dump", &performed).map_err(waited)?;
        remarks.extend(warnings_in(&performed.tail));
        files.push(entry);
        steps.done("dump");

        let contents = match session.wait(counting, &asked)? {
            Counted::All(contents) => *contents,
            Counted::Not(why) => return Err(NotDumped::Again(why)),
            Counted::Unbegun => return Err(NotDumped::Failed("pg_dump wrote nothing".to_owned())),
        };
        let contents = session.run(&asked, |client| {
            client.batch_execute("COMMIT")?;
            server::sequences_after(client, contents)
        })?;
        steps.done("count");

        let (globals, roles_then) = self.globals(&session, &dumper, &credentials, database, patience)?;
        for (name, text) in globals {
            let written = into.create(name).and_then(|file| digest::write(file, name, &text));
            files.push(written.map_err(|error| format!("{name} cannot be written: {error}"))?);
        }
        let facts = facts.with_roles_of(&roles_then);
        if !self.databases.is_superuser {
            remarks.push(format!(
                "{} is no superuser: {ROLES} holds the roles without their passwords",
                self.server.user
            ));
        }
        let text = facts.to_text();
        let schema = into.create(SCHEMA).and_then(|file| digest::write(file, SCHEMA, text.as_bytes()));
        files.push(schema.map_err(|error| format!("{SCHEMA} cannot be written: {error}"))?);
        steps.done("roles");

        let Databases { version, version_number, bootstrap, is_superuser, preloaded, .. } =
            self.databases.clone();
        let kind = Kind::Postgresql(Box::new(BackedUp {
            version,
            version_number,
            dumped_by: dumper.version,
            bootstrap,
            properties,
            roles,
            unavoidable_roles,
            passwords: is_superuser,
            preloaded,
        }));
        Ok(Dumped { kind, contents, files, remarks })
    }

    /// What belongs to the server and not to one database, and its roles at that moment: they come and go by the hour
    /// where they are made for a day.
    fn globals(
        &self,
        session: &Session,
        dumper: &Dumper,
        credentials: &Credentials,
        database: &str,
        patience: &Patience,
    ) -> Result<(Globals, Roles), NotDumped> {
        let asked = || patience.over();
        let for_all_roles = session.run(&asked, server::settings_of_all_roles)?;
        let mut before = session.run(&asked, Roles::read)?;
        for _ in 0..TRIES {
            let globals = self.globals_now(dumper, credentials, database, patience, &for_all_roles)?;
            let after = session.run(&asked, Roles::read)?;
            if after == before {
                return Ok((globals, after));
            }
            before = after;
        }
        Err(NotDumped::Again("the roles of the server change all the time".to_owned()))
    }

    fn globals_now(
        &self,
        dumper: &Dumper,
        credentials: &Credentials,
        database: &str,
        patience: &Patience,
        for_all_roles: &str,
    ) -> Result<Globals, String> {
        let mut wanted = vec![(ROLES, "--roles-only")];
        if self.databases.has_tablespaces {
            wanted.push((TABLESPACES, "--tablespaces-only"));
        }
        let mut files = Vec::new();
        for (name, what) in wanted {
            let mut options =
                vec![what.to_owned(), format!("--database={}", quote::setting("dbname", database))];
            if !self.databases.is_superuser {
                // Only who may see everybody's passwords can write them down.
                options.push("--no-role-passwords".to_owned());
            }
            let Called { program, words, environment } =
                dumper.words(credentials, database, "pg_dumpall", &options)?;
            let spawn = Spawn::new(&program, &words).with(environment);
            let (performed, read) = command::stream(
                &spawn,
                self.section.backup.timeout,
                || patience.over(),
                |pipe| {
                    let mut text = Vec::new();
                    pipe.take(MOST_OF_GLOBALS).read_to_end(&mut text).map(|_| text)
                },
            )
            .map_err(|error| format!("pg_dumpall cannot be started: {error}"))?;
            ended_well("pg_dumpall", &performed)?;
            let mut text = read.map_err(|error| format!("pg_dumpall cannot be read: {error}"))?;
            if name == ROLES {
                text.extend(for_all_roles.as_bytes());
            }
            files.push((name, text));
        }
        Ok(files)
    }
}

/// The name of each file, and what is in it.
type Globals = Vec<(&'static str, Vec<u8>)>;

/// Roles that change while they are dumped are dumped again, so often.
const TRIES: u32 = 5;
/// A million of them take less.
const MOST_OF_GLOBALS: u64 = 1 << 30;

/// A program, its command line, and what stands in its environment.
struct Called {
    program: PathBuf,
    words: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
}

/// The programs that dump a server: of this machine, or where the server is.
struct Dumper {
    tools: Option<Tools>,
    prefix: Vec<String>,
    version: String,
}

impl Dumper {
    fn find(section: &Section, databases: &Databases) -> Result<Self, String> {
        let prefix = section.database.command_prefix.clone();
        let Some(first) = prefix.first() else {
            let tools = Tools::to_dump(databases.major(), &databases.version)?;
            return Ok(Self { version: tools.version.clone(), tools: Some(tools), prefix });
        };
        let program = command::find(first).map_err(|error| format!("command-prefix: {error}"))?;
        let words: Vec<String> =
            prefix.iter().cloned().chain(["pg_dump".to_owned(), "--version".to_owned()]).collect();
        let version = crate::tools::ask(&program, &words)
            .map_err(|why| format!("{} pg_dump --version: {why}", prefix.join(" ")))?;
        match crate::tools::major_of(&version) {
            Some(major) if major >= databases.major() => Ok(Self { tools: None, prefix, version }),
            _ => Err(format!(
                "the server is PostgreSQL {}, and {} has {version}: it must be as new",
                databases.version,
                prefix.join(" ")
            )),
        }
    }

    /// How one of them is called.
    fn words(
        &self,
        credentials: &Credentials,
        database: &str,
        name: &str,
        options: &[String],
    ) -> Result<Called, String> {
        let (program, mut words, login, environment) = if let Some(tools) = &self.tools {
            let program = tools.program(name)?;
            let words = vec![program.to_string_lossy().into_owned()];
            (program, words, credentials.word(database), credentials.environment())
        } else {
            let first = self.prefix.first().map_or("", String::as_str);
            let program = command::find(first).map_err(|error| format!("command-prefix: {error}"))?;
            let words = self.prefix.iter().cloned().chain([name.to_owned()]).collect();
            (program, words, credentials.word_there(database), of_containers())
        };
        words.extend(options.iter().cloned());
        words.extend(["--no-password".to_owned(), login]);
        Ok(Called { program, words, environment })
    }
}

/// A container engine is found as its user has set it up.
fn of_containers() -> Vec<(&'static str, OsString)> {
    ["DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .collect()
}

/// A program that ended otherwise, or that told of an error, has not done what it should.
pub(crate) fn ended_well(program: &str, performed: &Performed) -> Result<(), String> {
    match (performed.ended.is_success(), error_in(&performed.tail)) {
        (true, None) => Ok(()),
        (true, Some(error)) => Err(format!("{program} complained: {error}")),
        (false, _) => Err(match complaint(&performed.tail) {
            Some(complaint) => format!("{complaint} ({})", performed.ended),
            None => format!("{program}: {}", performed.ended),
        }),
    }
}

/// What a program warned of.
fn warnings_in(tail: &Tail) -> impl Iterator<Item = String> {
    tail.lines().into_iter().filter(|line| line.contains("warning:") || line.contains("WARNING:"))
}

/// The first error among what a program printed, or else its last word.
pub(crate) fn complaint(tail: &Tail) -> Option<String> {
    error_in(tail).or_else(|| tail.lines().pop())
}

/// The server's hint comes in a line of its own.
fn error_in(tail: &Tail) -> Option<String> {
    let is_error = |line: &String| {
        ["error:", "ERROR:", "FATAL:", "PANIC:", "fatal:"].iter().any(|word| line.contains(word))
    };
    let mut lines = tail.lines().into_iter().skip_while(|line| !is_error(line));
    let error = lines.next()?;
    let hint = lines
        .take_while(|line| !is_error(line))
        .find_map(|line| line.strip_prefix("HINT:").map(|hint| format!("; hint: {}", hint.trim())));
    Some(error + &hint.unwrap_or_default())
}
