//! A connection that cannot hang us. The client has no time-out for reading, and may wait for ever even when
//! it is dropped; so it lives in a thread of its own, which is left behind when it does.

use super::tls;
use crate::address::Server;
use postgres::{CancelToken, Client, Config, NoTls, config::SslMode};
use std::{
    cell::RefCell,
    error::Error as _,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why something could not be done at a server. Nothing here repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// No connection came about.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// The connection broke.
    #[error("the connection to {0} broke: {1}")]
    Lost(String, String),
    /// Nobody waits for the answer any more.
    #[error("{0}")]
    GaveUp(String),
}

impl From<DbError> for String {
    fn from(error: DbError) -> Self {
        error.to_string()
    }
}

type Job = Box<dyn FnOnce(&mut Client) + Send>;

/// Says why nothing is to be waited for any more, if that is so.
pub type GiveUp<'a> = &'a dyn Fn() -> Option<String>;

/// A session at a server.
pub struct Session {
    jobs: Sender<Job>,
    cancel: CancelToken,
    tls: Option<MakeRustlsConnect>,
    shown: String,
}

/// An answer that is still to come.
pub struct Pending<T> {
    answer: Receiver<Result<T, DbError>>,
    come: RefCell<Option<Result<T, DbError>>>,
    shown: String,
}

impl<T> Pending<T> {
    /// What is to be said of the answer, if it has come by now.
    pub fn told<R>(&self, judge: impl FnOnce(&Result<T, DbError>) -> Option<R>) -> Option<R> {
        let mut come = self.come.borrow_mut();
        if come.is_none() {
            *come = self.answer.try_recv().ok();
        }
        come.as_ref().and_then(judge)
    }
}

/// How often it is asked whether to go on waiting.
const STEP: Duration = Duration::from_millis(50);
/// How long a server may take to hear that nobody waits any more.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// The same text for the same value, whatever the server, the database or the role have been set to; no row
/// hidden by a policy without an error; nothing by a name that somebody else could have made.
const PINNED: &str = "
    SET search_path = pg_catalog; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';
    SET bytea_output = 'hex'; SET extra_float_digits = 1; SET lc_monetary = 'C'; SET lc_messages = 'C'; SET xmlbinary = 'base64';
    SET row_security = off; SET default_transaction_read_only = off; SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET transaction_timeout = 0;
    SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0; SET quote_all_identifiers = off; SET jit = off;
    SET client_min_messages = error";

/// The same for a role that may not set one of these, and for a server that does not know one: they are left as they
/// are.
fn pin(client: &mut Client) -> Result<(), postgres::Error> {
    for setting in PINNED.split(';') {
        match client.batch_execute(setting) {
            Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42501" | "42704")) => {}
            done => done?,
        }
    }
    Ok(())
}

impl Session {
    /// Logs in, under a name by which the server's own tools show us.
    pub fn open(server: &Server, name: &str, give_up: GiveUp<'_>) -> Result<Self, DbError> {
        let shown = server.shown();
        let unreachable = |why: String| DbError::Unreachable(server.shown(), why);
        let tls = tls::connector(&server.tls).map_err(unreachable)?;
        let config = config_of(server, name);
        let (jobs, todo) = channel::<Job>();
        let (tell, told) = channel();
        let connector = tls.clone();
        let work = move || {
            let connected = match connector {
                Some(connector) => config.connect(connector),
                None => config.connect(NoTls),
            };
            let mut client = match connected.and_then(|mut client| pin(&mut client).map(|()| client)) {
                Ok(client) => client,
                Err(error) => {
                    let _ = tell.send(Err(in_words(&error)));
                    return;
                }
            };
            if tell.send(Ok(client.cancel_token())).is_ok() {
                for job in todo {
                    job(&mut client);
                }
            }
        };
        std::thread::Builder::new().spawn(work).map_err(|error| unreachable(error.to_string()))?;
        let until = Instant::now() + Duration::from_secs(server.connect_timeout.seconds()) + LAST_PATIENCE;
        loop {
            match told.recv_timeout(STEP) {
                Ok(Ok(cancel)) => return Ok(Self { jobs, cancel, tls, shown }),
                Ok(Err(why)) => return Err(unreachable(why)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(unreachable("it ended at once".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > until => {
                    return Err(unreachable(format!("no answer within {}", server.connect_timeout)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(why) = give_up() {
                        return Err(DbError::GaveUp(why));
                    }
                }
            }
        }
    }

    /// Begins something; the answer comes later. Of several each waits for the one before.
    pub fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
    ) -> Pending<T> {
        let (tell, answer) = channel();
        let shown = self.shown.clone();
        let job: Job = Box::new(move |client| {
            let answer = work(client).map_err(|error| match error.as_db_error() {
                Some(_) if !client.is_closed() => DbError::Refused(in_words(&error)),
                _ => DbError::Lost(shown, in_words(&error)),
            });
            // Nobody may be waiting any more.
            let _ = tell.send(answer);
        });
        // Where the thread has ended the answer never comes, and that is noticed.
        let _ = self.jobs.send(job);
        Pending { answer, come: RefCell::new(None), shown: self.shown.clone() }
    }

    /// Waits for an answer until it is there, or until there is a reason to give up.
    pub fn wait<T>(&self, pending: Pending<T>, give_up: GiveUp<'_>) -> Result<T, DbError> {
        if let Some(answer) = pending.come.take() {
            return answer;
        }
        loop {
            match pending.answer.recv_timeout(STEP) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(DbError::Lost(pending.shown, "it ended".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(why) = give_up() {
                        self.cancel(&pending);
                        return Err(DbError::GaveUp(why));
                    }
                }
            }
        }
    }

    /// Does something now.
    pub fn run<T: Send + 'static>(
        &self,
        give_up: GiveUp<'_>,
        work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send + 'static,
    ) -> Result<T, DbError> {
        self.wait(self.begin(work), give_up)
    }

    /// Runs statements one by one.
    pub fn execute(&self, give_up: GiveUp<'_>, sql: impl Into<String>) -> Result<(), DbError> {
        let sql = sql.into();
        self.run(give_up, move |client| client.batch_execute(&sql))
    }

    /// Where it is logged in, for a person.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Tells the server that nobody waits; if it does not hear, it is left behind.
    fn cancel<T>(&self, pending: &Pending<T>) {
        let (cancel, tls) = (self.cancel.clone(), self.tls.clone());
        let asked = std::thread::Builder::new().spawn(move || match tls {
            Some(tls) => cancel.cancel_query(tls),
            None => cancel.cancel_query(NoTls),
        });
        if asked.is_ok() {
            let _ = pending.answer.recv_timeout(LAST_PATIENCE);
        }
    }
}

fn config_of(server: &Server, name: &str) -> Config {
    const IDLE: Duration = Duration::from_secs(30);
    const BETWEEN: Duration = Duration::from_secs(10);
    const DEAD_AFTER: Duration = Duration::from_secs(60);
    let mut config = Config::new();
    config
        .host(&server.host)
        .port(server.port)
        .user(&server.user)
        .dbname(&server.database)
        .application_name(name)
        .ssl_mode(if server.tls == crate::address::Tls::Off { SslMode::Disable } else { SslMode::Require })
        .connect_timeout(Duration::from_secs(server.connect_timeout.seconds()))
        // A cable that was pulled out is noticed.
        .keepalives(true)
        .keepalives_idle(IDLE)
        .keepalives_interval(BETWEEN)
        .keepalives_retries(3)
        .tcp_user_timeout(DEAD_AFTER);
    if let Some(password) = &server.password {
        config.password(password.reveal());
    }
    config
}

/// What a server said, or why it could not.
fn in_words(error: &postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let words = error.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            cause = error.source();
        }
        return text;
    };
    let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let hint = said.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
    format!("{}: {}{detail}{hint}", said.severity(), said.message()).replace('\n', " ")
}
