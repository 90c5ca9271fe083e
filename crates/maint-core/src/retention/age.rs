//! By which clock a file ages.

use super::Kept;
use crate::{entry::Look, name_clock::NameClock, time::Timestamp, units::Span};
use std::fmt;

/// The clock that counts for the age of a file, and for which of two is the newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgeBy {
    /// The last change of its content.
    Mtime,
    /// The last reading.
    Atime,
    /// The last change of anything: with files that nobody touches, their arrival.
    Ctime,
    /// Its making.
    Btime,
    /// The newest of these four.
    Newest,
    /// What its name says.
    Name(NameClock),
}

/// A name that says more than this beyond the file's own times is not believed.
const BELIEVED: Span = Span::from_seconds(86_400);

/// What a name alone says about a file's time.
pub(super) enum NameSays {
    /// No clock reads names here.
    Nothing,
    /// The time, if the file's own times do not speak against it.
    Time(Timestamp),
    /// There is no time, or none that can be.
    Keep(Kept),
}

impl AgeBy {
    pub(super) fn name_says(&self, name: &[u8], now: Timestamp) -> NameSays {
        let Self::Name(clock) = self else { return NameSays::Nothing };
        match clock.read(name) {
            None => NameSays::Keep(Kept::NoTimeInName),
            Some(named) if named.earliest > now => NameSays::Keep(Kept::Implausible),
            // Of the day or hour that the name speaks of, no more than has passed.
            Some(named) => NameSays::Time(named.latest.min(now)),
        }
    }

    /// The time that counts for a file.
    pub(super) fn time(&self, name: &[u8], look: &Look, now: Timestamp) -> Result<Timestamp, Kept> {
        match self {
            Self::Mtime => Ok(look.modified),
            Self::Atime => Ok(look.accessed),
            Self::Ctime => Ok(look.changed),
            Self::Btime => look.born.ok_or(Kept::NoBirthTime),
            Self::Newest => Ok(look.newest().max(look.accessed)),
            Self::Name(clock) => {
                let named = clock.read(name).ok_or(Kept::NoTimeInName)?;
                if named.earliest > now || named.earliest.minus(BELIEVED) > look.newest() {
                    return Err(Kept::Implausible);
                }
                Ok(named.latest.min(now))
            }
        }
    }
}

impl fmt::Display for AgeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtime => f.write_str("mtime"),
            Self::Atime => f.write_str("atime"),
            Self::Ctime => f.write_str("ctime"),
            Self::Btime => f.write_str("btime"),
            Self::Newest => f.write_str("the newest of its times"),
            Self::Name(clock) => write!(f, "the time in the name, {clock}"),
        }
    }
}
