//! A saved plan: every step with the identity of its file, one JSON line each, to be reviewed and then
//! carried out exactly so or less. The last line tells how many there are and a checksum of all before it.
//!
//! ```text
//! {"schema":"maint.plan/1","tool":"prune-images","host":"station", …}
//! {"target":"live","path":"/mnt/storage/live","filesystem":"0f6c…", …}
//! {"folder":"2026","name":"a.jpg","inode":12,"changed":"1790000000.000000000","size":5, …}
//! {"steps":1,"sha256":"…"}
//! ```

use crate::{
    entry::{Look, Subject},
    prune::Doomed,
    retention::{Condemned, Kept, Verdict},
    text::hex,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering},
};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `maint.plan/1`.
    pub schema: String,
    /// The tool that made it.
    pub tool: String,
    /// Its version: another one may mean something else by the same section.
    pub version: String,
    /// The machine, for people.
    pub host: String,
    /// The machine, beyond its name.
    pub machine: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// `normal` or `emergency`.
    pub mode: String,
}

/// The line before the steps of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// Its name.
    pub target: String,
    /// Its root, for people.
    pub path: String,
    /// The filesystem that its root lies on.
    pub filesystem: String,
    /// The inode of its root.
    pub root: u64,
    /// A fingerprint of what the configuration says of it.
    pub section: String,
    /// What was asked for, for people.
    pub policy: String,
    /// What becomes of the files, for people.
    pub then: String,
}

/// One file that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLine {
    /// Its folder below the root.
    pub folder: Name,
    /// Its name.
    pub name: Name,
    /// Its inode.
    pub inode: u64,
    /// When anything about it last changed: seconds and nanoseconds.
    pub changed: String,
    /// Its length.
    pub size: u64,
    /// Bytes of blocks that come free.
    pub frees: u64,
    /// Why it goes.
    pub reason: String,
}

impl StepLine {
    /// A file as a step.
    pub fn of(folder: &[u8], doomed: &Doomed<'_>) -> Self {
        let look = &doomed.look;
        Self {
            folder: Name::of(folder),
            name: Name::of(doomed.name.to_bytes()),
            inode: look.inode,
            changed: format!("{}.{:09}", look.changed.seconds, look.changed.nanos),
            size: look.size,
            frees: if look.links <= 1 { look.allocated } else { 0 },
            reason: doomed.why.to_string(),
        }
    }
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastLine {
    steps: u64,
    sha256: String,
}

/// A name as JSON takes it: a text, or if it is none the hexadecimal digits of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// As it is.
    Text(String),
    /// Its bytes.
    Bytes {
        /// Two digits for each.
        hex: String,
    },
}

impl Name {
    /// The JSON form of a name.
    pub fn of(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes)
            .map_or_else(|_| Self::Bytes { hex: hex(bytes) }, |text| Self::Text(text.to_owned()))
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Bytes { hex } => {
                let digits = hex.as_bytes().chunks(2).map(|pair| {
                    std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
                });
                digits.collect()
            }
        }
    }
}

/// The schema of this version.
pub const SCHEMA: &str = "maint.plan/1";

/// A fingerprint of anything that can be written down.
pub fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// The text of a plan under way.
#[derive(Debug)]
pub struct Writer {
    text: Vec<u8>,
    steps: u64,
}

impl Writer {
    /// A plan with a header and nothing else.
    pub fn new(header: &Header) -> Self {
        let mut writer = Self { text: Vec::new(), steps: 0 };
        writer.line(header);
        writer
    }

    /// A target and all its steps, in the order of their names.
    pub fn target(&mut self, target: &TargetLine, mut steps: Vec<StepLine>) {
        let key = |step: &StepLine| (step.folder.bytes(), step.name.bytes());
        steps.sort_by_cached_key(key);
        self.line(target);
        self.steps += steps.len() as u64;
        for step in &steps {
            self.line(step);
        }
    }

    /// The whole, with its last line.
    pub fn finish(mut self) -> Vec<u8> {
        let sha256 = hex(&Sha256::digest(&self.text));
        let steps = self.steps;
        self.line(&LastLine { steps, sha256 });
        self.text
    }

    fn line(&mut self, line: &impl Serialize) {
        // Every key is a string and every number whole: this cannot fail.
        if serde_json::to_writer(&mut self.text, line).is_ok() {
            self.text.push(b'\n');
        }
    }
}

/// A plan that was read, and is as it was written.
#[derive(Debug)]
pub struct Saved {
    /// Who made it, and when.
    pub header: Header,
    /// Its targets and their steps.
    pub targets: Vec<(TargetLine, Steps)>,
}

/// Why a file is no plan that can be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It is something else.
    #[error("is no saved plan: its first line does not say \"schema\":\"{SCHEMA}\"")]
    NoPlan,
    /// It is not what was written.
    #[error("is not as it was saved: {0}; save it anew")]
    Altered(String),
}

impl Saved {
    /// Reads a plan.
    pub fn read(text: &[u8]) -> Result<Self, SavedError> {
        let mut lines = text.split_inclusive(|b| *b == b'\n');
        let header: Option<Header> = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let header = header.filter(|header| header.schema == SCHEMA).ok_or(SavedError::NoPlan)?;
        let altered = |why: &str| SavedError::Altered(why.to_owned());
        let end = text.strip_suffix(b"\n").ok_or_else(|| altered("its last line is cut short"))?;
        let body = end.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let last: LastLine = serde_json::from_slice(&end[body..])
            .map_err(|_| altered("its end is missing, or something was added"))?;
        if hex(&Sha256::digest(&text[..body])) != last.sha256 {
            return Err(altered("its checksum is another one"));
        }
        let mut saved = Self { header, targets: Vec::new() };
        let mut steps = 0;
        for line in text[..body].split_inclusive(|b| *b == b'\n').skip(1) {
            if let Ok(target) = serde_json::from_slice::<TargetLine>(line) {
                saved.targets.push((target, Steps::default()));
                continue;
            }
            let step: Option<StepLine> = serde_json::from_slice(line).ok();
            let added = step.zip(saved.targets.last_mut()).and_then(|(step, (_, all))| all.add(&step));
            added.ok_or_else(|| altered("a line is no step"))?;
            steps += 1;
        }
        if steps == last.steps { Ok(saved) } else { Err(altered("steps are missing")) }
    }
}

/// The steps of one target: which file goes, and whether it did.
#[derive(Debug, Default)]
pub struct Steps {
    folders: HashMap<Vec<u8>, HashMap<Vec<u8>, Step>>,
    /// Every folder on the way to one.
    ways: HashSet<Vec<u8>>,
    files: u64,
    size: u64,
    frees: u64,
}

/// What a step knows of its file.
#[derive(Debug)]
pub struct Step {
    inode: u64,
    size: u64,
    changed: Timestamp,
    gone: AtomicBool,
}

impl Step {
    /// Its length when it was planned.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether a file is still the one that was looked at for the plan.
    pub fn is_of(&self, look: &Look) -> bool {
        (self.inode, self.size, self.changed) == (look.inode, look.size, look.changed)
    }
}

impl Steps {
    fn add(&mut self, step: &StepLine) -> Option<()> {
        let (folder, name) = (step.folder.bytes()?, step.name.bytes()?);
        let (seconds, nanos) = step.changed.split_once('.')?;
        let changed = Timestamp { seconds: seconds.parse().ok()?, nanos: nanos.parse().ok()? };
        let StepLine { inode, size, frees, .. } = *step;
        for end in (0..=folder.len()).filter(|end| folder.get(*end).is_none_or(|b| *b == b'/')) {
            self.ways.insert(folder[..end].to_vec());
        }
        let new = Step { inode, size, changed, gone: AtomicBool::new(false) };
        let before = self.folders.entry(folder).or_default().insert(name, new);
        self.files += 1;
        self.size = self.size.saturating_add(size);
        self.frees = self.frees.saturating_add(frees);
        before.is_none().then_some(())
    }

    /// How many files, their lengths, and what comes free with them.
    pub fn totals(&self) -> crate::survey::Tally {
        crate::survey::Tally { files: self.files, size: self.size, frees: self.frees }
    }

    /// Whether a name is a step.
    pub(crate) fn has(&self, folder: &[u8], name: &[u8]) -> bool {
        self.folders.get(folder).is_some_and(|names| names.contains_key(name))
    }

    /// Whether a folder is, or leads to, one with steps.
    pub(crate) fn lead_through(&self, folder: &[u8]) -> bool {
        self.ways.contains(folder)
    }

    /// What becomes of files that go together: all of them must be steps, and be what they were.
    pub(crate) fn judge<'f>(
        &self,
        subject: &Subject<'_>,
        mut files: impl Iterator<Item = (&'f CStr, &'f Look)>,
    ) -> Verdict {
        if let Some(why) = subject.obstacle {
            return Verdict::Keep(why);
        }
        let names = self.folders.get(subject.folder);
        let is_planned = |(name, look): (&CStr, &Look)| {
            names.and_then(|names| names.get(name.to_bytes())).is_some_and(|step| step.is_of(look))
        };
        if files.all(is_planned) {
            Verdict::Remove(Condemned::Planned)
        } else {
            Verdict::Keep(Kept::NotPlanned)
        }
    }

    /// Notes what has gone, or in a dry run would go.
    pub(crate) fn settle<'n>(&self, folder: &[u8], gone: impl Iterator<Item = &'n CStr>) {
        let Some(names) = self.folders.get(folder) else { return };
        for step in gone.filter_map(|name| names.get(name.to_bytes())) {
            step.gone.store(true, Ordering::Relaxed);
        }
    }

    /// The steps that were not carried out: folder and name, in order.
    pub fn left(&self) -> Vec<(&[u8], &[u8], &Step)> {
        let all = self.folders.iter().flat_map(|(folder, names)| {
            names.iter().map(move |(name, step)| (folder.as_slice(), name.as_slice(), step))
        });
        let mut left: Vec<_> = all.filter(|(.., step)| !step.gone.load(Ordering::Relaxed)).collect();
        left.sort_unstable_by_key(|(folder, name, _)| (*folder, *name));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            schema: SCHEMA.to_owned(),
            tool: "prune-images".to_owned(),
            version: "1".to_owned(),
            host: "station".to_owned(),
            machine: String::new(),
            created: 5,
            mode: "normal".to_owned(),
        }
    }

    fn step(folder: &[u8], name: &[u8]) -> StepLine {
        StepLine {
            folder: Name::of(folder),
            name: Name::of(name),
            inode: 7,
            changed: "-5.000000123".to_owned(),
            size: 10,
            frees: 4096,
            reason: "old".to_owned(),
        }
    }

    fn plan() -> Vec<u8> {
        let mut writer = Writer::new(&header());
        let target = TargetLine {
            target: "live".to_owned(),
            path: "/live".to_owned(),
            filesystem: "x".to_owned(),
            root: 2,
            section: fingerprint("section"),
            policy: "all".to_owned(),
            then: "removed".to_owned(),
        };
        writer.target(&target, vec![step(b"b/c", b"\xff\n\""), step(b"", b"a.jpg")]);
        writer.finish()
    }

    #[test]
    fn what_is_written_is_read() {
        let saved = Saved::read(&plan()).unwrap();
        assert_eq!(saved.header, header());
        let (target, steps) = &saved.targets[0];
        assert_eq!((target.target.as_str(), steps.totals().files, steps.totals().frees), ("live", 2, 8192));
        assert!(steps.has(b"b/c", b"\xff\n\"") && steps.has(b"", b"a.jpg") && !steps.has(b"b", b"a.jpg"));
        assert!(steps.lead_through(b"") && steps.lead_through(b"b") && steps.lead_through(b"b/c"));
        assert!(!steps.lead_through(b"b/") && !steps.lead_through(b"x"));
        assert_eq!(steps.left().iter().map(|(folder, ..)| *folder).collect::<Vec<_>>(), [&b""[..], b"b/c"]);
    }

    #[test]
    fn every_byte_counts() {
        let plan = plan();
        for at in 0..plan.len() {
            let mut altered = plan.clone();
            altered[at] ^= 1;
            assert!(Saved::read(&altered).is_err(), "byte {at}");
            assert!(Saved::read(&plan[..at]).is_err(), "the first {at} bytes");
        }
        assert!(matches!(Saved::read(b""), Err(SavedError::NoPlan)));
        assert!(matches!(Saved::read(&[plan.as_slice(), b"{}\n"].concat()), Err(SavedError::Altered(_))));
    }
}
