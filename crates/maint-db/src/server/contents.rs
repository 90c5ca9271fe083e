//! Rows and a hash for each table of a database, taken where the data are.
//!
//! A hash is the sum of the hashes of all rows, so that no order matters and two equal rows do not cancel out.
//! Where every column is of a type whose hash is made of its value alone, the server hashes the row as it is;
//! else as text, which is slower, and [`super::session`] pins what that text depends on.

use super::session::DbError;
use crate::{
    contents::{Contents, Sequence, Table},
    quote,
};
use postgres::{Client, Row};

/// Relations whose rows are those of the database itself. What belongs to an extension is made by it, but for
/// tables that it hands over as a whole. Rows of another server are not here.
const RELATIONS: &str = "
    SELECT n.nspname, c.relname, c.relkind = 'm', c.relispopulated, current_setting('server_version_num')::int >= 140000
           AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
           AND NOT EXISTS (SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
                           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                             AND (NOT coalesce(l.collisdeterministic, true)
                                  OR (CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END)::regtype::text <> ALL (
                                      ARRAY['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text', 'character varying', 'bytea', 'uuid', 'jsonb',
                                            'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'inet', 'cidr', 'macaddr', 'oid', 'name'])))
           AND NOT (EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition),
           CASE WHEN EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition
                THEN (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           OR EXISTS (SELECT 1 FROM pg_extension e WHERE c.oid = ANY (e.extconfig) AND e.extcondition[array_position(e.extconfig, c.oid)] = ''))
    ORDER BY c.relpages DESC, 1, 2";

const SEQUENCES: &str = "
    SELECT n.nspname, c.relname, s.seqcycle, s.seqincrement
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2";

/// So much of a large object is hashed at once.
const PART: u32 = 64 << 20;

/// What came of counting beside a dump.
pub enum Counted {
    /// All of it.
    All(Box<Contents>),
    /// Nothing, because somebody was in the way.
    Not(String),
    /// Nothing, because nobody asked.
    Unbegun,
}

impl Counted {
    /// Why there is no use in going on with the dump, once this is known.
    pub fn objection(answer: &Result<Self, DbError>) -> Option<String> {
        match answer {
            Ok(Self::All(_) | Self::Unbegun) => None,
            Ok(Self::Not(why)) => Some(why.clone()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Counts what a snapshot sees, once a dump in the same snapshot has its locks. Our own come all at once and without
/// waiting: who waits for one while the dump holds another is in nobody's way then.
pub fn count_while_locked(client: &mut Client, contents: Contents) -> Result<Counted, postgres::Error> {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const AT_ONCE: usize = 500;
    let tables = client.query(RELATIONS, &[])?;
    let names: Vec<String> = tables
        .iter()
        .filter(|row| !row.get::<_, bool>(2))
        .map(|row| format!("ONLY {}", quote::qualified(row.get(0), row.get(1))))
        .collect();
    for names in names.chunks(AT_ONCE) {
        match client.batch_execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", names.join(", "))) {
            Err(error) if error.code().is_some_and(|code| code.code() == LOCK_NOT_AVAILABLE) => {
                return Ok(Counted::Not(
                    "a table is being locked by somebody, and could not be counted beside the dump"
                        .to_owned(),
                ));
            }
            done => done?,
        }
    }
    // TRUNCATE and what rewrites a table show through every snapshot that was taken before.
    let rewritten = client.query(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode ORDER BY 1",
        &[],
    )?;
    if let Some(row) = rewritten.first() {
        let name: String = row.get(0);
        return Ok(Counted::Not(format!("{name} was emptied or rewritten while the backup began")));
    }
    large_objects_and_tables(client, contents, None).map(|contents| Counted::All(Box::new(contents)))
}

/// Rows that no dump takes along, in a sentence for each table: those of extensions that do not hand them over.
pub fn left_out(client: &mut Client) -> Result<Vec<String>, postgres::Error> {
    let tables = client.query(
        "SELECT n.nspname, c.relname, e.extname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
              JOIN pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
           AND NOT coalesce(c.oid = ANY (e.extconfig), false) AND has_table_privilege(c.oid, 'SELECT') AND c.reltuples <> 0 ORDER BY 1, 2",
        &[],
    )?;
    let told = tables.iter().map(|row| {
        let (schema, name, extension): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        format!(
            "{} belongs to the extension {extension}, and no dump takes its rows along",
            quote::told(schema, name)
        )
    });
    let mut told: Vec<String> = told.collect();
    let hidden: i64 = client
        .query_one("SELECT count(*) FROM pg_user_mappings WHERE umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)", &[])?
        .get(0);
    if hidden > 0 {
        told.push(format!(
            "options of {hidden} user mappings are hidden from this role, and are not in the dump"
        ));
    }
    Ok(told)
}

/// What is set for all roles of a server, as statements: no program of the server writes it down.
pub fn settings_of_all_roles(client: &mut Client) -> Result<String, postgres::Error> {
    let query = "SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
                 FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = 0 AND setrole = 0 ORDER BY 1";
    let rows = client.query(query, &[])?;
    let statements = rows.iter().map(|row| super::database::setting_for_all(row.get(0), row.get(1)) + ";\n");
    Ok(statements.collect())
}

/// Where the sequences stand before a dump begins.
pub fn before_the_dump(client: &mut Client) -> Result<Contents, postgres::Error> {
    let mut contents = Contents::default();
    for row in client.query(SEQUENCES, &[])? {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let stands = position(client, &row)?;
        let sequence = Sequence { from: stands, to: stands, cycles: row.get(2) };
        contents.sequences.insert(quote::told(&schema, &name), sequence);
    }
    Ok(contents)
}

/// Counts and hashes everything, in the way in which another one was, if that is to be compared with it. It takes
/// as long as reading everything.
pub fn large_objects_and_tables(
    client: &mut Client,
    mut contents: Contents,
    like: Option<&Contents>,
) -> Result<Contents, postgres::Error> {
    for row in client.query(RELATIONS, &[])? {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let (is_view, is_filled, is_plain): (bool, bool, bool) = (row.get(2), row.get(3), row.get(4));
        let name_shown = quote::told(&schema, &name);
        let as_text = like.is_some_and(|like| like.is_hashed_as_text(&name_shown)) || !is_plain;
        let only = if is_view { "" } else { "ONLY " };
        let from = format!("{only}{}", quote::qualified(&schema, &name));
        let table = if is_filled {
            let by_name: Option<Vec<String>> = row.get(5);
            let line = by_name.map_or_else(
                || r#"("the row".*)::text"#.to_owned(),
                |columns| {
                    let columns: Vec<String> = columns
                        .iter()
                        .map(|column| format!(r#""the row".{}"#, quote::name(column)))
                        .collect();
                    format!("ROW({})::text", columns.join(", "))
                },
            );
            let (how, hash) = if as_text {
                (Contents::AS_TEXT, format!(r#"hashtextextended({line} COLLATE "C", 0)"#))
            } else {
                ("", r#"hash_record_extended("the row".*, 0)"#.to_owned())
            };
            hashed(client, how, &format!(r#"SELECT {hash} AS hash FROM {from} AS "the row""#))?
        } else {
            Table { rows: 0, hash: "not filled".to_owned() }
        };
        let all = if is_view { &mut contents.materialized_views } else { &mut contents.tables };
        all.insert(name_shown, table);
    }
    contents.large_objects = Some(large_objects(client)?);
    Ok(contents)
}

/// Where the sequences stand once the dump has ended.
pub fn sequences_after(client: &mut Client, mut contents: Contents) -> Result<Contents, postgres::Error> {
    for row in client.query(SEQUENCES, &[])? {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        if let Some(sequence) = contents.sequences.get_mut(&quote::told(&schema, &name)) {
            sequence.to = position(client, &row)?;
        }
    }
    Ok(contents)
}

/// The number that a sequence gives out next.
fn position(client: &mut Client, sequence: &Row) -> Result<i64, postgres::Error> {
    let query =
        format!("SELECT last_value, is_called FROM {}", quote::qualified(sequence.get(0), sequence.get(1)));
    let row = client.query_one(&query, &[])?;
    let (last, is_called): (i64, bool) = (row.get(0), row.get(1));
    Ok(if is_called { last.saturating_add(sequence.get(3)) } else { last })
}

/// Counts hashes and adds them up; `how` they were made stands before the sum.
fn hashed(client: &mut Client, how: &str, hashes: &str) -> Result<Table, postgres::Error> {
    let query = format!("SELECT count(*), coalesce(sum(hash), 0)::text FROM ({hashes}) AS hashes");
    let row = client.query_one(&query, &[])?;
    let (rows, sum): (i64, String) = (row.get(0), row.get(1));
    Ok(Table { rows: u64::try_from(rows).unwrap_or_default(), hash: format!("{how}{sum}") })
}

/// By number, length and content; in parts, for one of more than a gigabyte cannot be read at once. Each is closed
/// before the next is opened, for the server looks through all that are open.
fn large_objects(client: &mut Client) -> Result<Table, postgres::Error> {
    let count: i64 = client.query_one("SELECT count(*) FROM pg_largeobject_metadata", &[])?.get(0);
    // OFFSET 0 keeps one step from being merged with the next.
    let lines = format!(
        "SELECT hashtextextended(o.oid || ' ' || o.size || ' ' || part || ' ' || md5(lo_get(o.oid, part::bigint * {PART}, {PART})), 0) AS hash
         FROM (SELECT oid, size, lo_close(descriptor) AS closed
               FROM (SELECT oid, descriptor, lo_lseek64(descriptor, 0, 2) AS size
                     FROM (SELECT oid, lo_open(oid, 262144) AS descriptor FROM pg_largeobject_metadata OFFSET 0) AS opened OFFSET 0) AS measured OFFSET 0) AS o,
              generate_series(0, (o.size / {PART})::int) AS part"
    );
    let table = if count > 0 { hashed(client, "", &lines)? } else { Table { rows: 0, hash: "0".to_owned() } };
    Ok(Table { rows: u64::try_from(count).unwrap_or_default(), ..table })
}
