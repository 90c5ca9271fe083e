//! Files into tables, with the place of everything kept for the messages.

use super::{
    HostSection, SECTIONS, Source, Tables,
    environment::{Environment, beside},
    trust::{ReadError, read_trusted},
};
use maint_core::{
    section::Section,
    text::{printable, shown_path},
};
use std::{
    fmt::{self, Write as _},
    io,
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

/// The tables of all files.
#[derive(Debug, Default)]
pub(super) struct Document {
    files: Vec<SourceFile>,
    tables: Vec<Table>,
}

/// A file and what it says. Configuration is read once and lives as long as the process.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    text: &'static str,
}

/// `[section]` or `[section.name]`.
#[derive(Debug)]
struct Table {
    section: String,
    name: Option<String>,
    file: usize,
    /// Where the section's word stands.
    word: Range<usize>,
    /// Where its name stands, or again the word.
    heading: Range<usize>,
    value: Spanned<DeValue<'static>>,
}

/// A section with the name it was given.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// The name.
    pub name: String,
    /// What it says.
    pub value: T,
    /// `file:line`.
    pub place: String,
}

/// All that is wrong with a configuration, each with its place.
#[derive(Debug)]
pub struct Faults(Vec<String>);

impl Faults {
    /// One that has no place in a file.
    pub fn one(message: impl Into<String>) -> Self {
        Self(vec![message.into()])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

impl Document {
    pub(super) fn read(source: &Source) -> Result<Self, Faults> {
        let (path, may_be_missing) = match source {
            Source::Named(path) => (path, false),
            Source::Usual(path) => (path, true),
        };
        let mut document = Self::default();
        match read_trusted(path) {
            Ok(text) => document.add(path.clone(), text)?,
            // Drop-ins alone are a configuration too.
            Err(ReadError::Io(error)) if may_be_missing && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Faults::one(error.about(path))),
        }
        for path in drop_ins(path)? {
            let text = read_trusted(&path).map_err(|error| Faults::one(error.about(&path)))?;
            document.add(path, text)?;
        }
        document.know_all()?;
        // A table of TOML has no order, a file has.
        document.tables.sort_by_key(|table| (table.file, table.heading.start));
        Ok(document)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    fn add(&mut self, path: PathBuf, text: String) -> Result<(), Faults> {
        let file = SourceFile { path, text: text.leak() };
        let parsed = DeTable::parse(file.text)
            .map_err(|error| Faults::one(file.fault(error.span().unwrap_or(0..0), error.message())))?;
        self.files.push(file);
        let index = self.files.len() - 1;
        let mut faults = Vec::new();
        for (section, value) in parsed.into_inner() {
            let word = section.span();
            let section = section.into_inner().into_owned();
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(names) if is_named(&section) => {
                    for (name, value) in names {
                        let heading = name.span();
                        let name = Some(name.into_inner().into_owned());
                        let word = word.clone();
                        faults.extend(
                            self.add_table(Table {
                                section: section.clone(),
                                name,
                                file: index,
                                word,
                                heading,
                                value,
                            })
                            .err(),
                        );
                    }
                }
                value => {
                    let value = Spanned::new(span, value);
                    faults.extend(
                        self.add_table(Table {
                            section,
                            name: None,
                            file: index,
                            heading: word.clone(),
                            word,
                            value,
                        })
                        .err(),
                    );
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    fn add_table(&mut self, table: Table) -> Result<(), String> {
        let file = &self.files[table.file];
        let twin =
            self.tables.iter().find(|other| other.section == table.section && other.name == table.name);
        if let Some(twin) = twin {
            let first = self.files[twin.file].place(&twin.heading);
            return Err(
                file.fault(table.heading.clone(), &format!("{} is already in {first}", table.title()))
            );
        }
        if let Some(name) = table.name.as_deref().filter(|name| !is_good_name(name)) {
            let why =
                format!("\"{}\" is no name: use letters, digits, - _ and .", printable(name.as_bytes()));
            return Err(file.fault(table.heading.clone(), &why));
        }
        if !matches!(table.value.get_ref(), DeValue::Table(_)) {
            let section = &table.section;
            let why = match &table.name {
                Some(_) if tables_of(section).is_none() => unknown_section(section),
                None if tables_of(section).is_none() => {
                    format!("{section} stands in no section: its heading, such as [host], belongs above it")
                }
                Some(key) if is_named(section) => {
                    format!(
                        "\"{key}\" is no table: give the section a name, as in [{section}.NAME], and put its keys there"
                    )
                }
                None if is_named(section) => {
                    format!("{section} is a value, where a table [{section}.NAME] belongs")
                }
                _ => format!("{section} is a value, where a table [{section}] belongs"),
            };
            return Err(file.fault(table.heading.clone(), &why));
        }
        self.tables.push(table);
        Ok(())
    }

    /// A section nobody knows is a slip of the pen, and the table that was meant would silently do
    /// nothing.
    fn know_all(&self) -> Result<(), Faults> {
        let unknown = self.tables.iter().filter(|table| tables_of(&table.section).is_none());
        let faults: Vec<String> = unknown
            .map(|table| self.files[table.file].fault(table.word.clone(), &unknown_section(&table.section)))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    pub(super) fn names<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        self.tables
            .iter()
            .filter(move |table| table.section == section)
            .filter_map(|table| table.name.as_deref())
    }

    pub(super) fn single<T: Section>(
        &self,
        section: &str,
        environment: &Environment,
    ) -> Result<Option<T>, Faults> {
        let table = self.tables.iter().find(|table| table.section == section);
        table.map(|table| self.value_of(table, environment)).transpose().map_err(Faults::one)
    }

    pub(super) fn named<T: Section>(
        &self,
        section: &str,
        environment: &Environment,
    ) -> Result<Vec<Named<T>>, Faults> {
        let (mut good, mut faults) = (Vec::new(), Vec::new());
        for table in self.tables.iter().filter(|table| table.section == section) {
            let Some(name) = table.name.clone() else { continue };
            match self.value_of(table, environment) {
                Ok(value) => {
                    good.push(Named { name, value, place: self.files[table.file].place(&table.heading) })
                }
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            faults = self.faults_together(section, &good);
        }
        if faults.is_empty() { Ok(good) } else { Err(Faults(faults)) }
    }

    /// What is right alone and wrong beside the others.
    fn faults_together<T: Section>(&self, section: &str, good: &[Named<T>]) -> Vec<String> {
        let tables: Vec<&Table> =
            self.tables.iter().filter(|table| table.section == section && table.name.is_some()).collect();
        let fault = |table: &Table, key: Option<&str>, why: &str| {
            let span = key.and_then(|key| table.key(key)).unwrap_or(table.heading.clone());
            self.files[table.file].fault(span, &format!("{}: {why}", table.title()))
        };
        let mut faults = Vec::new();
        for (table, named) in tables.iter().zip(good) {
            for (key, section, name) in named.value.refers_to() {
                if self.names(section).all(|known| known != name) {
                    let why = format!("there is no [{section}.{}]", printable(name.as_bytes()));
                    faults.push(fault(table, Some(key), &why));
                }
            }
        }
        let all: Vec<(&str, &T)> = good.iter().map(|named| (named.name.as_str(), &named.value)).collect();
        if let Err((n, wrong)) = T::check_together(&all) {
            faults.extend(tables.get(n).map(|table| fault(table, wrong.key, &wrong.message)));
        }
        faults
    }

    fn value_of<T: Section>(&self, table: &Table, environment: &Environment) -> Result<T, String> {
        self.parse(table, table.value.clone(), environment)
    }

    fn parse<T: Section>(
        &self,
        table: &Table,
        mut value: Spanned<DeValue<'static>>,
        environment: &Environment,
    ) -> Result<T, String> {
        let file = &self.files[table.file];
        let whole = table.heading.clone();
        let fault = |span: Range<usize>, why: &str| file.fault(span, &format!("{}: {why}", table.title()));
        expand_all(&mut value, environment).map_err(|(span, why)| fault(span, &why))?;
        let section = T::deserialize(ValueDeserializer::from(value)).map_err(|error| {
            // What is missing is missing from the table: point at its name.
            let missing = error.message().starts_with("missing field");
            let span = error.span().filter(|_| !missing).unwrap_or(whole.clone());
            fault(span, error.message())
        })?;
        section.check().map_err(|wrong| {
            let key = wrong.key.and_then(|key| table.key(key)).unwrap_or(whole.clone());
            fault(key, &wrong.message)
        })?;
        Ok(section)
    }

    /// Reads the env files that `[host]` names. Of that table only the one key is looked at: the others
    /// may need what the files say.
    pub(super) fn read_env_files(&self, environment: &mut Environment) -> Result<(), Faults> {
        let Some(host) = self.tables.iter().find(|table| table.section == "host") else { return Ok(()) };
        let mut only = host.value.clone();
        if let DeValue::Table(table) = only.get_mut() {
            *table = std::mem::take(table).into_iter().filter(|(key, _)| key.get_ref() == ENV_FILE).collect();
        }
        let section: HostSection = self.parse(host, only, environment).map_err(Faults::one)?;
        let file = &self.files[host.file];
        for path in &section.env_file {
            let path = beside(&file.path, path);
            let text = read_trusted(&path).map_err(|error| {
                let span = host.key(ENV_FILE).unwrap_or(host.heading.clone());
                Faults::one(file.fault(span, &format!("{ENV_FILE}: {}", error.about(&path))))
            })?;
            environment
                .read(&text)
                .map_err(|(line, why)| Faults::one(format!("{}:{line}: {why}", shown_path(&path))))?;
        }
        Ok(())
    }
}

const ENV_FILE: &str = "env-file";

fn tables_of(section: &str) -> Option<Tables> {
    SECTIONS.iter().find(|(word, _)| *word == section).map(|(_, tables)| *tables)
}

/// Whether the tables of a section have names of their own; of an unknown one it does not matter.
fn is_named(section: &str) -> bool {
    tables_of(section) != Some(Tables::One)
}

fn unknown_section(section: &str) -> String {
    let known: Vec<&str> = SECTIONS.iter().map(|(word, _)| *word).collect();
    format!("unknown section `{section}`, expected one of `{}`", known.join("`, `"))
}

fn is_good_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Table {
    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("[{}.{}]", self.section, printable(name.as_bytes())),
            None => format!("[{}]", self.section),
        }
    }

    /// Where a key of this table stands; with dots it stands in a table below.
    fn key(&self, key: &str) -> Option<Range<usize>> {
        let mut at = &self.value;
        for word in key.split('.') {
            let table = at.get_ref().as_table()?;
            at = table.iter().find(|(name, _)| name.get_ref() == word).map(|(_, value)| value)?;
        }
        Some(at.span())
    }
}

fn expand_all(
    value: &mut Spanned<DeValue<'_>>,
    environment: &Environment,
) -> Result<(), (Range<usize>, String)> {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains("${") => {
            *text = environment.expand(text).map_err(|why| (span, why))?.into();
            Ok(())
        }
        DeValue::Array(items) => items.iter_mut().try_for_each(|item| expand_all(item, environment)),
        DeValue::Table(table) => table.iter_mut().try_for_each(|(_, value)| expand_all(value, environment)),
        _ => Ok(()),
    }
}

impl SourceFile {
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", shown_path(&self.path), self.line_and_column(span.start).0)
    }

    /// `file:line:column: what`, and the line with a mark below it.
    fn fault(&self, span: Range<usize>, what: &str) -> String {
        let (line, column) = self.line_and_column(span.start);
        let mut lines = self.text.lines();
        let before = lines.by_ref().take(line - 1).collect::<Vec<_>>().join("\n");
        let shown = lines.next().unwrap_or_default();
        let room = shown.chars().count().saturating_sub(column - 1).max(1);
        let marks = self.text.get(span).map_or(1, |text| text.chars().count()).clamp(1, room);
        let mut text = format!("{}:{line}:{column}: {what}", shown_path(&self.path));
        let gutter = " ".repeat(line.to_string().len());
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n  {line} | {}\n  {gutter} | {}{}",
            without_secrets(&before, shown).replace(|c: char| c.is_control(), " "),
            " ".repeat(column - 1),
            "^".repeat(marks)
        );
        text
    }
}

/// How the last word of a key ends whose value is shown to nobody: the address of a server may hold its password.
const SECRET: [&str; 8] = ["url", "uri", "dsn", "password", "passwd", "passphrase", "secret", "token"];

/// A line of a configuration as it may be shown, as long as it was. Where a secret ends is not known of a line that
/// is wrong, so all goes that may be a part of one.
fn without_secrets(before: &str, line: &str) -> String {
    let from = if is_in_secret(before) { Some(0) } else { secret_value(line) };
    let hidden = from.map_or_else(|| credentials(line), |from| from..line.len());
    let cover = |c: char| if c.is_whitespace() { ' ' } else { '*' };
    let covered: String = line[hidden.clone()].chars().map(cover).collect();
    [&line[..hidden.start], &covered, &line[hidden.end..]].concat()
}

/// Where the value of a secret key begins, be it the first of its line or one in braces.
fn secret_value(line: &str) -> Option<usize> {
    let is_secret = |key: &str| {
        let key = key.trim_end().trim_end_matches(['"', '\'']).to_ascii_lowercase();
        SECRET.iter().any(|secret| key.ends_with(secret))
    };
    let start = line.len() - line.trim_start().trim_start_matches(['"', '\'']).len();
    let ends = |c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c);
    let first = line[start..].find(ends).map_or(line.len(), |end| start + end);
    if is_secret(&line[..first]) {
        // The sign may be what is wrong.
        let sign = line[first..].find(|c: char| !c.is_whitespace() && !"\"'".contains(c));
        let sign = sign.map(|sign| first + sign).filter(|sign| line[*sign..].starts_with('='));
        return Some(sign.map_or(first, |sign| sign + 1));
    }
    let mut signs = line.match_indices('=').filter(|(at, _)| is_secret(&line[..*at]));
    signs.next().map(|(at, _)| at + 1)
}

/// Whether a line stands in a text of several lines that is the value of a secret key.
fn is_in_secret(before: &str) -> bool {
    let opening = before.rfind("\"\"\"").max(before.rfind("'''"));
    let key = opening.map(|at| before[..at].rsplit('\n').next().unwrap_or_default());
    key.is_some_and(|key| secret_value(key).is_some())
}

/// What may be the password of a URL that stands under any other key.
fn credentials(line: &str) -> Range<usize> {
    let host = line.rfind('@').unwrap_or(0);
    let authority = line.find("://").map_or(0, |at| at + 3);
    let colon = line.get(authority..host).and_then(|who| who.find(':'));
    colon.map_or(0..0, |colon| authority + colon + 1..host)
}

/// `conf.d/*.toml` beside the file, in name order.
fn drop_ins(config: &Path) -> Result<Vec<PathBuf>, Faults> {
    let folder = beside(config, Path::new("conf.d"));
    let listing = match std::fs::read_dir(&folder) {
        Ok(listing) => listing,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Faults::one(format!("{}: cannot be listed: {error}", shown_path(&folder)))),
    };
    let mut paths = Vec::new();
    for entry in listing {
        let entry = entry
            .map_err(|error| Faults::one(format!("{}: cannot be listed: {error}", shown_path(&folder))))?;
        let name = entry.file_name();
        let hidden = name.as_bytes().starts_with(b".");
        if !hidden && name.as_bytes().ends_with(b".toml") {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for (line, shown) in [
            ("url = \"postgres://u:p@h/d\" # x", "url = ******************** * *"),
            ("url=\"postgres:/u:hunter2@h/d\"", "url=*************************"),
            ("url = 'postgres://u:hun?ter2@h/d'", "url = ***************************"),
            ("  \"url\" 'u:p'", "  \"url* *****"),
            ("url: 'u:p?a=b'", "url* *********"),
            ("database.x = { port = 1, url = 'u:p' }", "database.x = { port = 1, url = ***** *"),
            ("password = \"hunter2\"", "password = *********"),
            ("password-file = \"/etc/x\"", "password-file = \"/etc/x\""),
            ("command = ['x', 'http://u:hun?ter2@h/d']", "command = ['x', 'http://u:********@h/d']"),
            ("command = ['x', 'http://h/?token=abc']", "command = ['x', 'http://h/?token=*****"),
            ("host = 'u:hunter2@h'", "host = 'u:*******@h'"),
        ] {
            assert_eq!(without_secrets("", line), shown);
        }
        let inside = without_secrets("[database.x]\nurl = \"\"\"", "postgres:/u:hunter2@h/d");
        assert_eq!(inside, "*".repeat(23));
        assert_eq!(without_secrets("url = '''\nx\n'''", "port = 1"), "port = 1");
    }

    #[test]
    fn a_fault_points_at_the_column() {
        let file = SourceFile { path: "/etc/x.toml".into(), text: "a = 1\nbé = \"zz\"\n" };
        let start = file.text.find("\"zz\"").unwrap();
        assert_eq!(
            file.fault(start..start + 4, "no"),
            "/etc/x.toml:2:6: no\n  2 | bé = \"zz\"\n    |      ^^^^"
        );
    }
}
