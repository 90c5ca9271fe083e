//! Rows and a hash for each table of a database, taken where the data are.
//!
//! A hash is the sum of the hashes of all rows, so that no order matters and two equal rows do not cancel out.
//! Where every column is of a type whose hash is made of its value alone, the server hashes the row as it is;
//! else as text, which is slower, and [`super::session`] pins what that text depends on.

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
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           OR EXISTS (SELECT 1 FROM pg_extension e WHERE c.oid = ANY (e.extconfig) AND e.extcondition[array_position(e.extconfig, c.oid)] = ''))
    ORDER BY pg_relation_size(c.oid) DESC, 1, 2";

const SEQUENCES: &str = "
    SELECT n.nspname, c.relname, s.seqcycle, s.seqincrement
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2";

/// So much of a large object is hashed at once.
const PART: u32 = 64 << 20;

/// Where the sequences stand before a dump begins.
pub fn before_the_dump(client: &mut Client) -> Result<Contents, postgres::Error> {
    let mut contents = Contents::default();
    for row in client.query(SEQUENCES, &[])? {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let stands = position(client, &row)?;
        let sequence = Sequence { from: stands, to: stands, cycles: row.get(2) };
        contents.sequences.insert(shown(&schema, &name), sequence);
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
        let name_shown = shown(&schema, &name);
        let as_text = like.is_some_and(|like| like.is_hashed_as_text(&name_shown)) || !is_plain;
        let only = if is_view { "" } else { "ONLY " };
        let from = format!("{only}{}", quote::qualified(&schema, &name));
        let table = if is_filled {
            let (how, hash) = if as_text {
                (Contents::AS_TEXT, r#"hashtextextended(("the row".*)::text COLLATE "C", 0)"#)
            } else {
                ("", r#"hash_record_extended("the row".*, 0)"#)
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
        if let Some(sequence) = contents.sequences.get_mut(&shown(&schema, &name)) {
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

/// By number, length and content; in parts, for one of more than a gigabyte cannot be read at once.
fn large_objects(client: &mut Client) -> Result<Table, postgres::Error> {
    let count: i64 = client.query_one("SELECT count(*) FROM pg_largeobject_metadata", &[])?.get(0);
    let lines = format!(
        "SELECT hashtextextended(o.oid || ' ' || o.size || ' ' || part || ' ' || md5(lo_get(o.oid, part::bigint * {PART}, {PART})), 0) AS hash
         FROM (SELECT oid, lo_lseek64(lo_open(oid, 262144), 0, 2) AS size FROM pg_largeobject_metadata OFFSET 0) AS o,
              generate_series(0, (o.size / {PART})::int) AS part"
    );
    let table = if count > 0 { hashed(client, "", &lines)? } else { Table { rows: 0, hash: "0".to_owned() } };
    Ok(Table { rows: u64::try_from(count).unwrap_or_default(), ..table })
}

fn shown(schema: &str, name: &str) -> String {
    format!("{schema}.{name}")
}
