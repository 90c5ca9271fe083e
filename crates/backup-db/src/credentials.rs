//! What the server's own programs are given: where to log in on the command line, where anybody may read it,
//! and the password in a file that lies in memory and that only they can open.

use maint_db::{
    address::{Server, Tls},
    quote,
};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::{
    ffi::OsString,
    fs::{File, Permissions},
    io::{self, Write as _},
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
};

/// For programs of one server. It must live as long as they run.
pub(crate) struct Credentials {
    password: Option<File>,
    server: Server,
    name: String,
}

impl Credentials {
    /// For a server, under the name by which it shows us.
    pub(crate) fn new(server: &Server, name: &str) -> io::Result<Self> {
        let password = server.password.as_ref().map(|password| {
            let mut file = File::from(memfd_create(c"maint", MFdFlags::MFD_CLOEXEC)?);
            file.set_permissions(Permissions::from_mode(0o600))?;
            let escaped = password.reveal().replace('\\', "\\\\").replace(':', "\\:");
            file.write_all(format!("*:*:*:*:{escaped}\n").as_bytes())?;
            Ok::<_, io::Error>(file)
        });
        Ok(Self { password: password.transpose()?, server: server.clone(), name: name.to_owned() })
    }

    /// What stands in their environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut all: Vec<(&'static str, OsString)> = vec![
            ("PGAPPNAME", self.name.clone().into()),
            ("PGCONNECT_TIMEOUT", self.server.connect_timeout.seconds().max(2).to_string().into()),
            ("PGOPTIONS", OPTIONS.into()),
        ];
        all.push((
            "PGPASSFILE",
            match &self.password {
                Some(file) => format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into(),
                // Not the one at home either: what it says is known already.
                None => "/nonexistent".into(),
            },
        ));
        match &self.server.tls {
            Tls::Off => all.push(("PGSSLMODE", "disable".into())),
            Tls::Verified(authorities) => {
                all.push(("PGSSLMODE", "verify-full".into()));
                all.push(("PGSSLROOTCERT", authorities.into()));
            }
        }
        all
    }

    /// Where to log in, as one word of a command line.
    pub(crate) fn word(&self, database: &str) -> String {
        let Server { host, port, user, .. } = &self.server;
        let place = [quote::setting("host", host), quote::setting("port", &port.to_string())];
        format!("--dbname={} {} {ALIVE}", place.join(" "), who(user, database))
    }

    /// The same for a program that runs where the server does.
    pub(crate) fn word_there(&self, database: &str) -> String {
        format!("--dbname={} {}", who(&self.server.user, database), quote::setting("options", OPTIONS))
    }
}

/// Whatever a role or a database has been set to: nothing is changed but what we say, and money is written so that
/// every server can read it.
const OPTIONS: &str = "-c default_transaction_read_only=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lc_monetary=C";

/// A cable that was pulled out is noticed.
const ALIVE: &str = "keepalives_idle=30 keepalives_interval=10 keepalives_count=3";

fn who(user: &str, database: &str) -> String {
    format!("{} {}", quote::setting("user", user), quote::setting("dbname", database))
}
