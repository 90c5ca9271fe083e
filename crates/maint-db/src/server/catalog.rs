//! What a database is made of, line by line: so that two can be compared, and a person can read what was
//! there.
//!
//! Expressions are not compared as text: what PostgreSQL prints of one is not what it prints of the same after
//! a restore. That there is one is.

use super::database::{Properties, Setting};
use postgres::Client;
use std::collections::BTreeSet;

/// Lines about a database, in order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeSet<String>);

/// Of which schemas anything is told.
const OURS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/// Each gives lines. `{ours}` stands for the schemas that count, `{own:CLASS:OID}` for what does not belong to an
/// extension, and `{name:SCHEMA:NAME}` for a name that no other one looks like, as [`quote::told`] writes it.
const QUERIES: [&str; 26] = [
    "SELECT 'schema ' || nspname FROM pg_namespace n WHERE {ours} AND {own:pg_namespace:n.oid}",
    "SELECT 'owner of schema ' || nspname || ': ' || pg_get_userbyid(nspowner) FROM pg_namespace n WHERE {ours} AND {own:pg_namespace:n.oid}",
    "SELECT 'grant: schema ' || nspname || ' ' || item FROM pg_namespace n, unnest(coalesce(nspacl, acldefault('n', nspowner))) AS item WHERE {ours} AND {own:pg_namespace:n.oid}",
    "SELECT unnest(ARRAY['extension ' || extname || ' in ' || n.nspname, 'note: extension ' || extname || ' ' || extversion]) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace",
    "SELECT 'relation ' || {name:n.nspname:c.relname} || ' ' || c.relkind::text || c.relpersistence::text || CASE WHEN c.relispartition THEN ' partition' ELSE '' END
            || CASE WHEN c.relrowsecurity THEN ' row-security' ELSE '' END || CASE WHEN c.relforcerowsecurity THEN ' forced' ELSE '' END
            || CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN ' not-filled' ELSE '' END
            || CASE WHEN c.relkind IN ('r', 'p', 'm') THEN ' identity ' || c.relreplident::text ELSE '' END
            || ' ' || coalesce(am.amname, '-') || ' ' || coalesce((SELECT string_agg(o, ',' ORDER BY o) FROM unnest(c.reloptions) AS o), '')
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam AND c.relkind IN ('r', 'm')
     WHERE {ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.relpersistence <> 't' AND {own:pg_class:c.oid}",
    "SELECT 'owner of relation ' || {name:n.nspname:c.relname} || ': ' || pg_get_userbyid(c.relowner)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND c.relpersistence <> 't' AND {own:pg_class:c.oid}",
    "SELECT 'grant: relation ' || {name:n.nspname:c.relname} || ' ' || item
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
          unnest(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, c.relowner))) AS item
     WHERE {ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't' AND {own:pg_class:c.oid}",
    "SELECT 'column ' || {name:n.nspname:c.relname} || ' ' || CASE WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition THEN 0 ELSE row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) END || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attnotnull THEN ' not-null' ELSE '' END || CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text ELSE '' END
            || CASE WHEN a.attgenerated <> '' THEN ' generated' WHEN a.atthasdef THEN ' default' ELSE '' END
            || CASE WHEN a.attcollation <> t.typcollation THEN ' collate ' || (SELECT {name:ln.nspname:l.collname} FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE '' END
            || CASE WHEN a.attstorage <> t.typstorage THEN ' storage ' || a.attstorage::text ELSE '' END
            || CASE WHEN a.attstattarget > 0 THEN ' statistics ' || a.attstattarget ELSE '' END
            || CASE WHEN a.attoptions IS NOT NULL THEN ' ' || a.attoptions::text ELSE '' END
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
     WHERE {ours} AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND {own:pg_class:c.oid}",
    "SELECT 'grant: column ' || {name:n.nspname:c.relname:a.attname} || ' ' || item
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(a.attacl) AS item
     WHERE {ours} AND a.attnum > 0 AND NOT a.attisdropped AND {own:pg_class:c.oid}",
    "SELECT 'partition or child ' || {name:n.nspname:c.relname} || ' of ' || {name:pn.nspname:p.relname} || ' ' || coalesce(pg_get_expr(c.relpartbound, c.oid), '')
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
     WHERE {ours} AND c.relkind IN ('r', 'p', 'f') AND {own:pg_class:c.oid}",
    "SELECT 'constraint ' || {name:n.nspname:c.relname} || ' ' || k.conname || ' ' || k.contype::text || CASE WHEN k.condeferrable THEN ' deferrable' ELSE '' END
            || CASE WHEN k.condeferred THEN ' deferred' ELSE '' END || CASE WHEN k.convalidated THEN '' ELSE ' not-valid' END
            || ' (' || coalesce((SELECT string_agg(a.attname, ',' ORDER BY o) FROM unnest(k.conkey) WITH ORDINALITY AS u(num, o) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num), '') || ')'
            || CASE WHEN k.confrelid <> 0 THEN ' to ' || {name:fn.nspname:f.relname} || ' ' || k.confupdtype::text || k.confdeltype::text || k.confmatchtype::text ELSE '' END
     FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
     WHERE {ours} AND k.contype <> 't' AND k.conparentid = 0 AND {own:pg_class:c.oid}",
    "SELECT 'index ' || {name:n.nspname:i.relname} || ' on ' || c.relname || ' ' || am.amname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END
            || CASE WHEN x.indisprimary THEN ' primary' ELSE '' END || CASE WHEN x.indisreplident THEN ' replica-identity' ELSE '' END || CASE WHEN x.indisclustered THEN ' clustered' ELSE '' END
            || ' (' || (SELECT string_agg(coalesce(a.attname, '(expression)'), ',' ORDER BY o) FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u(num, o) LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num)
            || ') ' || x.indnkeyatts || ' ' || x.indoption::text || ' ' || (SELECT string_agg(oc.opcname, ',' ORDER BY o) FROM unnest(x.indclass::oid[]) WITH ORDINALITY AS u(num, o) JOIN pg_opclass oc ON oc.oid = u.num)
            || CASE WHEN x.indpred IS NOT NULL THEN ' where' ELSE '' END || ' ' || coalesce((SELECT string_agg(o, ',' ORDER BY o) FROM unnest(i.reloptions) AS o), '')
     FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = i.relam
     WHERE {ours} AND c.relpersistence <> 't' AND (x.indisvalid OR c.relkind = 'p') AND x.indisready AND {own:pg_class:c.oid}",
    "SELECT 'sequence ' || {name:n.nspname:c.relname} || ' ' || format_type(s.seqtypid, NULL) || ' ' || concat_ws(' ', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
            || coalesce((SELECT ' of ' || {name:t.relname:a.attname} || ' ' || d.deptype::text FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
                         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1), '')
     FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND c.relpersistence <> 't' AND {own:pg_class:c.oid}",
    "SELECT 'trigger ' || {name:n.nspname:c.relname} || ' ' || t.tgname || ' ' || t.tgtype || ' ' || t.tgenabled::text || ' ' || {name:fn.nspname:f.proname} || CASE WHEN t.tgqual IS NOT NULL THEN ' when' ELSE '' END || ' ' || encode(t.tgargs, 'hex')
            || CASE WHEN t.tgdeferrable THEN ' deferrable' ELSE '' END || CASE WHEN t.tginitdeferred THEN ' deferred' ELSE '' END
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace
     WHERE {ours} AND NOT t.tgisinternal AND {own:pg_class:c.oid}",
    "SELECT 'function ' || p.oid::regprocedure || ' ' || p.prokind::text || ' ' || l.lanname || ' ' || p.provolatile::text || p.proparallel::text || CASE WHEN p.proisstrict THEN ' strict' ELSE '' END
            || CASE WHEN p.prosecdef THEN ' definer' ELSE '' END || CASE WHEN p.proleakproof THEN ' leakproof' ELSE '' END || CASE WHEN p.proretset THEN ' set of ' ELSE ' ' END || format_type(p.prorettype, NULL)
            || ' ' || md5(p.prosrc) || ' ' || coalesce(p.proconfig::text, '')
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE {ours} AND {own:pg_proc:p.oid}
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')",
    "SELECT 'owner of function ' || p.oid::regprocedure || ': ' || pg_get_userbyid(p.proowner) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {ours} AND {own:pg_proc:p.oid} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')",
    "SELECT 'grant: function ' || p.oid::regprocedure || ' ' || item FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, unnest(coalesce(p.proacl, acldefault('f', p.proowner))) AS item
     WHERE {ours} AND {own:pg_proc:p.oid} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')",
    "SELECT 'type ' || {name:n.nspname:t.typname} || ' ' || t.typtype::text || CASE WHEN t.typnotnull THEN ' not-null' ELSE '' END || CASE WHEN t.typdefault IS NOT NULL THEN ' default' ELSE '' END
            || CASE WHEN t.typtype = 'd' THEN ' of ' || format_type(t.typbasetype, t.typtypmod)
                 || coalesce((SELECT ' ' || string_agg(k.conname || CASE WHEN k.convalidated THEN '' ELSE '!' END, ',' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid), '') ELSE '' END
            || CASE WHEN t.typtype = 'e' THEN ' ' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '') ELSE '' END
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE {ours} AND t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0 AND {own:pg_type:t.oid}",
    "SELECT 'owner of type ' || {name:n.nspname:t.typname} || ': ' || pg_get_userbyid(t.typowner) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE {ours} AND t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0 AND {own:pg_type:t.oid}",
    "SELECT 'user mapping for ' || usename || ' at ' || srvname || CASE WHEN umoptions IS NULL THEN '' ELSE ' with options' END FROM pg_user_mappings",
    "SELECT 'policy ' || {name:n.nspname:c.relname} || ' ' || p.polname || ' ' || p.polcmd::text || CASE WHEN p.polpermissive THEN '' ELSE ' restrictive' END
            || ' ' || coalesce((SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END, ',' ORDER BY r = 0, pg_get_userbyid(r)) FROM unnest(p.polroles) AS r), '')
            || CASE WHEN p.polqual IS NOT NULL THEN ' using' ELSE '' END || CASE WHEN p.polwithcheck IS NOT NULL THEN ' check' ELSE '' END
     FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND {own:pg_class:c.oid}",
    "SELECT 'rule ' || {name:n.nspname:c.relname} || ' ' || r.rulename || ' ' || r.ev_type::text || r.ev_enabled::text || CASE WHEN r.is_instead THEN ' instead' ELSE '' END
     FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND r.rulename <> '_RETURN' AND {own:pg_class:c.oid}",
    "SELECT 'statistics ' || {name:n.nspname:s.stxname} || ' ' || s.stxkind::text || ' ' || coalesce((SELECT string_agg(a.attname, ',' ORDER BY a.attname) FROM unnest(s.stxkeys::int2[]) AS num JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = num), '') FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {ours} AND {own:pg_statistic_ext:s.oid}",
    "SELECT 'comment on ' || pg_describe_object(d.classoid, d.objoid, d.objsubid) || ': ' || md5(d.description) FROM pg_description d
     WHERE d.objoid >= 16384 AND d.classoid <> 'pg_extension'::regclass
       AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')
       AND coalesce((pg_identify_object(d.classoid, d.objoid, d.objsubid)).schema, '') !~ '^(pg_|information_schema$)'
       AND (pg_identify_object(d.classoid, d.objoid, d.objsubid)).identity !~ '(^|[ .])(pg_temp|pg_toast)'
       AND NOT (d.classoid = 'pg_namespace'::regclass AND d.objoid IN (SELECT oid FROM pg_namespace WHERE nspname = 'public'))
       AND NOT (d.classoid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_index i WHERE i.indexrelid = d.objoid AND NOT (i.indisvalid AND i.indisready)))",
    "SELECT 'object: ' || pg_describe_object(o.class, o.oid, 0) FROM (
        SELECT 'pg_operator'::regclass::oid AS class, oid FROM pg_operator UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
        UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
        UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
        UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid FROM pg_foreign_server UNION ALL SELECT 'pg_event_trigger'::regclass, oid FROM pg_event_trigger UNION ALL SELECT 'pg_publication'::regclass, oid FROM pg_publication
        UNION ALL SELECT 'pg_publication_rel'::regclass, oid FROM pg_publication_rel UNION ALL SELECT 'pg_transform'::regclass, oid FROM pg_transform UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am) AS o
     WHERE o.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = o.class AND x.objid = o.oid AND x.deptype = 'e')",
    "SELECT 'grant: by default ' || pg_get_userbyid(d.defaclrole) || ' ' || coalesce((SELECT nspname FROM pg_namespace WHERE oid = d.defaclnamespace), '-') || ' ' || d.defaclobjtype::text || ' ' || item
     FROM pg_default_acl d, unnest(d.defaclacl) AS item",
];

const ROLES: [&str; 3] = [
    "SELECT 'role ' || CASE WHEN setrole = 0 THEN 'ALL' ELSE pg_get_userbyid(setrole)::text END || ' is set to ' || setting FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = 0",
    "SELECT 'role ' || rolname || ' ' || concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil)
     FROM pg_roles WHERE rolname !~ '^pg_'",
    "SELECT 'role ' || m.rolname || ' is in ' || r.rolname || CASE WHEN a.admin_option THEN ' as its admin' ELSE '' END
     FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid",
];

/// The roles of a server, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<String>);

impl Roles {
    /// As they are now.
    pub fn read(client: &mut Client) -> Result<Self, postgres::Error> {
        let mut lines = BTreeSet::new();
        for query in ROLES {
            lines.extend(client.query(query, &[])?.iter().map(|row| one_line(row.get(0))));
        }
        Ok(Self(lines))
    }
}

impl Facts {
    /// Those of the database that a client is connected to, and of the roles beside it.
    pub fn read(client: &mut Client, properties: &Properties) -> Result<Self, postgres::Error> {
        let mut lines: BTreeSet<String> = properties.facts().iter().map(|line| one_line(line)).collect();
        for query in QUERIES {
            for row in client.query(&spelled_out(query), &[])? {
                lines.insert(one_line(row.get(0)));
            }
        }
        lines.extend(Roles::read(client)?.0);
        Ok(Self(lines))
    }

    /// They as a text, and back again.
    pub fn to_text(&self) -> String {
        let lines: Vec<&str> = self.0.iter().map(String::as_str).collect();
        lines.join("\n") + "\n"
    }

    /// From what [`Self::to_text`] wrote.
    pub fn of_text(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    /// Without what is about roles: who owns what, and who may do what with it.
    #[must_use]
    pub fn without_roles(&self) -> Self {
        let is_about_roles =
            |line: &&String| ["owner of ", "grant: ", "role "].iter().any(|word| line.starts_with(word));
        Self(self.0.iter().filter(|line| !is_about_roles(line)).cloned().collect())
    }

    /// Without roles that nothing here belongs to.
    #[must_use]
    pub fn without_role_lines(&self) -> Self {
        Self(self.0.iter().filter(|line| !line.starts_with("role ")).cloned().collect())
    }

    /// Whether there is this line.
    pub fn has(&self, line: &str) -> bool {
        self.0.contains(line)
    }

    /// Without a role that was made to look.
    #[must_use]
    pub fn without_role(&self, name: &str) -> Self {
        let its = format!("role {} ", one_line(name));
        Self(self.0.iter().filter(|line| !line.starts_with(&its)).cloned().collect())
    }

    /// Without what these settings are set to.
    #[must_use]
    pub fn without_settings(&self, settings: &[Setting]) -> Self {
        let theirs: Vec<String> = settings.iter().map(|setting| one_line(&setting.line())).collect();
        let is_about = |line: &&String| theirs.iter().any(|begin| line.starts_with(begin.as_str()));
        Self(self.0.iter().filter(|line| !is_about(line)).cloned().collect())
    }

    /// The same database with the roles as they are now.
    #[must_use]
    pub fn with_roles_of(self, roles: &Roles) -> Self {
        let others = self.0.into_iter().filter(|line| !line.starts_with("role "));
        Self(others.chain(roles.0.iter().cloned()).collect())
    }

    /// Where another one differs from this. Notes are for people. No value of a setting is told.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let only_in = |one: &Self, other: &Self| -> Vec<String> {
            let lines = one.0.difference(&other.0).filter(|line| !line.starts_with("note: "));
            lines.map(|line| without_value(line).to_owned()).collect()
        };
        let (missing, extra) = (only_in(self, other), only_in(other, self));
        let (changed, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|line| extra.contains(line));
        let extra = extra.iter().filter(|line| !changed.contains(line));
        let missing = missing.iter().map(|line| format!("not restored: {line}"));
        let extra = extra.map(|line| format!("not backed up: {line}"));
        let changed = changed.iter().map(|line| format!("of another value: {line}"));
        missing.chain(extra).chain(changed).collect()
    }
}

/// A line as far as it may be told: what something is set to may be a secret.
fn without_value(line: &str) -> &str {
    let of_setting = line.starts_with("setting of ") || line.starts_with("grant: setting of ");
    let end = if of_setting {
        line.find(" = ")
    } else if line.starts_with("role ") {
        let set = line.find(" is set to ");
        set.map(|set| line[set..].find('=').map_or(set, |sign| set + sign))
    } else if line.starts_with("function ") {
        line.find(" {")
    } else {
        None
    };
    &line[..end.unwrap_or(line.len())]
}

/// Names may hold anything, and a line ends where it ends.
fn one_line(line: &str) -> String {
    line.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn spelled_out(query: &str) -> String {
    let text = replaced(&query.replace("{ours}", OURS), "{own:", |of| {
        let (class, oid) = of.split_once(':').unwrap_or_default();
        format!(
            "NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = '{class}'::regclass AND x.objid = {oid} AND x.deptype = 'e')"
        )
    });
    replaced(&text, "{name:", |of| {
        let parts = of.split(':');
        let parts = parts
            .map(|part| format!("CASE WHEN {part} ~ '[.\"]' THEN quote_ident({part}) ELSE {part}::text END"));
        format!("({})", parts.collect::<Vec<_>>().join(" || '.' || "))
    })
}

/// A text with what stands between `begin` and the next brace spelled out.
fn replaced(text: &str, begin: &str, spell: impl Fn(&str) -> String) -> String {
    let mut pieces = text.split(begin);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (of, rest) = piece.split_once('}').unwrap_or((piece, ""));
        text + &spell(of) + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_a_file() {
        let facts = Facts(["a\nb", "c\\nd", "plain"].map(one_line).into());
        let again = Facts::of_text(&facts.to_text());
        assert_eq!(facts, again);
        assert!(facts.differences(&again).is_empty());
    }

    #[test]
    fn no_difference_tells_what_something_is_set_to() {
        let facts = |value: &str| {
            Facts(
                [
                    format!("setting of the database: app.key = {value}"),
                    format!("grant: setting of me in the database: app.key = {value}"),
                    format!("role ALL is set to app.key={value}"),
                    format!("function f() f sql vu  integer 0cc1 {{app.key={value}}}"),
                ]
                .into(),
            )
        };
        let told = facts("hunter2").differences(&facts("hunter3"));
        assert_eq!(told.len(), 4);
        assert!(told.iter().all(|line| line.starts_with("of another value: ") && !line.contains("hunter")));
        let told = facts("hunter2").differences(&Facts::default());
        assert!(told.iter().all(|line| line.starts_with("not restored: ") && !line.contains("hunter")));
        assert!(told.contains(&"not restored: setting of the database: app.key".to_owned()));
    }

    #[test]
    fn queries_are_spelled_out() {
        for query in QUERIES {
            assert!(!spelled_out(query).contains('{'), "{query}");
        }
    }
}
