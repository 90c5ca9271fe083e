//! Asking the volumes. A disk that hangs holds whoever asks it, so a child of our own asks, all at once; when
//! an answer does not come the child is abandoned.

use crate::deleted;
use maint_core::{
    fs::{Mount, Usage, Uuid},
    section::VolumeSection,
};
use maint_run::volumes;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write as _},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _},
            net::UnixStream,
        },
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The first word of a child.
pub(crate) const WORD: &str = "--probe";

/// Nobody waits longer, for however many volumes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a thread that asks may need.
const STACK: usize = 256 << 10;

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is there.
    Seen(Seen),
    /// It is not, or is another one.
    Wrong(String),
    /// It cannot be told.
    Unseen(String),
    /// It did not answer.
    Hangs,
}

/// A volume that is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) read_only: bool,
    pub(crate) device: (u32, u32),
    /// The number that files on it have, for what is deleted and still open.
    pub(crate) files_device: u64,
    pub(crate) used: u64,
    pub(crate) available: u64,
    pub(crate) inodes: Option<(u64, u64)>,
}

/// Space that is held by deleted files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    pub(crate) pid: u32,
    pub(crate) name: String,
}

/// What is deleted and held open, as far as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) files: Vec<Deleted>,
    /// Processes that could not be looked into.
    pub(crate) unseen: u64,
}

/// Everything that was answered, in the order of the volumes.
pub(crate) struct Answers {
    pub(crate) volumes: Vec<Answer>,
    /// Whether each folder that is watched answers.
    pub(crate) watched: Vec<bool>,
    /// None when the child hung over it.
    pub(crate) held: Option<Held>,
    /// The child that has said all it had to say, and is about to end.
    child: Option<Asked>,
}

/// A child that ends by itself: it is waited for, but not before there is nothing better to do.
pub(crate) struct Asked(Child);

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

/// What a child says, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Volume(usize, Answer),
    Watched(usize),
    Held(Held),
}

impl Answers {
    fn take(&mut self, line: Line) {
        match line {
            Line::Volume(n, answer) => {
                if let Some(slot) = self.volumes.get_mut(n) {
                    *slot = answer;
                }
            }
            Line::Watched(n) => {
                if let Some(slot) = self.watched.get_mut(n) {
                    *slot = true;
                }
            }
            Line::Held(held) => self.held = Some(held),
        }
    }
}

/// Asks about volumes, and whether what is watched can be read, in a child.
pub(crate) fn ask(volumes: &[(&str, &VolumeSection)], watched: &[&Path], wants_held: bool) -> Answers {
    let mut answers = Answers {
        volumes: vec![Answer::Hangs; volumes.len()],
        watched: vec![false; watched.len()],
        held: None,
        child: None,
    };
    if volumes.is_empty() && watched.is_empty() {
        return answers;
    }
    if let Err(error) = ask_child(volumes, watched, wants_held, &mut answers) {
        log::warn!("no child could be asked ({error}): a volume that hangs would hang this");
        let own = volumes.iter().map(|(name, volume)| look(name, &volume.path, volume.uuid.as_ref()));
        answers.volumes = own.collect();
        answers.watched.fill(true);
        answers.held = wants_held.then(|| {
            let (open, unseen) = deleted::candidates();
            deleted::look(&open, unseen)
        });
    }
    answers
}

fn ask_child(
    volumes: &[(&str, &VolumeSection)],
    watched: &[&Path],
    wants_held: bool,
    answers: &mut Answers,
) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORD).arg(if wants_held { "held" } else { "-" }).arg(volumes.len().to_string());
    for (name, volume) in volumes {
        let uuid = volume.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
        command.arg(name).arg(&volume.path).arg(uuid);
    }
    command.args(watched);
    let (ours, its) = UnixStream::pair()?;
    command.stdin(OwnedFd::from(its.try_clone()?)).stdout(OwnedFd::from(its)).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let until = Instant::now() + PATIENCE;
    // What it holds of the child's end would keep that open.
    drop(command);
    // While the child begins.
    let (open, unseen) = if wants_held { deleted::candidates() } else { Default::default() };
    let asked: String = open.into_iter().map(deleted::Open::to_line).collect();
    // Why a child that has ended did so is told below.
    let _ = (&ours).write_all(asked.as_bytes()).and_then(|()| ours.shutdown(Shutdown::Write));
    let mut answers_left = volumes.len() + watched.len() + usize::from(wants_held);
    let mut lines = BufReader::new(&ours);
    while answers_left > 0
        && let Some(line) = next_line(&mut lines, &ours, until)?
    {
        answers.take(serde_json::from_str(&line)?);
        answers_left -= 1;
    }
    if let Some(held) = &mut answers.held {
        held.unseen = unseen;
    }
    if answers_left > 0 {
        // What waits for a disk may not even die; nobody waits for it.
        return child.kill();
    }
    answers.child = Some(Asked(child));
    Ok(())
}

/// None when there was none in time.
fn next_line(lines: &mut impl BufRead, socket: &UnixStream, until: Instant) -> io::Result<Option<String>> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(None);
    }
    socket.set_read_timeout(Some(left))?;
    let mut line = String::new();
    match lines.read_line(&mut line) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(Some(line)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The whole of a child: each question has a thread, so that one which hangs keeps no other waiting.
pub(crate) fn child(words: &[OsString]) -> io::Result<()> {
    let (Some(held), Some(volumes)) = (words.first(), words.get(1)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let volumes: usize = volumes.to_string_lossy().parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let (volumes, watched) = words[2..].split_at_checked(volumes * 3).ok_or(io::ErrorKind::InvalidInput)?;
    std::thread::scope(|scope| {
        for (n, volume) in volumes.chunks_exact(3).enumerate() {
            spawn(scope, move || {
                let text = |n: usize| volume[n].to_string_lossy();
                let uuid = Some(text(2)).filter(|text| !text.is_empty()).map(|text| Uuid::new(&text));
                Line::Volume(n, look(&text(0), Path::new(&volume[1]), uuid.as_ref()))
            })?;
        }
        for (n, path) in watched.iter().enumerate() {
            spawn(scope, move || {
                touch(Path::new(path));
                Line::Watched(n)
            })?;
        }
        if held == "held" {
            let lines = io::stdin().lock().lines().map_while(Result::ok);
            let open: Vec<deleted::Open> = lines.filter_map(|line| deleted::Open::from_line(&line)).collect();
            tell(&Line::Held(deleted::look(&open, 0)));
        }
        Ok(())
    })
}

fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    question: impl FnOnce() -> Line + Send + 'scope,
) -> io::Result<()> {
    let answer = move || tell(&question());
    std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, answer).map(drop)
}

/// A line whole, however many are told at once.
fn tell(line: &Line) {
    let Ok(mut text) = serde_json::to_string(line) else { return };
    text.push('\n');
    let mut out = io::stdout().lock();
    // Nobody listens any more when this fails.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Does once what counting a folder does: whether that works does not matter here, only that it ends.
fn touch(path: &Path) {
    let _ = nix::sys::statvfs::statvfs(path);
    if let Some(Ok(first)) = std::fs::read_dir(path).ok().and_then(|mut listing| listing.next()) {
        let _ = first.metadata();
    }
}

fn look(name: &str, path: &Path, uuid: Option<&Uuid>) -> Answer {
    let mount = match volumes::mounted_at(name, path, uuid) {
        Ok(mount) => mount,
        Err(why) if may_be_right(path, uuid) => return Answer::Unseen(why),
        Err(why) => return Answer::Wrong(why),
    };
    let usage = Usage::of_mount(&mount).and_then(|usage| Ok((usage, std::fs::metadata(&mount.point)?.dev())));
    match usage {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Answer::Unseen(format!("it cannot be told how full it is: {error}"))
        }
        Err(error) => Answer::Wrong(format!("it cannot be told how full it is: {error}")),
        Ok((usage, files_device)) => Answer::Seen(Seen {
            kind: mount.kind.clone(),
            source: mount.source.to_string_lossy().into_owned(),
            read_only: mount.read_only,
            device: device_of(&mount),
            files_device,
            used: usage.used,
            available: usage.available,
            inodes: usage.inodes.map(|inodes| (inodes.used, inodes.available)),
        }),
    }
}

/// Whether nothing speaks against a volume but that the caller may not look.
fn may_be_right(path: &Path, uuid: Option<&Uuid>) -> bool {
    match Mount::at(path) {
        Ok(mount) => mount.is_some_and(|mount| uuid.is_some() && mount.uuid().is_err()),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// btrfs has a number of its own in the table of mounts: there the device that was named tells.
fn device_of(mount: &Mount) -> (u32, u32) {
    let source = Path::new(&mount.source);
    if mount.device().0 > 0 || !source.is_absolute() {
        return mount.device();
    }
    match std::fs::metadata(source) {
        Ok(seen) if seen.file_type().is_block_device() => {
            let number = seen.rdev();
            let [major, minor] = [nix::sys::stat::major(number), nix::sys::stat::minor(number)];
            (u32::try_from(major).unwrap_or(0), u32::try_from(minor).unwrap_or(0))
        }
        _ => mount.device(),
    }
}
