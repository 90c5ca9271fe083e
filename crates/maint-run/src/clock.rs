//! The one place that reads a clock, and how moments are written.
#![expect(clippy::disallowed_methods, reason = "everybody else is handed the moment read here")]

use chrono::{DateTime, Local, SecondsFormat, Utc};
use maint_core::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// This moment.
pub fn now() -> Timestamp {
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

/// For machines: UTC, RFC 3339, to the second.
pub fn rfc3339(at: Timestamp) -> String {
    utc(at).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// For the name of a run: `20261121T030004Z`.
pub(crate) fn compact(at: Timestamp) -> String {
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
