//! Where log lines go: standard error for who stands there, `[log]` for who looks later.
//!
//! Lines are for people, so what is not ours in them (names of files, above all) is made printable where
//! the message is made.

use crate::{clock, config::LogSection};
use log::{LevelFilter, Log, Metadata, Record};
use maint_core::text::shown_path;
use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::{fs::OpenOptionsExt as _, net::UnixDatagram},
    path::Path,
};

/// The log target of lines that the report on the screen tells already.
pub(crate) const NOT_ON_SCREEN: &str = "not-on-screen";

/// Who logs whole statements, and what servers say: there are secrets in both. Nothing of theirs goes anywhere.
const SILENT: [&str; 4] = ["postgres", "tokio_postgres", "tokio_postgres_rustls", "rustls"];

/// All destinations of one run.
struct Logs {
    screen: env_logger::Logger,
    file: Option<env_logger::Logger>,
    syslog: Option<Syslog>,
}

/// Starts logging; what is wrong with a destination is said on the others.
pub(crate) fn start(tool: &'static str, screen: LevelFilter, section: &LogSection) {
    let level = section.level.map_or(LevelFilter::Info, LevelFilter::from);
    let mut complaints = Vec::new();
    let file = section.file.as_deref().and_then(|path| {
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        let shown = shown_path(path);
        opened.map_err(|error| complaints.push(format!("no log lines in {shown}: {error}"))).ok()
    });
    let syslog =
        section.syslog.then(|| Syslog::connect(Path::new("/dev/log"), tool, level)).and_then(|connected| {
            connected.map_err(|error| complaints.push(format!("no log lines in syslog: {error}"))).ok()
        });
    let logs =
        Logs { screen: on_screen(tool, screen), file: file.map(|file| in_file(tool, level, file)), syslog };
    let most = [screen, if section.file.is_some() || section.syslog { level } else { LevelFilter::Off }];
    // Only a second call could fail, and there is none.
    let _ = log::set_boxed_logger(Box::new(logs));
    log::set_max_level(most.into_iter().max().unwrap_or(LevelFilter::Off));
    for complaint in complaints {
        log::warn!("{complaint}");
    }
}

impl Log for Logs {
    fn enabled(&self, line: &Metadata<'_>) -> bool {
        let of = line.target().split("::").next().unwrap_or_default();
        !SILENT.contains(&of)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.target() != NOT_ON_SCREEN {
            self.screen.log(record);
        }
        if let Some(file) = &self.file {
            file.log(record);
        }
        if let Some(syslog) = &self.syslog {
            syslog.log(record);
        }
    }

    fn flush(&self) {}
}

fn on_screen(tool: &'static str, level: LevelFilter) -> env_logger::Logger {
    env_logger::Builder::new()
        .filter_level(level)
        .format(move |out, record| {
            writeln!(out, "{tool}: {}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .build()
}

fn in_file(tool: &'static str, level: LevelFilter, file: std::fs::File) -> env_logger::Logger {
    let pid = std::process::id();
    env_logger::Builder::new()
        .filter_level(level)
        .target(env_logger::Target::Pipe(Box::new(file)))
        .format(move |out, record| {
            let at = clock::rfc3339(clock::now());
            writeln!(out, "{at} {tool}[{pid}] {}: {}", record.level().as_str().to_lowercase(), record.args())
        })
        .build()
}

/// The local syslog: one datagram for each line.
struct Syslog {
    socket: UnixDatagram,
    tool: &'static str,
    level: LevelFilter,
}

/// Facility 3 of RFC 5424: system daemons.
const DAEMON: u8 = 3 << 3;

impl Syslog {
    fn connect(path: &Path, tool: &'static str, level: LevelFilter) -> std::io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A syslog that hangs must not hang a cleaner.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, tool, level })
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() > self.level {
            return;
        }
        let severity = match record.level() {
            log::Level::Error => 3,
            log::Level::Warn => 4,
            log::Level::Info => 6,
            log::Level::Debug | log::Level::Trace => 7,
        };
        let line = format!("<{}>{}[{}]: {}", DAEMON | severity, self.tool, std::process::id(), record.args());
        let _ = self.socket.send(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_gets_a_datagram_for_each_line() {
        let folder = std::env::temp_dir().join(format!("maint-syslog-{}", std::process::id()));
        let server = UnixDatagram::bind(&folder).unwrap();
        let syslog = Syslog::connect(&folder, "prune-images", LevelFilter::Info).unwrap();
        let send =
            |level, text| syslog.log(&Record::builder().level(level).args(format_args!("{text}")).build());
        send(log::Level::Debug, "not this");
        send(log::Level::Warn, "left one out");
        let mut buffer = [0; 200];
        let length = server.recv(&mut buffer).unwrap();
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert_eq!(line, format!("<28>prune-images[{}]: left one out", std::process::id()));
        #[expect(clippy::disallowed_methods, reason = "the socket was made here")]
        std::fs::remove_file(&folder).unwrap();
    }
}
