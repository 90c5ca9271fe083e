//! The options of `prune-images`, and the targets they select.

use clap::Args;
use maint_core::{
    bundle::NameTemplate,
    grouping::Per,
    pattern::Pattern,
    retention::KeepNewest,
    section::{
        AgeByValue, EmergencyPolicy, EmptyFolders, FilesSection, GuardSection, KeepNewestValue, Patterns,
        Section as _, ThenValue,
    },
    text::shown_path,
    units::{ByteSize, Share, Span},
};
use maint_run::{
    Run, UsageError,
    args::{Changing, Removing, RemovingFiles, Rescuing},
    config::Named,
    files::{KeepSteps, Orders},
    volumes,
};
use std::path::PathBuf;

/// Options beside those of every tool.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) changing: Changing,
    #[command(flatten)]
    pub(crate) removing: Removing,
    #[command(flatten)]
    pub(crate) files: RemovingFiles,
    #[command(flatten)]
    pub(crate) rescuing: Rescuing,
    /// Save what would go to FILE, step by step, and do nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "print0"], help_heading = "Plans")]
    pub(crate) save_plan: Option<PathBuf>,
    /// Let go exactly what FILE says, or less: each file must be the one that was looked at
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["save_plan", "list", "print0", "limit", "emergency", "until_usage", "until_free", "every"],
        help_heading = "Plans"
    )]
    pub(crate) apply: Option<PathBuf>,
    /// A folder to prune without any section of the configuration
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["names", "check_config"],
        help_heading = "Without configuration"
    )]
    path: Option<PathBuf>,
    /// Only files with such names; may be given several times [default: every file]
    #[arg(long = "match", value_name = "GLOB", requires = "path", help_heading = "Without configuration")]
    patterns: Vec<Pattern>,
    /// Never files or folders with such names
    #[arg(long, value_name = "GLOB", requires = "path", help_heading = "Without configuration")]
    exclude: Vec<Pattern>,
    /// Names that go with a file, such as {stem}.json
    #[arg(long, value_name = "NAME", requires = "patterns", help_heading = "Without configuration")]
    with: Vec<NameTemplate>,
    /// The clock by which files age: mtime, atime, ctime, btime, newest, or name:%Y%m%d_%H%M%S [default: mtime]
    #[arg(long, value_name = "CLOCK", requires = "path", help_heading = "Without configuration")]
    age_by: Option<AgeByValue>,
    /// When there are more, the oldest go
    #[arg(long, value_name = "N", requires = "path", help_heading = "Without configuration")]
    max_files: Option<u64>,
    /// When they take more space, the oldest go
    #[arg(long, value_name = "SIZE", requires = "path", help_heading = "Without configuration")]
    max_size: Option<ByteSize>,
    /// Enter so many levels of folders; 1 is DIR alone [default: all]
    #[arg(long, value_name = "N", requires = "path", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Without configuration")]
    max_depth: Option<u32>,
    /// Files touched this recently stay [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "path", help_heading = "Without configuration")]
    settle: Option<Span>,
    /// Folders that went empty stay
    #[arg(long, requires = "path", help_heading = "Without configuration")]
    keep_empty_folders: bool,
    /// Older files go; with a NAME instead of what its section says
    #[arg(long, value_name = "DURATION", help_heading = "What removes files")]
    max_age: Option<Span>,
    /// So many of the newest stay; with a NAME instead of what its section says
    #[arg(long, value_name = "N", help_heading = "What removes files")]
    keep_newest: Option<u64>,
    /// Everything that NAME speaks of goes, whatever its policy says; needs --confirm
    #[arg(
        long,
        requires = "confirm",
        conflicts_with_all = ["path", "max_age", "keep_newest"],
        help_heading = "What removes files"
    )]
    remove_all: bool,
    /// The same NAME once more, for --remove-all
    #[arg(long, value_name = "NAME", requires = "remove_all", help_heading = "What removes files")]
    confirm: Option<String>,
}

/// Two names for one folder hide that two sections judge the same files.
fn check_by_identity(run: &Run) -> Result<(), UsageError> {
    let sections: Vec<Named<FilesSection>> = run.sections()?;
    let real: Vec<FilesSection> = sections
        .iter()
        .map(|Named { value, .. }| {
            let then = match &value.then {
                ThenValue::Delete => ThenValue::Delete,
                ThenValue::MoveTo(path) => ThenValue::MoveTo(volumes::real(path)),
                ThenValue::ArchiveTo(path) => ThenValue::ArchiveTo(volumes::real(path)),
            };
            FilesSection { path: volumes::real(&value.path), then, ..value.clone() }
        })
        .collect();
    let named: Vec<(&str, &FilesSection)> =
        sections.iter().map(|section| section.name.as_str()).zip(&real).collect();
    FilesSection::check_together(&named).map_err(|(n, fault)| {
        let name = named.get(n).map_or("", |(name, _)| *name);
        UsageError::new(format!("[files.{name}], by the folders that its paths lead to: {fault}"))
    })
}

impl PruneArgs {
    /// Nothing is to be changed.
    pub(crate) fn shows_only(&self) -> bool {
        self.changing.dry_run || self.files.only_names() || self.save_plan.is_some()
    }

    /// The folder comes from the command line.
    pub(crate) fn is_ad_hoc(&self) -> bool {
        self.path.is_some()
    }

    /// Less than a section's own policy is asked for.
    pub(crate) fn is_partial(&self) -> bool {
        let overridden = self.max_age.is_some() || self.keep_newest.is_some() || self.remove_all;
        overridden || self.removing.limit.is_some()
    }

    /// The same for the work on each target.
    pub(crate) fn orders<'a>(&'a self, steps: Option<&'a dyn KeepSteps>) -> Orders<'a> {
        Orders {
            changing: &self.changing,
            removing: &self.removing,
            files: &self.files,
            shows_only: self.shows_only(),
            is_ad_hoc: self.is_ad_hoc(),
            is_partial: self.is_partial(),
            steps,
        }
    }

    /// What cannot be meant of an emergency.
    pub(crate) fn check_emergency(&self, run: &Run) -> Result<(), UsageError> {
        let overridden = self.max_age.is_some() || self.keep_newest.is_some() || self.remove_all;
        if self.path.is_none() && overridden {
            let why = "in an emergency the emergency policy of each section says what may go; with --path the command line does";
            return Err(UsageError::new(format!("--max-age, --keep-newest and --remove-all: {why}")));
        }
        if self.path.is_some() && self.rescuing.until().is_none() {
            return Err(UsageError::new("--path in an emergency needs --until-usage or --until-free"));
        }
        self.rescuing.check(run)
    }

    /// The targets, from the command line or the configuration.
    pub(crate) fn targets(&self, run: &mut Run) -> Result<Vec<Named<FilesSection>>, UsageError> {
        if let Some(path) = &self.path {
            run.works_ad_hoc();
            return Ok(vec![self.target_of(path)?]);
        }
        for (option, given) in
            [("--max-age", self.max_age.is_some()), ("--keep-newest", self.keep_newest.is_some())]
        {
            if given && run.names().is_empty() {
                let why = "needs a NAME or --path: it is never meant for all sections at once";
                return Err(UsageError::new(format!("{option} {why}")));
            }
        }
        self.check_confirmed(run)?;
        check_by_identity(run)?;
        let mut targets: Vec<Named<FilesSection>> = run.selected()?;
        for Named { name, value, .. } in &mut targets {
            value.max_age = self.max_age.or(value.max_age);
            if let Some(count) = self.keep_newest {
                let per = value.keep_newest.take().map_or(Per::Target, |value| value.0.per);
                value.keep_newest = Some(KeepNewestValue(KeepNewest { count, per }));
            }
            value.remove_all = self.remove_all;
            value
                .check()
                .map_err(|fault| UsageError::new(format!("[files.{name}] with these options: {fault}")))?;
        }
        let sections: Vec<&FilesSection> = targets.iter().map(|target| &target.value).collect();
        let order = FilesSection::order(&sections);
        let mut targets: Vec<Option<Named<FilesSection>>> = targets.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|n| targets[n].take()).collect())
    }

    /// Everything is meant once, of one section, by who writes its name twice.
    fn check_confirmed(&self, run: &Run) -> Result<(), UsageError> {
        if !self.remove_all {
            return Ok(());
        }
        let confirmed = self.confirm.iter().collect::<Vec<_>>();
        match run.names() {
            [name] if confirmed == [name] => Ok(()),
            [name] => Err(UsageError::new(format!(
                "--confirm must repeat the name of the section: --confirm {name}"
            ))),
            _ => Err(UsageError::new(
                "--remove-all needs exactly one NAME: it is never meant for several sections at once",
            )),
        }
    }

    fn target_of(&self, path: &PathBuf) -> Result<Named<FilesSection>, UsageError> {
        let shown = shown_path(path);
        let absolute =
            std::path::absolute(path).map_err(|error| UsageError::new(format!("--path {shown}: {error}")))?;
        let said = EmergencyPolicy {
            max_age: self.max_age,
            max_files: self.max_files,
            max_size: self.max_size,
            keep_newest: self
                .keep_newest
                .map(|count| KeepNewestValue(KeepNewest { count, per: Per::Target })),
            ..EmergencyPolicy::default()
        };
        let section = FilesSection {
            patterns: self.patterns.clone(),
            exclude: Patterns(self.exclude.clone()),
            with: self.with.clone(),
            max_age: self.max_age,
            age_by: self.age_by.clone().unwrap_or_default(),
            max_files: self.max_files,
            max_size: self.max_size,
            keep_newest: said.keep_newest.clone(),
            emergency: self.rescuing.is_asked_for().then_some(said),
            settle: self.settle.unwrap_or(FilesSection::SETTLE),
            max_depth: self.max_depth,
            empty_folders: if self.keep_empty_folders { EmptyFolders::Keep } else { EmptyFolders::Remove },
            // Who names a folder at a prompt means it.
            guard: GuardSection { max_share: Some(Share::from_percent(100)), ..GuardSection::default() },
            ..FilesSection::at(absolute)
        };
        if !section.policy().removes() {
            let why = "needs --max-age, --max-files, --max-size or --keep-newest, to say what may go";
            return Err(UsageError::new(format!("--path {shown} {why}")));
        }
        section.check().map_err(|fault| UsageError::new(format!("--path {shown}: {fault}")))?;
        let name = shown_path(&section.root());
        Ok(Named { name, value: section, place: "--path".to_owned() })
    }
}
