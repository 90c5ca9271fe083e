//! Rows and a hash for each table of a database, taken where the data are.
//!
//! A hash is the sum of the hashes of all rows as text, so that no order matters and two equal rows do not
//! cancel out; [`super::session`] pins what that text depends on.

use crate::{
    contents::{Contents, Sequence, Table},
    quote,
};
use postgres::{Client, Row};

/// Relations whose rows are those of the database itself. What belongs to an extension is made by it, but for
/// tables that it hands over as a whole. Rows of another server are not here.
const RELATIONS: &str = "
    SELECT n.nspname, c.relname, c.relkind = 'm', c.relispopulated
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

/// Counts and hashes everything. It takes as long as reading everything.
pub fn large_objects_and_tables(
    client: &mut Client,
    mut contents: Contents,
) -> Result<Contents, postgres::Error> {
    for row in client.query(RELATIONS, &[])? {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let (is_view, is_filled): (bool, bool) = (row.get(2), row.get(3));
        let only = if is_view { "" } else { "ONLY " };
        let from = format!("{only}{}", quote::qualified(&schema, &name));
        let table = if is_filled {
            hashed(client, &format!(r#"SELECT ("the row".*)::text AS line FROM {from} AS "the row""#))?
        } else {
            Table { rows: 0, hash: "not filled".to_owned() }
        };
        let all = if is_view { &mut contents.materialized_views } else { &mut contents.tables };
        all.insert(shown(&schema, &name), table);
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

fn hashed(client: &mut Client, lines: &str) -> Result<Table, postgres::Error> {
    let query = format!(
        r#"SELECT count(*), coalesce(sum(hashtextextended(line COLLATE "C", 0)), 0)::text FROM ({lines}) AS lines"#
    );
    let row = client.query_one(&query, &[])?;
    let rows: i64 = row.get(0);
    Ok(Table { rows: u64::try_from(rows).unwrap_or_default(), hash: row.get(1) })
}

/// By number, length and content; in parts, for one of more than a gigabyte cannot be read at once.
fn large_objects(client: &mut Client) -> Result<Table, postgres::Error> {
    let count: i64 = client.query_one("SELECT count(*) FROM pg_largeobject_metadata", &[])?.get(0);
    let lines = format!(
        "SELECT o.oid || ' ' || o.size || ' ' || part || ' ' || md5(lo_get(o.oid, part::bigint * {PART}, {PART})) AS line
         FROM (SELECT oid, lo_lseek64(lo_open(oid, 262144), 0, 2) AS size FROM pg_largeobject_metadata OFFSET 0) AS o,
              generate_series(0, (o.size / {PART})::int) AS part"
    );
    let table = if count > 0 { hashed(client, &lines)? } else { Table { rows: 0, hash: "0".to_owned() } };
    Ok(Table { rows: u64::try_from(count).unwrap_or_default(), ..table })
}

fn shown(schema: &str, name: &str) -> String {
    format!("{schema}.{name}")
}
