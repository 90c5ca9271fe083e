//! `[orphans.NAME]`: metadata, and where its partners lie.

use super::{
    Fault, FilesSection, Section, check_root_path,
    files::{EmptyFolders, GuardSection},
    values::{AgeByValue, LimitValue, OneOrMore, Patterns, ThenValue, at_least_one_pattern},
};
use crate::{
    orphans::{By, Field, Layout, Pairing, PartnerName},
    pattern::Pattern,
    spare::Spare,
    text::{count, shown_path},
    units::{Span, one_word_of},
};
use std::path::{Path, PathBuf};

/// The keys of `[orphans.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OrphansSection {
    /// The folder of the metadata: an absolute path.
    pub metadata: PathBuf,
    /// Names of metadata.
    #[serde(rename = "match", default = "json", deserialize_with = "at_least_one_pattern")]
    pub patterns: Vec<Pattern>,
    /// Names that stay, whatever they belong to.
    #[serde(default)]
    pub exclude: Patterns,
    /// Whether folders below it are entered.
    pub recursive: Option<bool>,
    /// How many levels are entered; 1 is the folder alone.
    pub max_depth: Option<u32>,
    /// The names that a partner may have.
    #[serde(default)]
    pub partner: OneOrMore<PartnerName>,
    /// The field of the metadata that names its partner.
    pub partner_field: Option<Field>,
    /// Where partners lie; nothing said, beside their metadata.
    #[serde(default)]
    pub partner_in: OneOrMore<PathBuf>,
    /// Where below these.
    pub partner_layout: Option<Layout>,
    /// Upper and lower case are the same.
    #[serde(default)]
    pub ignore_case: bool,
    /// Composed and decomposed letters are the same.
    #[serde(default)]
    pub normalize: bool,
    /// What is younger waits for its partner.
    #[serde(default = "an_hour")]
    pub min_age: Span,
    /// By which clock.
    #[serde(default)]
    pub age_by: AgeByValue,
    /// So many looks must have found it alone.
    #[serde(default = "two")]
    pub observations: u32,
    /// At least so far apart.
    #[serde(default = "half_an_hour")]
    pub observations_apart: Span,
    /// Whose orphans.
    #[serde(default)]
    pub find: Find,
    /// Files without metadata go too, and are not only reported.
    #[serde(default)]
    pub remove_files: bool,
    /// What is spared because it is in use.
    #[serde(default)]
    pub spare: Spare,
    /// Where orphans go.
    #[serde(default)]
    pub then: ThenValue,
    /// Whether folders that a run emptied go too.
    #[serde(default)]
    pub empty_folders: EmptyFolders,
    /// Nobody else writes here: no claim is needed before a removal.
    #[serde(default)]
    pub private: bool,
    /// How much one run may do, and how fast.
    #[serde(default)]
    pub limit: LimitValue,
    /// How many threads share the work.
    pub workers: Option<u32>,
    /// Always only show.
    #[serde(default)]
    pub dry_run: bool,
    /// What must hold before anything goes.
    #[serde(default)]
    pub guard: GuardSection,
    /// Whether orphans go in an emergency, after one look.
    #[serde(default = "yes")]
    pub emergency: bool,
}

/// Whose orphans are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Find {
    /// Metadata without a partner.
    #[default]
    Metadata,
    /// Partners without metadata.
    Files,
    /// Each without the other.
    Both,
}

one_word_of!(Find, "what to find", "metadata" => Self::Metadata, "files" => Self::Files, "both" => Self::Both);

fn json() -> Vec<Pattern> {
    vec![Pattern::around(b"", b".json")]
}

const fn an_hour() -> Span {
    Span::from_seconds(3600)
}

const fn half_an_hour() -> Span {
    Span::from_seconds(1800)
}

const fn two() -> u32 {
    2
}

const fn yes() -> bool {
    true
}

impl OrphansSection {
    /// The metadata as a folder of files, of which what is old enough may go.
    pub fn metadata(&self) -> FilesSection {
        FilesSection {
            patterns: self.patterns.clone(),
            exclude: self.exclude.clone(),
            recursive: self.recursive,
            max_depth: self.max_depth,
            guard: self.guard.clone(),
            ..self.files(&self.metadata)
        }
    }

    /// A folder of partners in the same way.
    pub fn partners(&self, root: &Path) -> FilesSection {
        FilesSection {
            patterns: self.partner.0.iter().map(PartnerName::pattern).collect(),
            // Where both lie in one folder metadata is not its own partner.
            exclude: Patterns([self.patterns.clone(), self.exclude.0.clone()].concat()),
            guard: GuardSection { max_share: self.guard.max_share, ..GuardSection::default() },
            ..self.files(root)
        }
    }

    fn files(&self, root: &Path) -> FilesSection {
        FilesSection {
            max_age: Some(self.min_age),
            age_by: self.age_by.clone(),
            // What is old enough has settled.
            settle: Span::from_seconds(0),
            spare: self.spare.clone(),
            then: self.then.clone(),
            empty_folders: self.empty_folders,
            private: self.private,
            limit: self.limit,
            workers: self.workers,
            dry_run: self.dry_run,
            ..FilesSection::at(root.to_owned())
        }
    }

    /// What belongs together.
    pub fn pairing(&self) -> Pairing {
        let by = match &self.partner_field {
            Some(field) => By::Field(field.clone()),
            None => By::Names(self.partner.0.clone()),
        };
        let layout =
            if self.partner_in.0.is_empty() { Layout::Same } else { self.partner_layout.unwrap_or_default() };
        Pairing {
            metadata: self.metadata().select(),
            by,
            layout,
            ignore_case: self.ignore_case,
            normalize: self.normalize,
        }
    }

    /// Whether partners lie in the folders of their metadata.
    pub fn is_beside(&self) -> bool {
        self.partner_in.0.is_empty()
    }

    /// The folders that partners lie in.
    pub fn places(&self) -> Vec<PathBuf> {
        let named = self.partner_in.0.iter().map(|path| path.components().collect()).collect();
        if self.partner_in.0.is_empty() { vec![self.metadata().root()] } else { named }
    }

    /// What a partner is, in a person's words.
    pub fn partner_in_words(&self) -> String {
        let names: Vec<String> = self.partner.0.iter().map(ToString::to_string).collect();
        let what = match &self.partner_field {
            Some(field) => format!("what {field} names"),
            None => names.join(" or "),
        };
        if self.partner_in.0.is_empty() {
            return format!("{what} beside it");
        }
        let places: Vec<String> = self.places().iter().map(|place| shown_path(place)).collect();
        let layout =
            if self.partner_layout == Some(Layout::Same) { ", in the same folder there" } else { "" };
        format!("{what} in {}{layout}", places.join(" or "))
    }

    /// How an orphan is told from what waits for its partner, in a person's words.
    pub fn rule_in_words(&self) -> String {
        let Self { min_age, observations, observations_apart, .. } = self;
        let looks = if *observations == 1 {
            "one look".to_owned()
        } else {
            format!("{}, {observations_apart} apart", count(u64::from(*observations), "look"))
        };
        format!("older than {min_age}, after {looks}")
    }

    fn check_partner(&self) -> Result<(), Fault> {
        match (self.partner.0.is_empty(), &self.partner_field) {
            (true, None) => {
                return Err(Fault::whole(
                    "does not say what metadata belongs to: add partner, such as partner = [\"{stem}.jpg\"], or partner-field",
                ));
            }
            (false, Some(_)) => {
                return Err(Fault::at(
                    "partner-field",
                    "and partner are two ways to find one thing: leave one of the two out",
                ));
            }
            _ => {}
        }
        if self.partner.0.iter().any(PartnerName::needs_star) {
            let without = self.patterns.iter().find(|pattern| pattern.ends().is_none());
            if let Some(pattern) = without {
                let why = format!(
                    "{{star}} is what the star of the pattern stands for, and {pattern} has not exactly one, or leads through folders"
                );
                return Err(Fault::at("partner", why));
            }
        }
        let itself = |partner: &&PartnerName| self.patterns.iter().any(|pattern| partner.is_itself(pattern));
        if self.partner_in.0.is_empty()
            && let Some(partner) = self.partner.0.iter().find(itself)
        {
            let why = format!("{partner} is the metadata itself, which is always there");
            return Err(Fault::at("partner", why));
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), Fault> {
        for place in &self.partner_in.0 {
            check_root_path(place).map_err(|why| Fault::at("partner-in", why))?;
        }
        if self.partner_layout.is_none() {
            return Ok(());
        }
        if self.partner_in.0.is_empty() {
            return Err(Fault::at("partner-layout", "says where below partner-in, which is missing"));
        }
        if self.partner_field.is_some() {
            return Err(Fault::at(
                "partner-layout",
                "does not go with partner-field: the name alone counts there",
            ));
        }
        Ok(())
    }

    fn check_find(&self) -> Result<(), Fault> {
        if self.remove_files && self.find == Find::Metadata {
            return Err(Fault::at(
                "remove-files",
                "removes what find = \"files\" or \"both\" finds: add that, or leave this out",
            ));
        }
        let is_any = self.partner_field.is_some() || self.partner.0.iter().any(PartnerName::is_bare);
        if self.remove_files && is_any {
            return Err(Fault::at(
                "remove-files",
                "needs a partner with a beginning or an end of its own, such as \"{stem}.jpg\": otherwise any file would be one without metadata",
            ));
        }
        if self.find != Find::Metadata && !self.pairing().tells_metadata() {
            return Err(Fault::at(
                "match",
                "must say how the metadata of a file would be called, to find files without it: end it in an extension, such as \"*.json\", or for {star} give it one star",
            ));
        }
        Ok(())
    }
}

impl Section for OrphansSection {
    fn check(&self) -> Result<(), Fault> {
        check_root_path(&self.metadata).map_err(|why| Fault::at("metadata", why))?;
        self.check_partner()?;
        self.check_places()?;
        self.check_find()?;
        if self.observations == 0 {
            return Err(Fault::at("observations", "nothing goes without having been looked at: 1 or more"));
        }
        let wrong = |fault: Fault| Fault {
            key: fault.key.map(|key| if key == "path" { "metadata" } else { key }),
            ..fault
        };
        self.metadata().check().map_err(wrong)?;
        if self.find != Find::Metadata {
            self.places().iter().try_for_each(|place| self.partners(place).check()).map_err(wrong)?;
        }
        Ok(())
    }

    fn refers_to(&self) -> Vec<(&'static str, &'static str, &str)> {
        self.guard.volume.iter().map(|name| ("guard", "volume", name.as_str())).collect()
    }

    fn check_together(sections: &[(&str, &Self)]) -> Result<(), (usize, Fault)> {
        let metadata: Vec<FilesSection> = sections.iter().map(|(_, section)| section.metadata()).collect();
        for (n, section) in metadata.iter().enumerate() {
            if let Some(other) = metadata[..n].iter().position(|other| section.meets(other)) {
                let text = format!(
                    "judges the same metadata as [orphans.{}]: what has its partner for one may have none for the other; use other patterns, or exclude",
                    sections[other].0
                );
                return Err((n, Fault::at("metadata", text)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OrphansSection, String> {
        let section: OrphansSection =
            toml::from_str(&format!("metadata = '/srv/m'\n{text}")).map_err(|e| e.message().to_owned())?;
        section.check().map_err(|fault| fault.to_string())?;
        Ok(section)
    }

    fn refuse(text: &str, says: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }

    #[test]
    fn two_keys_are_a_section() {
        let section = parse("partner = '{stem}.jpg'").unwrap();
        assert_eq!(section.partner_in_words(), "{stem}.jpg beside it");
        assert_eq!(section.rule_in_words(), "older than 1h, after 2 looks, 30min apart");
        assert_eq!(section.places(), [PathBuf::from("/srv/m")]);
        assert_eq!(section.pairing().layout, Layout::Same);
        assert_eq!(section.metadata().select().headings(), ["*.json"]);
    }

    #[test]
    fn one_or_several_may_be_said() {
        let section = parse("partner = ['{stem}.jpg', '{stem}.png']\npartner-in = ['/a', '/b/']").unwrap();
        assert_eq!(section.partner_in_words(), "{stem}.jpg or {stem}.png in /a or /b");
        assert_eq!(section.pairing().layout, Layout::Any);
        let field = parse("partner-field = 'image.path'\npartner-in = '/a'").unwrap();
        assert_eq!(field.partner_in_words(), "what image.path names in /a");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_right_spelling() {
        refuse("", "partner = [\"{stem}.jpg\"]");
        refuse("partner = []", "leave the key out");
        refuse("partner = '{stem}.jpg'\npartner-field = 'a'", "leave one of the two out");
        refuse("partner = '*.jpg'", "{star} once");
        refuse("partner = '{stem}.json'", "always there");
        refuse("partner = '{name}'", "always there");
        refuse("partner = '{star}.jpg'\nmatch = ['a*b*.json']", "exactly one");
        refuse("partner = '{stem}.jpg'\npartner-in = 'live'", "not absolute");
        refuse("partner = '{stem}.jpg'\npartner-in = []", "leave the key out");
        refuse("partner = '{stem}.jpg'\npartner-layout = 'same'", "which is missing");
        refuse("partner = '{stem}.jpg'\npartner-in = '/a'\npartner-layout = 'flat'", "any");
        refuse("partner-field = 'a..b'", "image.path");
        refuse("partner = '{stem}.jpg'\nobservations = 0", "1 or more");
        refuse("partner = '{stem}.jpg'\nremove-files = true", "find");
        refuse("partner = '{stem}'\npartner-in = '/a'\nfind = 'both'\nremove-files = true", "any file");
        refuse("partner = '{stem}.jpg'\nfind = 'images'", "metadata");
        refuse("partner = '{stem}.jpg'\nmin-age = '5m'", "5min");
        refuse("partner = '{stem}.jpg'\nmax-age = '5d'", "unknown field");
        refuse("partner = '{stem}.jpg'\nthen = { move-to = '/srv/m/old' }", "leads back");
    }
}
