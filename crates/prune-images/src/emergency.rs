//! Getting space back: volume by volume, the targets of least worth first, until the mark and no further.

use crate::{args::PruneArgs, large};
use maint_core::{
    emergency::Need,
    fs::{Mount, Root, Usage},
    grouping::Per,
    section::FilesSection,
    text::count,
    units::{ByteSize, Span},
};
use maint_run::{
    Run, UsageError,
    config::Named,
    exit::Status,
    files::{self, Asked, Offer, Orders},
    report::{Counter, Rescue, Rung, Target, need_in_words},
    signals,
    volumes::{self, Marked},
};
use nix::unistd::geteuid;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Rescues every volume that has reached its mark.
pub(crate) fn run(
    run: &mut Run,
    args: &PruneArgs,
    orders: &Orders<'_>,
    targets: Vec<Named<FilesSection>>,
) -> Result<(), UsageError> {
    args.check_emergency(run)?;
    let dry_run = args.shows_only();
    let until = args.rescuing.until();
    let mut marked = volumes::marked(run, until, dry_run)?;
    run.begin_emergency();
    let mut places = Vec::new();
    for target in targets {
        let place = target.value.root();
        // What lies where a volume should be is not the volume's: it is on the disk below.
        if let Err(why) = volumes::may_write(run, &place) {
            let mut done = files::untouched(orders, &target);
            done.note(Status::Refused, format!("{why}: nothing was done"));
            run.record(done);
            continue;
        }
        match Root::open(&place, &run.borders()) {
            Ok(root) => match volumes::of_root(&mut marked, until, dry_run, &root) {
                Ok(volume) => places.extend(volume.map(|volume| Place { target, volume })),
                Err(error) => {
                    log::error!("{}: it cannot be told on which volume it lies: {error}", target.name);
                }
            },
            Err(error) => {
                let mut done = files::untouched(orders, &target);
                files::note_no_root(&mut done, &target.value, &error);
                run.record(done);
            }
        }
    }
    // The lowest priority first; of equal ones the first in the file.
    let in_file: Vec<String> =
        run.sections::<FilesSection>()?.into_iter().map(|section| section.name).collect();
    places.sort_by_key(|place| {
        let Named { name, value, .. } = &place.target;
        (value.priority, in_file.iter().position(|known| known == name))
    });
    for (n, volume) in marked.into_iter().enumerate() {
        let here: Vec<Place> = places.extract_if(.., |place| place.volume == n).collect();
        // A mark that replaces all others is meant for the filesystems of the targets.
        let is_meant = until.is_none() && run.names().is_empty();
        if (here.is_empty() && !is_meant) || signals::asked_to_stop() {
            continue;
        }
        let Marked { rescue, mount: Some(mount), ballast } = volume else {
            run.record_rescue(volume.rescue);
            continue;
        };
        let own = run.will_write_on(&mount, here.len());
        let (major, minor) = mount.device();
        let alone = (rescue.acted && !dry_run)
            .then(|| run.rescue_alone(&format!("{major}-{minor}"), args.changing.lock_wait));
        if let Some(Err(why)) = &alone {
            let mut rescue = rescue;
            rescue.note(Status::Busy, format!("{why}; it will tell what becomes of this volume"));
            run.record_rescue(rescue);
            continue;
        }
        let ladder =
            Ladder { run, orders, mount, ballast, own, in_vain: 0, ends: None, rescue, targets: Vec::new() };
        let (rescue, targets) = ladder.climb(here);
        run.record_rescue(rescue);
        for target in targets {
            run.record(target);
        }
    }
    Ok(())
}

/// A target and the volume it lies on.
struct Place {
    target: Named<FilesSection>,
    volume: usize,
}

/// Below this, nothing can be told from what came free.
const TOO_LITTLE: Need = Need { bytes: 1 << 20, inodes: 64 };
/// A target is asked no more often, and after so many times for more than is needed: who writes as fast as
/// we free is not outrun, and what is worth less must be gone before anything that is worth more.
const MOST_ROUNDS: u32 = 16;
const STEADY_ROUNDS: u32 = 4;
/// So long it is watched whether others write.
const WATCH: Duration = Duration::from_millis(300);

/// The volume is looked at again after so many bytes or files.
const LOOK_AGAIN: Need = Need { bytes: 64 << 20, inodes: 1024 };

/// One volume on its way to its mark.
struct Ladder<'a> {
    run: &'a Run,
    orders: &'a Orders<'a>,
    mount: Mount,
    ballast: Option<ByteSize>,
    /// What this run itself will still write there.
    own: Need,
    /// Why nothing of more worth is spent any more.
    ends: Option<&'static str>,
    /// What went, and of which nothing came free.
    in_vain: u64,
    rescue: Rescue,
    targets: Vec<Target>,
}

impl Ladder<'_> {
    fn climb(mut self, places: Vec<Place>) -> (Rescue, Vec<Target>) {
        if !self.rescue.dry_run {
            for place in &places {
                self.targets.extend(files::tidy(self.run, self.orders, &place.target));
            }
        }
        if !self.rescue.acted {
            self.tend_ballast();
            return (self.rescue, self.targets);
        }
        let begun = Instant::now();
        self.rescue.need = self.need_at(&self.rescue.before, 0);
        if self.rescue.dry_run {
            self.show(places);
        } else {
            let loan = self.give_up_ballast();
            self.spend(places, loan);
            self.judge(begun.elapsed(), loan);
            self.tend_ballast();
        }
        (self.rescue, self.targets)
    }

    /// The section of a target as it is in an emergency; none where it has no such policy.
    fn in_emergency(&mut self, place: &Place) -> Option<Named<FilesSection>> {
        let Named { name, value, place: at } = &place.target;
        let section = value.in_emergency(leaving_frees(value, &self.mount));
        if section.is_none() {
            let floor = "has no emergency policy and keeps all".to_owned();
            self.rescue.rungs.push(Rung { target: name.clone(), floor, ..Rung::default() });
        }
        Some(Named { name: name.clone(), value: section?, place: at.clone() })
    }

    /// What would be spent.
    fn show(&mut self, places: Vec<Place>) {
        let mut need = self.need_at(&self.rescue.before.without(self.unowed()), 0);
        let (mut files, mut each) = (0, Duration::ZERO);
        for place in places {
            if need.is_met() {
                self.rescue.rungs.extend(untouched(&place));
                continue;
            }
            let Some(target) = self.in_emergency(&place) else { continue };
            let begun = Instant::now();
            let most = self.orders.removing.limit;
            let need_here = self.cut_to_room(&target, need);
            let asked = Asked {
                need: need_here,
                most,
                no_room: false,
                round: 0,
                mount: &self.mount,
                go_on: &|_, _| true,
            };
            let (done, offer) = files::spend(self.run, self.orders, &target, &asked);
            let scanned = u32::try_from(done.counts.get(Counter::FilesScanned)).unwrap_or(u32::MAX);
            each = each.max(begun.elapsed() / scanned.max(1));
            let offer = offer.unwrap_or_default();
            need = need.after(offer.now);
            files += offer.files;
            self.rescue.rungs.push(rung(&target, &offer));
            self.targets.push(done);
        }
        let freed = self.rescue.freed();
        let before = self.rescue.before.without(self.unowed());
        self.rescue.after = before.without(freed.bytes).without_inodes(freed.inodes);
        self.rescue.takes = Some(estimate(files, each));
        if !self.rescue.is_reached() {
            let missing = need_in_words(self.rescue.until.need(&self.rescue.after));
            let why = format!("the emergency policies let go too little: {missing} more are needed");
            self.rescue.note(Status::Critical, why);
        }
        self.note_large();
    }

    /// The space that is held back comes first: it costs no data. It is on loan: the mark must be reached
    /// with it back in its place.
    fn give_up_ballast(&mut self) -> u64 {
        let owed = self.owed();
        match volumes::give_up(&self.mount) {
            Ok(0) => 0,
            Ok(freed) => {
                log::info!("{}: the ballast gives {}", self.rescue.volume, ByteSize::from_bytes(freed));
                freed.min(owed)
            }
            Err(error) => {
                if self.ballast.is_some() {
                    self.rescue.note(Status::Warning, format!("the ballast cannot be given up: {error}"));
                }
                0
            }
        }
    }

    /// How much of what is held back must be held back again.
    fn owed(&self) -> u64 {
        let held = volumes::held_back(&self.mount);
        held.min(self.ballast.map_or(0, ByteSize::bytes))
    }

    /// How much of it need not be: the configuration asks for less by now.
    fn unowed(&self) -> u64 {
        volumes::held_back(&self.mount).saturating_sub(self.owed())
    }

    /// No more than another volume can take of it, where files go there, and stay below its own mark.
    fn cut_to_room(&self, target: &Named<FilesSection>, need: Need) -> Need {
        let Some(to) = target.value.destination() else { return need };
        let room = volumes::room_at(self.run, &to).unwrap_or(u64::MAX);
        Need { bytes: need.bytes.min(room), inodes: if room == 0 { 0 } else { need.inodes } }
    }

    fn tend_ballast(&mut self) {
        let Some(size) = self.ballast.filter(|_| !self.rescue.dry_run) else { return };
        match volumes::rebuild(&self.mount, size, &self.rescue.until) {
            Ok(true) => log::info!("{}: the ballast is there again", self.rescue.volume),
            Ok(false) => {}
            Err(error) => {
                self.rescue.note(Status::Warning, format!("the ballast cannot be built: {error}"));
            }
        }
    }

    fn spend(&mut self, places: Vec<Place>, loan: u64) {
        for place in places {
            if signals::asked_to_stop() || self.ends.is_some() || self.need(loan).is_met() {
                // What stays is told too.
                self.rescue.rungs.extend(untouched(&place));
                continue;
            }
            if let Some(target) = self.in_emergency(&place) {
                self.spend_one(&target, loan);
            }
        }
    }

    /// What is still needed, the ballast back in its place and all that this run writes written.
    fn need(&self, loan: u64) -> Need {
        Usage::of_mount(&self.mount).map(|usage| self.need_at(&usage, loan)).unwrap_or_default()
    }

    fn need_at(&self, usage: &Usage, loan: u64) -> Need {
        let Need { bytes, inodes } = self.own;
        self.rescue.until.need_with(usage, Need { bytes: bytes.saturating_add(loan), inodes })
    }

    /// Spends one target, round by round: a first part to see whether it helps, then what is needed.
    fn spend_one(&mut self, target: &Named<FilesSection>, loan: u64) {
        let mut rung = rung(target, &Offer::default());
        let tidied = self.targets.iter().position(|done| done.name == target.name);
        let mut all: Option<Target> = tidied.map(|n| self.targets.remove(n));
        let (mut went, mut came) = (Need::default(), Need::default());
        for round in 0..MOST_ROUNDS {
            let Ok(before) = Usage::of_mount(&self.mount) else { break };
            let written = self.mount.bytes_written();
            let need = self.need_at(&before, loan);
            if need.is_met() || signals::asked_to_stop() {
                break;
            }
            let need = self.cut_to_room(target, need);
            if need.is_met() {
                let why = "there is no room where its files would go: they stay";
                self.rescue.note(Status::Warning, format!("{}: {why}", target.name));
                break;
            }
            // Whoever else frees something meanwhile spares the rest of a long step; a short one is taken to its
            // end, so that what goes is the oldest.
            let granted = (AtomicU64::new(0), AtomicU64::new(0));
            let go_on = |files: u64, bytes: u64| {
                let bytes_before = granted.0.fetch_add(bytes, Ordering::Relaxed);
                let files_before = granted.1.fetch_add(files, Ordering::Relaxed);
                let is_due = bytes_before / LOOK_AGAIN.bytes != (bytes_before + bytes) / LOOK_AGAIN.bytes
                    || files_before / LOOK_AGAIN.inodes != (files_before + files) / LOOK_AGAIN.inodes;
                !is_due || !self.need(loan).is_met()
            };
            // Root may use what is reserved, but not before anything has gone.
            let is_first = self.rescue.rungs.iter().all(|rung| rung.files == 0) && round == 0;
            let room = if geteuid().is_root() && !is_first { before.free } else { before.available };
            let no_room = room < Need::NO_ROOM.bytes
                || before.inodes.is_some_and(|inodes| inodes.available < Need::NO_ROOM.inodes);
            if no_room {
                self.run.audit().hold_back();
            }
            let part = match round {
                0 => need.first_part(),
                // Who does not come nearer takes larger steps: each costs a look at the whole target.
                _ => need.beside_others(went, came).times(1 << round.saturating_sub(STEADY_ROUNDS)),
            };
            let most = self.orders.removing.limit.map(|most| most.saturating_sub(rung.files));
            let asked = Asked { need: part, most, no_room, round, mount: &self.mount, go_on: &go_on };
            let (done, offer) = files::spend(self.run, self.orders, target, &asked);
            self.run.audit().write_held_back();
            let gone = done.gone();
            let freed = Need { bytes: done.counts.get(Counter::BytesFreed), inodes: gone };
            match &mut all {
                Some(all) => all.absorb(done),
                None => all = Some(done),
            }
            let Some(offer) = offer else { break };
            if most.is_some_and(|most| gone >= most) {
                // What is worth more is not spent in the place of what a limit keeps.
                self.ends = Some("--limit ended this");
            }
            if round == 0 {
                rung.possible = offer.possible;
                if offer.useless > 0 {
                    let files = count(offer.useless, "file");
                    let why =
                        "would free nothing: other names elsewhere, held open, or no blocks of their own";
                    self.rescue.notes.push(format!("{}: {files} stay that {why}", target.name));
                }
            }
            rung.files += gone;
            rung.frees.bytes += freed.bytes;
            rung.frees.inodes += freed.inodes;
            if gone == 0 {
                break;
            }
            let Some(gained) = self.has_helped(target, &before, written, freed) else { break };
            (went, came) = (freed, gained);
        }
        self.rescue.rungs.push(rung);
        self.targets.extend(all);
    }

    /// How much of what was removed has come free; nothing, too, if others have written it at once. None
    /// where more of it would not help.
    fn has_helped(
        &mut self,
        target: &Named<FilesSection>,
        before: &Usage,
        written: Option<u64>,
        freed: Need,
    ) -> Option<Need> {
        let gained = |now: &Usage| Need {
            bytes: before.used.saturating_sub(now.used),
            inodes: before
                .inodes
                .zip(now.inodes)
                .map_or(freed.inodes, |(before, now)| before.used.saturating_sub(now.used)),
        };
        // Where blocks may be compressed they bring a small part of what is promised for them.
        let part = if before.inodes.is_none() { 100 } else { 10 };
        let little = |gained: u64, freed: u64, least: u64| freed >= least && gained < freed / part;
        let is_little = |gained: Need| {
            little(gained.bytes, freed.bytes, TOO_LITTLE.bytes)
                || little(gained.inodes, freed.inodes, TOO_LITTLE.inodes)
        };
        // Whatever is waited for, others write on meanwhile: what tells at once is asked no further than to
        // see that it helps. xfs and btrfs must have told all, or too much would go.
        let tells_late = before.inodes.is_none();
        let is_enough = |now: &Usage| {
            let gained = gained(now);
            if tells_late { freed.after(gained).is_met() } else { !is_little(gained) }
        };
        let Ok(root) = Root::open(&target.value.root(), &self.run.borders()) else { return Some(freed) };
        let Ok(now) = Usage::settled(&root, is_enough) else { return Some(freed) };
        let gained = gained(&now);
        if !is_little(gained) {
            return Some(gained);
        }
        // What comes free on a full disk may be taken before anybody looks. A file that is really gone, and
        // not held, gives its inode back; what others wrote has reached the device, for that was settled.
        let gave_inodes = !tells_late && freed.inodes > 0 && gained.inodes >= freed.inodes / 2;
        let was_written = written.zip(self.mount.bytes_written());
        let was_written = was_written.is_some_and(|(then, now)| now.saturating_sub(then) >= freed.bytes / 2);
        let others_write = gave_inodes || was_written || {
            std::thread::sleep(WATCH);
            let inodes = |usage: &Usage| usage.inodes.map_or(0, |inodes| inodes.used);
            Usage::of(&root).is_ok_and(|later| later.used > now.used || inodes(&later) > inodes(&now))
        };
        if !others_write {
            self.in_vain = self.in_vain.saturating_add(freed.bytes.saturating_sub(gained.bytes));
            self.rescue.note(
                Status::Warning,
                format!(
                    "{}: {} went and only {} came free: a snapshot still has them, or a process that cannot be seen from here holds them open; no more of it was spent",
                    target.name,
                    ByteSize::from_bytes(freed.bytes),
                    ByteSize::from_bytes(gained.bytes)
                ),
            );
        }
        others_write.then_some(gained)
    }

    /// How it ended, and why not better.
    fn judge(&mut self, took: Duration, loan: u64) {
        if let Ok(usage) = Usage::of_mount(&self.mount) {
            self.rescue.after = usage;
        }
        let Rescue { before, after, .. } = &self.rescue;
        let freed = self.rescue.freed().bytes.saturating_add(loan).saturating_sub(self.in_vain);
        let gained = before.used.saturating_sub(after.used);
        let written = freed.saturating_sub(gained).saturating_add(after.used.saturating_sub(before.used));
        if self.rescue.is_reached() {
            return;
        }
        let each_second = |bytes: u64| {
            let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
            ByteSize::from_bytes(bytes.saturating_mul(1000) / millis)
        };
        let is_busy = |target: &Target| target.status == Status::Busy;
        if self.rescue.freed().is_met() && self.targets.iter().any(is_busy) {
            self.rescue.note(Status::Busy, "another emergency is at work on its targets, and will tell");
            return;
        }
        let why = if signals::asked_to_stop() {
            "a signal ended this early".to_owned()
        } else if let Some(why) = self.ends {
            why.to_owned()
        } else if self.rescue.freed().is_met() && loan == 0 {
            "nothing could be spent".to_owned() + &self.why_not()
        } else if written > (1 << 20).max(freed / 10) {
            format!(
                "others wrote {} meanwhile, {}/s, while this freed {}, {}/s: stop the writer, or move its target to the front with a lower priority",
                ByteSize::from_bytes(written),
                each_second(written),
                ByteSize::from_bytes(freed),
                each_second(freed)
            )
        } else if self.targets.iter().any(|target| target.status != Status::Ok) {
            "what the emergency policies let go is gone, as far as it could be spent".to_owned()
        } else {
            "all that the emergency policies let go is gone".to_owned()
        };
        self.rescue.note(Status::Critical, why);
        self.note_large();
    }

    /// What kept targets from being spent.
    fn why_not(&self) -> String {
        let told = self.targets.iter().filter(|done| done.dry_run || done.status != Status::Ok).map(|done| {
            let why = if done.dry_run { "is only ever shown" } else { done.status.word() };
            format!("{} {why}", done.name)
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
    }

    /// What else there is on the volume.
    fn note_large(&mut self) {
        let others = large::outside_targets(self.run, &self.mount, self.rescue.before.used);
        if !others.is_empty() {
            self.rescue.notes.push(format!("large and of no target: {}", others.join(", ")));
        }
    }
}

/// Whether files that go where a section says leave the filesystem of its root.
pub(crate) fn leaving_frees(section: &FilesSection, mount: &Mount) -> bool {
    let there = section.destination().and_then(|to| Mount::to_hold(&to).ok());
    there.is_some_and(|there| !there.is_of_same_filesystem(mount))
}

fn rung(target: &Named<FilesSection>, offer: &Offer) -> Rung {
    Rung {
        target: target.name.clone(),
        files: offer.files,
        frees: offer.now,
        possible: offer.possible,
        floor: floor(&target.value).unwrap_or_default(),
    }
}

/// What a target keeps whatever is needed.
fn floor(section: &FilesSection) -> Option<String> {
    let newest = section.keep_newest.as_ref()?;
    let per = match &newest.0.per {
        Per::Target => String::new(),
        per => format!(" per {per}"),
    };
    Some(format!("keeps its {} newest{per}", newest.0.count))
}

fn untouched(place: &Place) -> Option<Rung> {
    let section = place.target.value.in_emergency(false)?;
    let target = place.target.name.clone();
    Some(Rung { target, floor: floor(&section).unwrap_or_default(), ..Rung::default() })
}

/// A removal takes about as long as ten looks at a file.
fn estimate(files: u64, look: Duration) -> Span {
    const LOOKS: u32 = 10;
    const LEAST: Duration = Duration::from_micros(20);
    let each = u64::try_from((look * LOOKS).max(LEAST).as_micros()).unwrap_or(u64::MAX);
    Span::from_seconds(files.saturating_mul(each).div_ceil(1_000_000).max(1))
}
