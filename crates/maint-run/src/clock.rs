//! The one place that reads a clock, and how moments are written.
#![expect(clippy::disallowed_methods, reason = "everybody else is handed the moment read here")]

use chrono::{DateTime, Local, SecondsFormat, Utc};
use maint_core::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(all(feature = "injected-clock", not(debug_assertions)))]
compile_error!("injected-clock is for tests: no release build takes its time from the environment");

/// This moment.
pub fn now() -> Timestamp {
    #[cfg(feature = "injected-clock")]
    if let Some(now) = std::env::var("MAINT_TEST_NOW").ok().and_then(|text| text.parse().ok()) {
        return Timestamp::from_seconds(now);
    }
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_nanos(),
        },
        Err(before) => {
            Timestamp::from_seconds(-i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX))
        }
    }
}

/// Whether the kernel says that its clock is kept right.
pub(crate) fn is_synchronised() -> bool {
    #[cfg(feature = "injected-clock")]
    if let Ok(word) = std::env::var("MAINT_TEST_SYNCHRONISED") {
        return word == "yes";
    }
    kernel_clock::is_synchronised().unwrap_or(false)
}

/// When this program was built: no clock that is right says less.
pub(crate) fn built() -> Timestamp {
    Timestamp::from_seconds(env!("MAINT_BUILD_EPOCH").parse().unwrap_or(0))
}

/// Reads a moment that a person or `date -Is` wrote.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::from_seconds(at.timestamp()))
}

/// For names of folders: `2026-11`.
pub fn month(at: Timestamp) -> String {
    utc(at).format("%Y-%m").to_string()
}

/// For machines: UTC, RFC 3339, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    utc(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// For the name of a run: `20261121T030004Z`.
pub fn compact(at: Timestamp) -> String {
    utc(at).format("%Y%m%dT%H%M%SZ").to_string()
}

/// For people: local time to the minute.
pub fn local(at: Timestamp) -> String {
    utc(at).with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string()
}

/// Times outside what a calendar shows are shown as 1970: the number itself is in the JSON.
fn utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(at.seconds, at.nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_read_utc() {
        assert_eq!(rfc3339(Timestamp::from_seconds(0)), "1970-01-01T00:00:00Z");
        assert_eq!(compact(Timestamp::from_seconds(1_795_226_404)), "20261121T020004Z");
        assert_eq!(rfc3339(Timestamp::from_seconds(i64::MAX)), "1970-01-01T00:00:00Z");
    }
}
