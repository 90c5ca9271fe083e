//! The relations whose rows are a database's own, and how the rows of one are hashed.
//!
//! Where every column is of a type whose hash is made of its value alone, the server hashes a row as it is; else as
//! text, which is slower, and [`super::session`] pins what that text depends on. A row whose text would be longer
//! than a text can be is hashed by its columns.

use crate::{
    contents::{Contents, Table, Way},
    quote,
};
use postgres::{Client, Row};

/// Relations whose rows are those of the database itself. What belongs to an extension is made by it, but for
/// tables that it hands over as a whole. Rows of another server are not here.
const RELATIONS: &str = "
    SELECT c.oid, n.nspname, c.relname, c.relkind = 'm', c.relispopulated, current_setting('server_version_num')::int >= 140000
           AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
           AND NOT EXISTS (SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
                           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                             AND (NOT coalesce(l.collisdeterministic, true)
                                  OR (CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END)::regtype::text <> ALL (
                                      ARRAY['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text', 'character varying', 'bytea', 'uuid', 'jsonb',
                                            'date', 'time without time zone', 'timestamp without time zone', 'timestamp with time zone', 'inet', 'cidr', 'macaddr', 'oid', 'name'])))
           AND NOT (EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition),
           EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) AND NOT c.relispartition,
           ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           OR EXISTS (SELECT 1 FROM pg_extension e WHERE c.oid = ANY (e.extconfig) AND e.extcondition[array_position(e.extconfig, c.oid)] = ''))
    ORDER BY c.relpages DESC, 2, 3";

/// A table, or a materialized view.
pub(super) struct Relation {
    pub(super) oid: u32,
    schema: String,
    table: String,
    pub(super) is_view: bool,
    is_filled: bool,
    /// Whether a row can be hashed as it is.
    is_plain: bool,
    /// Whether columns may come in another order once it is restored.
    is_child: bool,
    /// By name.
    columns: Vec<String>,
}

impl Relation {
    /// All of them, the largest first.
    pub(super) fn all(client: &mut Client) -> Result<Vec<Self>, postgres::Error> {
        Ok(client.query(RELATIONS, &[])?.iter().map(Self::of).collect())
    }

    fn of(row: &Row) -> Self {
        Self {
            oid: row.get(0),
            schema: row.get(1),
            table: row.get(2),
            is_view: row.get(3),
            is_filled: row.get(4),
            is_plain: row.get(5),
            is_child: row.get(6),
            columns: row.get(7),
        }
    }

    /// As it stands in a manifest.
    pub(super) fn told(&self) -> String {
        quote::told(&self.schema, &self.table)
    }

    /// As it stands in SQL, without what inherits from it.
    pub(super) fn from(&self) -> String {
        let only = if self.is_view { "" } else { "ONLY " };
        format!("{only}{}", quote::qualified(&self.schema, &self.table))
    }

    /// How its rows are hashed: as they were where they are to be compared with others.
    pub(super) fn way(&self, like: Option<&Contents>) -> Way {
        match like.and_then(|like| like.way_of(&self.told())) {
            Some(way @ (Way::Text | Way::Columns)) => way,
            _ if self.is_plain => Way::Record,
            _ => Way::Text,
        }
    }

    /// Counts and hashes its rows.
    pub(super) fn count(&self, client: &mut Client, way: Way) -> Result<Table, postgres::Error> {
        if !self.is_filled {
            return Ok(Table { rows: 0, hash: "not filled".to_owned() });
        }
        let (hash, from) = (self.hash(way), self.from());
        hashed(client, way, &format!(r#"SELECT {hash} AS hash FROM {from} AS "the row""#))
    }

    fn hash(&self, way: Way) -> String {
        let columns = |write: &dyn Fn(String) -> String| {
            let names =
                self.columns.iter().map(|column| write(format!(r#""the row".{}"#, quote::name(column))));
            names.collect::<Vec<_>>().join(", ")
        };
        match way {
            Way::Record => r#"hash_record_extended("the row".*, 0)"#.to_owned(),
            Way::Text if self.is_child => hash_of_text(&format!("ROW({})", columns(&|column| column))),
            Way::Text => hash_of_text(r#"("the row".*)"#),
            Way::Columns => hash_of_text(&format!("ARRAY[{}]", columns(&|column| hash_of_text(&column)))),
        }
    }
}

fn hash_of_text(value: &str) -> String {
    format!(r#"hashtextextended({value}::text COLLATE "C", 0)"#)
}

/// Counts hashes and adds them up; the way in which they were made stands before the sum.
pub(super) fn hashed(client: &mut Client, way: Way, hashes: &str) -> Result<Table, postgres::Error> {
    let query = format!("SELECT count(*), coalesce(sum(hash), 0)::text FROM ({hashes}) AS hashes");
    let row = client.query_one(&query, &[])?;
    let (rows, sum): (i64, String) = (row.get(0), row.get(1));
    Ok(Table { rows: u64::try_from(rows).unwrap_or_default(), hash: format!("{}{sum}", way.word()) })
}
