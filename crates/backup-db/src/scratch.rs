//! A server of our own, of the version that a dump is of, for as long as a restore is tried: in a private folder,
//! on a socket that nobody else can reach, and gone afterwards.
//!
//! A dump may hold code that runs when it is restored. So root does not run this server, and neither does the
//! user of the real one.

use crate::{restoring::MOST_LOGGED, store::Patience, tools::Tools};
use maint_core::{
    fs::{Mount, ScratchFolder, Usage},
    text::shown_path,
    units::Span,
};
use maint_db::{
    address::{Server, Tls},
    server::Session,
};
use maint_run::{
    Run,
    command::{self, Running, Spawn},
};
use nix::{
    sys::signal::Signal,
    unistd::{Uid, User},
};
use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

/// Where there is room by default: not in memory.
const USUAL_PLACE: &str = "/var/tmp";
/// Who runs the server where this program is root: the first that there is.
const WHO: [&str; 2] = ["maint", "nobody"];
/// Stands before the name that we have there: whatever becomes of the roles that are restored, this one is our own.
const OURS: &str = "maint_proof_";
/// The kernel takes no longer path of a socket.
const LONGEST_SOCKET: usize = 100;
const NAME: &str = "maint/backup-db/scratch";
const STARTED_AFTER: Span = Span::from_seconds(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A folder that is gone with its run, and perhaps a server in it.
pub(crate) struct Scratch {
    folder: Option<ScratchFolder>,
    running: Option<Running>,
    path: PathBuf,
}

impl Scratch {
    /// A folder with room for so much.
    pub(crate) fn make(run: &Run, place: Option<&Path>, bytes: u64) -> Result<Self, String> {
        let place = place.unwrap_or(Path::new(USUAL_PLACE));
        let shown = shown_path(place);
        let failed = |error: std::io::Error| format!("no scratch folder in {shown}: {error}");
        let locks = run.runtime_folder().map_err(failed)?;
        ScratchFolder::tidy(place, locks, run.name(), run.now.seconds);
        let there = Mount::holding_path(place).and_then(|mount| Usage::of_mount(&mount)).map_err(failed)?;
        crate::store::room(there.available, bytes, place)?;
        let folder = ScratchFolder::make(place, locks, run.name()).map_err(failed)?;
        Ok(Self { path: folder.path().to_owned(), folder: Some(folder), running: None })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file in it.
    pub(crate) fn create(&self, name: &str, mode: u32) -> Result<std::fs::File, String> {
        let made =
            OpenOptions::new().write(true).read(true).create_new(true).mode(mode).open(self.path.join(name));
        made.map_err(|error| format!("{name} cannot be made in {}: {error}", shown_path(&self.path)))
    }

    /// Starts a server in it, whose first role has this name. We log in as one of our own.
    pub(crate) fn serve(
        &mut self,
        tools: &Tools,
        bootstrap: &str,
        preloaded: &str,
        patience: &Patience,
    ) -> Result<Server, String> {
        let ours = format!("{OURS}{}", std::process::id());
        let user = who_serves()?;
        let owner = user.as_ref().map(|user| (user.uid, user.gid));
        let folder = self.folder.as_ref().ok_or("the scratch folder is gone")?;
        let home =
            folder.folder_for("server", owner).map_err(|error| format!("no scratch server: {error}"))?;
        if home.as_os_str().as_bytes().len() > LONGEST_SOCKET - ".s.PGSQL.5432".len() {
            return Err(format!(
                "{} is too long a path for a socket: name a shorter scratch-dir",
                shown_path(&home)
            ));
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let data = home.join("data");
        let program = tools.program("initdb")?;
        // By its whole path: it looks for its companions where it is itself.
        let words = [
            &*text(&program),
            "--pgdata",
            &text(&data),
            "--username",
            bootstrap,
            "--auth=peer",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ];
        let words: Vec<String> = words.map(str::to_owned).to_vec();
        let spawn = Spawn::new(&program, &words).by(user.clone());
        let made = command::perform(&spawn, STARTED_AFTER, || patience.over())
            .map_err(|error| format!("initdb: {error}"))?;
        crate::dump::ended_well("initdb", &made).map_err(|why| format!("no scratch server: {why}"))?;

        // Only we are let in, and as anybody.
        let me = User::from_uid(Uid::effective())
            .ok()
            .flatten()
            .map(|user| user.name)
            .ok_or("this process has no name")?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let hba = self.write("hba.conf", "local all all peer map=ours\n")?;
        let ident = self.write(
            "ident.conf",
            &format!("ours {0} {1}\nours {0} {ours}\n", quoted(&me), quoted(bootstrap)),
        )?;
        let program = tools.program("postgres")?;
        let running = |preload: &str| {
            let mut words = vec![text(&program), "-D".to_owned(), text(&data)];
            let log = format!("{}MB", MOST_LOGGED >> 20);
            let settings = [
                ("listen_addresses", ""),
                ("unix_socket_directories", &text(&home)),
                ("hba_file", &hba),
                ("ident_file", &ident),
                ("port", "5432"),
                ("fsync", "off"),
                ("full_page_writes", "off"),
                ("synchronous_commit", "off"),
                ("wal_level", "minimal"),
                ("max_wal_size", &log),
                ("max_wal_senders", "0"),
                ("autovacuum", "off"),
                ("max_locks_per_transaction", "1024"),
                ("maintenance_work_mem", "128MB"),
                ("shared_preload_libraries", preload),
                ("lc_messages", "C"),
            ];
            words.extend(
                settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]),
            );
            Running::begin(&Spawn::new(&program, &words).by(user.clone()))
        };
        let server = Server {
            host: text(&home),
            port: 5432,
            user: bootstrap.to_owned(),
            database: "template1".to_owned(),
            password: None,
            tls: Tls::Off,
            connect_timeout: STARTED_AFTER,
        };
        // A library that is not here is missed by its extension alone, and only if there is one.
        let mut tries = vec![preloaded, ""];
        tries.dedup();
        let mut why = String::new();
        for preload in tries {
            let begun = running(preload).map_err(|error| format!("no scratch server: {error}"))?;
            match answers(&server, &begun, patience) {
                Ok(()) => {
                    self.running = Some(begun);
                    let session = Session::open(&server, NAME, &|| patience.over())?;
                    session.execute(&|| patience.over(), format!("CREATE ROLE {ours} SUPERUSER LOGIN"))?;
                    return Ok(Server { user: ours, ..server });
                }
                Err(error) => {
                    let said = crate::dump::complaint(&begun.end(Signal::SIGQUIT));
                    why = said.unwrap_or(error);
                }
            }
        }
        Err(format!("no scratch server: {why}"))
    }

    fn write(&self, name: &str, content: &str) -> Result<String, String> {
        let mut file = self.create(name, 0o644)?;
        file.write_all(content.as_bytes()).map_err(|error| format!("{name}: {error}"))?;
        Ok(self.path.join(name).to_string_lossy().into_owned())
    }
}

/// Who runs the server, if not we ourselves.
fn who_serves() -> Result<Option<User>, String> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = WHO.iter().find_map(|name| User::from_name(name).ok().flatten());
    user.map(Some)
        .ok_or_else(|| format!("there is neither a user {} to run a scratch server", WHO.join(" nor ")))
}

fn answers(server: &Server, running: &Running, patience: &Patience) -> Result<(), String> {
    let socket = Path::new(&server.host).join(".s.PGSQL.5432");
    let starting = Patience::new(STARTED_AFTER);
    loop {
        if running.has_ended() {
            return Err("it ended at once".to_owned());
        }
        if let Some(why) = patience.over().or_else(|| starting.over()) {
            return Err(why);
        }
        if socket.exists() {
            match Session::open(server, NAME, &|| patience.over()) {
                Ok(_) => return Ok(()),
                // It is starting up.
                Err(error) => log::debug!("{error}"),
            }
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            // There is nothing in it that would have to be saved.
            running.end(Signal::SIGQUIT);
        }
        if let Some(folder) = self.folder.take()
            && let Err(error) = folder.remove()
        {
            log::warn!("{} cannot be taken away, the next run tries again: {error}", shown_path(&self.path));
        }
    }
}
