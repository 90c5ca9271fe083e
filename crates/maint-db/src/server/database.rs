//! Databases of a server: which there are, what is special about one, and how another is made like it.

use super::session::{DbError, GiveUp, Session};
use crate::{address::Server, quote};
use maint_core::text::printable;
use postgres::Client;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a server says of itself and of its databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Databases {
    /// `15.18 (Debian …)`.
    pub version: String,
    /// 150018.
    pub version_number: u32,
    /// Whether the role may see everybody's passwords.
    pub is_superuser: bool,
    /// The first role there ever was.
    pub bootstrap: String,
    /// Whether there are tablespaces beside the usual ones.
    pub has_tablespaces: bool,
    /// Libraries that it loads when it starts, as far as the role may know.
    pub preloaded: String,
    /// Those that can be connected to, with their sizes in bytes where the role may ask.
    pub all: Vec<(String, u64)>,
    /// Templates that somebody made and that can be connected to, in the same way.
    pub templates: Vec<(String, u64)>,
    /// Those that let nobody in.
    pub closed: Vec<String>,
}

/// What makes a database what it is beside what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Who owns it.
    pub owner: String,
    /// `UTF8`.
    pub encoding: String,
    /// `c` for the system's rules, `i` for those of ICU, `b` for built-in ones.
    pub provider: String,
    /// How it sorts.
    pub collate: String,
    /// What is a letter.
    pub ctype: String,
    /// The rules of ICU, or built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// What is added to the rules of ICU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// A word about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Limit of connections; -1 is none.
    pub connections: i32,
    /// Settings: of a role or of all, name and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(Option<String>, String, String)>,
    /// Who may do what with it: role (none is everybody), what, and whether to pass it on. None is as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<(Option<String>, String, bool)>>,
}

/// What a server says of itself.
pub fn server_of(client: &mut Client) -> Result<Databases, postgres::Error> {
    let row = client.query_one(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int,
                (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), pg_get_userbyid(10)::text,
                EXISTS (SELECT 1 FROM pg_tablespace WHERE oid >= 16384),
                coalesce((SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'), '')",
        &[],
    )?;
    let number: i32 = row.get(1);
    let databases = client.query(
        "SELECT datname::text, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END,
                datistemplate, datallowconn
         FROM pg_database WHERE datname NOT IN ('template0', 'template1') ORDER BY datname",
        &[],
    )?;
    let (mut all, mut templates, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for row in databases {
        let bytes: i64 = row.get(1);
        let named = (row.get(0), u64::try_from(bytes).unwrap_or_default());
        match (row.get(2), row.get(3)) {
            (_, false) => closed.push(named.0),
            (true, true) => templates.push(named),
            (false, true) => all.push(named),
        }
    }
    Ok(Databases {
        version: row.get(0),
        version_number: u32::try_from(number).unwrap_or_default(),
        is_superuser: row.get(2),
        bootstrap: row.get(3),
        has_tablespaces: row.get(4),
        preloaded: row.get(5),
        all,
        templates,
        closed,
    })
}

impl Databases {
    /// Bytes of one of them.
    pub fn size_of(&self, name: &str) -> Result<u64, String> {
        let mut there = self.all.iter().chain(&self.templates);
        let known = there.find(|(known, _)| known == name).map(|(_, bytes)| *bytes);
        known.ok_or_else(|| {
            format!("the server has no database {} that can be connected to", printable(name.as_bytes()))
        })
    }

    /// The part of the version that clients must fit.
    pub fn major(&self) -> u32 {
        self.version_number / 10_000
    }
}

impl Properties {
    /// Those of the database that a client is connected to.
    pub fn read(client: &mut Client, version: u32) -> Result<Self, postgres::Error> {
        let (provider, locale, rules) = match version {
            170_000.. => ("datlocprovider::text", "datlocale", "daticurules"),
            160_000.. => ("datlocprovider::text", "daticulocale", "daticurules"),
            150_000.. => ("datlocprovider::text", "daticulocale", "NULL::text"),
            _ => ("'c'::text", "NULL::text", "NULL::text"),
        };
        let row = client.query_one(
            &format!(
                "SELECT pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, {provider}, datcollate::text, datctype::text, {locale},
                        shobj_description(oid, 'pg_database'), datconnlimit, datacl IS NULL, oid, {rules}
                 FROM pg_database WHERE datname = current_database()"
            ),
            &[],
        )?;
        let oid: u32 = row.get(9);
        let settings = client.query(
            "SELECT CASE WHEN setrole <> 0 THEN pg_get_userbyid(setrole)::text END, split_part(setting, '=', 1),
                    substr(setting, strpos(setting, '=') + 1)
             FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = $1 ORDER BY 1, 2",
            &[&oid],
        )?;
        let grants = client.query(
            "SELECT CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee)::text END, privilege_type, is_grantable
             FROM pg_database, aclexplode(datacl) WHERE oid = $1 ORDER BY 1, 2",
            &[&oid],
        )?;
        let as_usual: bool = row.get(8);
        Ok(Self {
            owner: row.get(0),
            encoding: row.get(1),
            provider: row.get(2),
            collate: row.get(3),
            ctype: row.get(4),
            locale: row.get(5),
            rules: row.get(10),
            comment: row.get(6),
            connections: row.get(7),
            settings: settings.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
            grants: (!as_usual)
                .then(|| grants.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()),
        })
    }

    /// They as lines to compare, those about roles marked so.
    pub(super) fn facts(&self) -> Vec<String> {
        let Self {
            owner,
            encoding,
            provider,
            collate,
            ctype,
            locale,
            rules,
            comment,
            connections,
            settings,
            grants,
        } = self;
        let mut lines = vec![
            format!("owner of the database: {owner}"),
            format!(
                "database: {encoding} {provider} {collate} {ctype} {} limit {connections}",
                locale.as_deref().unwrap_or("-")
            ),
            format!("rules of the database: {}", rules.as_deref().unwrap_or("-")),
            format!("comment on the database: {}", comment.as_deref().unwrap_or("-")),
        ];
        for (role, name, value) in settings {
            let setting = Setting { role: role.clone(), name: name.clone() };
            lines.push(setting.line() + value);
        }
        for (role, what, passes_on) in grants.iter().flatten() {
            lines.push(format!(
                "grant: database {what} to {} {passes_on}",
                role.as_deref().unwrap_or("PUBLIC")
            ));
        }
        lines
    }

    /// All roles that must be there for them.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let of_settings = self.settings.iter().filter_map(|(role, ..)| role.as_deref());
        let of_grants = self.grants.iter().flatten().filter_map(|(role, ..)| role.as_deref());
        of_settings.chain(of_grants).chain([self.owner.as_str()])
    }

    /// What makes a new database so.
    fn creation(&self, name: &str) -> String {
        let provider = match (self.provider.as_str(), &self.locale) {
            ("i", Some(locale)) => {
                let rules = self.rules.as_ref().map(|rules| format!(" ICU_RULES {}", quote::text(rules)));
                format!(
                    " LOCALE_PROVIDER icu ICU_LOCALE {}{}",
                    quote::text(locale),
                    rules.unwrap_or_default()
                )
            }
            ("b", Some(locale)) => format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", quote::text(locale)),
            _ => String::new(),
        };
        format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}{provider}",
            quote::name(name),
            quote::text(&self.encoding),
            quote::text(&self.collate),
            quote::text(&self.ctype)
        )
    }

    /// What it is set to, and how it is set to that; with `roles` what is set for them there too.
    fn set(&self, name: &str, roles: bool) -> Vec<(Setting, String)> {
        let database = quote::name(name);
        let kept = self.settings.iter().filter(|(role, ..)| roles || role.is_none());
        let set = kept.map(|(role, setting, value)| {
            let of = match role {
                Some(role) => format!("ROLE {} IN DATABASE {database}", quote::name(role)),
                None => format!("DATABASE {database}"),
            };
            let sql =
                format!("ALTER {of} SET {} TO {}", setting_name(setting), setting_value(setting, value));
            (Setting { role: role.clone(), name: setting.clone() }, sql)
        });
        set.collect()
    }

    /// What is done once it is filled; with `roles` what is about them too.
    fn settling(&self, name: &str, roles: bool) -> Vec<Step> {
        let database = quote::name(name);
        let mut all = Vec::new();
        if let Some(comment) = &self.comment {
            let sql = format!("COMMENT ON DATABASE {database} IS {}", quote::text(comment));
            all.push(Step::new("its comment", sql));
        }
        if self.connections != -1 {
            let sql = format!("ALTER DATABASE {database} CONNECTION LIMIT {}", self.connections);
            all.push(Step::new("its limit of connections", sql));
        }
        if roles {
            // Its owner first: grants are then his.
            let sql = format!("ALTER DATABASE {database} OWNER TO {}", quote::name(&self.owner));
            all.insert(0, Step::new(format!("its owner {}", self.owner), sql));
            all.extend(self.granting(&database));
        }
        all
    }

    /// What gives the rights, and no others.
    fn granting(&self, database: &str) -> Vec<Step> {
        let Some(grants) = &self.grants else { return Vec::new() };
        let sql = format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC, {}", quote::name(&self.owner));
        let mut all = vec![Step::new("its usual rights taken away", sql)];
        all.extend(grants.iter().map(|(role, what, passes_on)| {
            let to = role.as_ref().map_or_else(|| "PUBLIC".to_owned(), |role| quote::name(role));
            let passes_on = if *passes_on && role.is_some() { " WITH GRANT OPTION" } else { "" };
            let sql = format!("GRANT {what} ON DATABASE {database} TO {to}{passes_on}");
            Step::new(format!("the right {what} of {to}"), sql)
        }));
        all
    }
}

/// A statement, and what a person is told of it: there may be secrets in the statement.
struct Step {
    what: String,
    sql: String,
}

impl Step {
    fn new(what: impl Into<String>, sql: String) -> Self {
        Self { what: what.into(), sql }
    }
}

/// Something that a database is set to, for all or for one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    role: Option<String>,
    name: String,
}

impl Setting {
    /// How a line about it begins.
    pub(super) fn line(&self) -> String {
        match &self.role {
            Some(role) => format!("grant: setting of {role} in the database: {} = ", self.name),
            None => format!("setting of the database: {} = ", self.name),
        }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.role {
            Some(role) => write!(f, "{} of {role}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether the server refused something for want of a right.
fn is_beyond_its_rights(why: &str) -> bool {
    why.contains("permission denied") || why.contains("must be")
}

/// What sets something for all roles.
pub(super) fn setting_for_all(setting: &str, value: &str) -> String {
    format!("ALTER ROLE ALL SET {} TO {}", setting_name(setting), setting_value(setting, value))
}

fn setting_name(setting: &str) -> String {
    let parts: Vec<String> = setting.split('.').map(quote::name).collect();
    parts.join(".")
}

/// A value of a setting. Of some the value is a list of names, which must not become one name.
fn setting_value(setting: &str, value: &str) -> String {
    const LISTS: [&str; 6] = [
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "shared_preload_libraries",
        "local_preload_libraries",
        "unix_socket_directories",
    ];
    if !LISTS.contains(&setting.to_ascii_lowercase().as_str()) {
        return quote::text(value);
    }
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = value.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                item.push('"');
                signs.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            ' ' if !quoted => {}
            sign => item.push(sign),
        }
    }
    items.push(item);
    items.iter().map(|item| quote::text(item)).collect::<Vec<_>>().join(", ")
}

/// Makes a database like another one; `settle` gives it what is set once it is filled.
pub fn create(session: &Session, name: &str, like: &Properties, give_up: GiveUp<'_>) -> Result<(), DbError> {
    session.execute(give_up, like.creation(name))
}

impl Properties {
    /// Gives a filled database just what this one has, as far as the role may; answers what it may not.
    pub fn settle_over(
        &self,
        session: &Session,
        name: &str,
        give_up: GiveUp<'_>,
    ) -> Result<Vec<String>, DbError> {
        let database = quote::name(name);
        let bare = [
            ("no settings", format!("ALTER DATABASE {database} RESET ALL")),
            ("no limit of connections", format!("ALTER DATABASE {database} CONNECTION LIMIT -1")),
            ("no comment", format!("COMMENT ON DATABASE {database} IS NULL")),
        ];
        let bare = bare.map(|(what, sql)| Step::new(what, sql));
        let mut refused = Vec::new();
        let settings = self.set(name, true).into_iter();
        let settings = settings.map(|(setting, sql)| Step::new(format!("the setting {setting}"), sql));
        for Step { what, sql } in bare.into_iter().chain(settings).chain(self.settling(name, true)) {
            match session.execute(give_up, sql) {
                Err(DbError::Refused(why)) if is_beyond_its_rights(&why) => {
                    refused.push(format!("not given to the new database: {what}: {why}"));
                }
                done => done?,
            }
        }
        Ok(refused)
    }

    /// Sets a new database to what the original is set to, before it is filled: what is in it may need that. Answers
    /// what the role may not set.
    pub fn set_up(
        &self,
        session: &Session,
        name: &str,
        roles: bool,
        give_up: GiveUp<'_>,
    ) -> Result<Vec<Setting>, DbError> {
        let mut refused = Vec::new();
        for (setting, sql) in self.set(name, roles) {
            match session.execute(give_up, sql) {
                Err(DbError::Refused(why)) if is_beyond_its_rights(&why) => refused.push(setting),
                done => done?,
            }
        }
        Ok(refused)
    }

    /// Gives a filled database what the original has: owner, comment, rights; without `roles` only what is
    /// about none.
    pub fn settle(
        &self,
        session: &Session,
        name: &str,
        roles: bool,
        give_up: GiveUp<'_>,
    ) -> Result<(), DbError> {
        self.settling(name, roles).into_iter().try_for_each(|step| session.execute(give_up, step.sql))
    }
}

/// Drops a database.
pub fn drop_database(session: &Session, name: &str, give_up: GiveUp<'_>) -> Result<(), DbError> {
    session.execute(give_up, format!("DROP DATABASE IF EXISTS {}", quote::name(name)))
}

/// Gives databases other names, all of them or none.
pub fn rename(session: &Session, names: &[(&str, &str)], give_up: GiveUp<'_>) -> Result<(), DbError> {
    let all = names
        .iter()
        .map(|(from, to)| format!("ALTER DATABASE {} RENAME TO {};", quote::name(from), quote::name(to)));
    let all: String = all.collect();
    session.execute(give_up, format!("BEGIN; {all} COMMIT")).inspect_err(|_| {
        // A transaction that failed must not stay open.
        let _ = session.execute(give_up, "ROLLBACK");
    })
}

/// What must be known of a database that may be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whether it can be connected to.
    pub is_open: bool,
    /// How many are connected to it.
    pub sessions: i64,
    /// Whether it subscribes to another server's changes.
    pub subscribes: bool,
}

/// What is known of a database, if it is there.
pub fn known(client: &mut Client, name: &str) -> Result<Option<Known>, postgres::Error> {
    let query = "SELECT datallowconn AND NOT datistemplate, EXISTS (SELECT 1 FROM pg_subscription s WHERE s.subdbid = d.oid) FROM pg_database d WHERE datname = $1";
    // Who may not ask about subscriptions is not told of any.
    let plain = "SELECT datallowconn AND NOT datistemplate, false FROM pg_database WHERE datname = $1";
    let row = client.query_opt(query, &[&name]).or_else(|_| client.query_opt(plain, &[&name]))?;
    let Some(row) = row else { return Ok(None) };
    let sessions = others_connected(client, name)?;
    Ok(Some(Known { is_open: row.get(0), sessions, subscribes: row.get(1) }))
}

/// Databases that killed runs have left half restored, or put aside.
pub fn leftovers(client: &mut Client) -> Result<Vec<String>, postgres::Error> {
    let query = "SELECT datname::text FROM pg_database WHERE datname ~ '^maint_(restore|proof|replaced)_[0-9]+$' ORDER BY 1";
    Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// What a person makes in a database is in one of these, under a number that the server itself gives nothing.
const MADE: [&str; 23] = [
    "pg_namespace",
    "pg_class",
    "pg_proc",
    "pg_type",
    "pg_operator",
    "pg_opclass",
    "pg_opfamily",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_language",
    "pg_transform",
    "pg_am",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_event_trigger",
    "pg_publication",
    "pg_default_acl",
    "pg_largeobject_metadata",
];

/// Whether there is nothing in a database that a person made. What is gone with its session is nobody's.
pub fn is_empty(client: &mut Client) -> Result<bool, postgres::Error> {
    let is_passing = |catalog: &str| match catalog {
        "pg_namespace" => "nspname ~ '^pg_(toast_)?temp_'",
        "pg_class" => "relpersistence = 't' OR relnamespace = 'pg_toast'::regnamespace",
        "pg_type" => "typnamespace IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_(toast|temp_)')",
        _ => "false",
    };
    let made: Vec<String> = MADE
        .iter()
        .map(|catalog| {
            format!("EXISTS (SELECT 1 FROM {catalog} WHERE oid >= 16384 AND NOT ({}))", is_passing(catalog))
        })
        .collect();
    Ok(client.query_one(&format!("SELECT NOT ({})", made.join(" OR ")), &[])?.get(0))
}

/// Whether a database of a server is seen to be empty: what cannot be looked at is not.
pub fn is_seen_empty(server: &Server, database: &str, name: &str, give_up: GiveUp<'_>) -> bool {
    Session::open(&server.with_database(database), name, give_up)
        .and_then(|session| session.run(give_up, is_empty))
        .unwrap_or(false)
}

/// How many others are connected to a database.
pub fn others_connected(client: &mut Client, name: &str) -> Result<i64, postgres::Error> {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    Ok(client.query_one(query, &[&name])?.get(0))
}

/// The roles that things in a database belong to, or may be used by.
pub fn needed_roles(client: &mut Client, properties: &Properties) -> Result<Vec<String>, postgres::Error> {
    let query = "SELECT DISTINCT pg_get_userbyid(refobjid)::text FROM pg_shdepend
                 WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut roles: BTreeSet<String> = client.query(query, &[])?.iter().map(|row| row.get(0)).collect();
    roles.extend(properties.roles().map(str::to_owned));
    Ok(roles.into_iter().collect())
}

/// Roles without which a database cannot be restored even if nothing is to belong to anybody.
pub fn unavoidable_roles(client: &mut Client) -> Result<Vec<String>, postgres::Error> {
    let query = "SELECT DISTINCT pg_get_userbyid(r)::text FROM pg_policy, unnest(polroles) AS r WHERE r <> 0
                 UNION SELECT usename::text FROM pg_user_mappings WHERE umuser <> 0 ORDER BY 1";
    Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Which of these roles are not there.
pub fn missing_roles(client: &mut Client, roles: &[String]) -> Result<Vec<String>, postgres::Error> {
    let query = "SELECT name FROM unnest($1::text[]) AS name
                 WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = name) ORDER BY 1";
    Ok(client.query(query, &[&roles])?.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stays_a_list() {
        assert_eq!(
            setting_value("search_path", "\"$user\", public, \"a,\"\"b\""),
            "'$user', 'public', 'a,\"b'"
        );
        assert_eq!(setting_value("work_mem", "4MB"), "'4MB'");
    }
}
