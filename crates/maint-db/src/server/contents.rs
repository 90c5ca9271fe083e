//! Rows and a hash for each table of a database, taken where the data are.
//!
//! A hash is the sum of the hashes of all rows, so that no order matters and two equal rows do not cancel out;
//! [`super::relations`] says what the hash of a row is.

use super::{
    relations::{Relation, hashed},
    session::DbError,
};
use crate::{
    contents::{Contents, Sequence, Table, Way},
    quote,
};
use postgres::{Client, Row, error::SqlState};

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

/// How many tables may be locked at once.
struct Room {
    /// For long: three quarters of what the server has room for; the rest is for others.
    held: usize,
    /// While they are read, which locks their indexes too: half of what is meant for each transaction.
    read: usize,
}

impl Room {
    fn of(client: &mut Client) -> Result<Self, postgres::Error> {
        let row = client.query_one(
            "SELECT current_setting('max_locks_per_transaction')::bigint,
                    current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint",
            &[],
        )?;
        let (each, transactions): (i64, i64) = (row.get(0), row.get(1));
        let some = |locks: i64| usize::try_from(locks).unwrap_or(usize::MAX).max(1);
        Ok(Self { held: some(each.saturating_mul(transactions) / 4 * 3), read: some(each / 2) })
    }
}

/// Counts what a snapshot sees, once a dump in the same snapshot has its locks. Our own come all at once and without
/// waiting: who waits for one while the dump holds another is in nobody's way then. Only where there are so many
/// tables that nobody else could lock anything any more, they come batch by batch.
pub fn count_while_locked(client: &mut Client, mut contents: Contents) -> Result<Counted, postgres::Error> {
    // The dump has locked its tables, and nothing is emptied any more until it has ended.
    if let Some(why) = rewritten(client, None)? {
        return Ok(Counted::Not(why));
    }
    let relations = Relation::all(client)?;
    let room = Room::of(client)?;
    let at_once = if relations.len() <= room.held { room.held } else { room.read };
    client.batch_execute("SAVEPOINT unlocked")?;
    for relations in relations.chunks(at_once) {
        if let Some(why) = lock(client, relations)? {
            return Ok(Counted::Not(why));
        }
        count_batches(client, relations, room.read, &mut contents)?;
        client.batch_execute("ROLLBACK TO unlocked")?;
    }
    contents.large_objects = Some(large_objects(client)?);
    Ok(Counted::All(Box::new(contents)))
}

/// Locks relations, and says why they cannot be counted, if that is so.
fn lock(client: &mut Client, relations: &[Relation]) -> Result<Option<String>, postgres::Error> {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    const AT_ONCE: usize = 500;
    // What has gone since the dump has ended: the table, or its schema.
    const GONE: [&str; 2] = ["42P01", "3F000"];
    let tables: Vec<String> =
        relations.iter().filter(|relation| !relation.is_view).map(Relation::from).collect();
    for tables in tables.chunks(AT_ONCE) {
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", tables.join(", "));
        let Err(error) = client.batch_execute(&sql) else { continue };
        let what = match error.code().map(SqlState::code) {
            Some(LOCK_NOT_AVAILABLE) => "is being locked by somebody",
            Some(code) if GONE.contains(&code) => "was dropped by somebody",
            _ => return Err(error),
        };
        return Ok(Some(format!("a table {what}, and could not be counted beside the dump")));
    }
    let oids: Vec<u32> = relations.iter().map(|relation| relation.oid).collect();
    rewritten(client, Some(&oids))
}

/// Says which relation is not what it was, of some or of all. TRUNCATE and what rewrites a table show through every
/// snapshot that was taken before, and a name may be another table's by now.
fn rewritten(client: &mut Client, of: Option<&[u32]>) -> Result<Option<String>, postgres::Error> {
    let row = client.query_opt(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND ($1::oid[] IS NULL OR c.oid = ANY ($1))
           AND (pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode
                OR to_regclass(format('%I.%I', n.nspname, c.relname)) IS DISTINCT FROM c.oid::regclass)
         ORDER BY 1, 2 LIMIT 1",
        &[&of],
    )?;
    Ok(row.map(|row| {
        let name = quote::told(row.get(0), row.get(1));
        format!("{name} was emptied or rewritten while the backup began")
    }))
}

/// Counts relations that are locked. What is rolled back has changed nothing, and lets go of the locks that came with it.
fn count_batches(
    client: &mut Client,
    relations: &[Relation],
    at_once: usize,
    contents: &mut Contents,
) -> Result<(), postgres::Error> {
    client.batch_execute("SAVEPOINT uncounted")?;
    for relations in relations.chunks(at_once) {
        for relation in relations {
            let table = match relation.count(client, relation.way(None)) {
                Err(error) if is_too_long(&error) => {
                    client.batch_execute("ROLLBACK TO uncounted")?;
                    relation.count(client, Way::Columns)?
                }
                counted => counted?,
            };
            insert(contents, relation, table);
        }
        client.batch_execute("ROLLBACK TO uncounted")?;
    }
    Ok(())
}

/// Whether the text of a row was longer than a text can be: writing one doubles quotation marks and backslashes.
fn is_too_long(error: &postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| {
        *said.code() == SqlState::PROGRAM_LIMIT_EXCEEDED
            || said.message().starts_with("invalid memory alloc request size")
    })
}

fn insert(contents: &mut Contents, relation: &Relation, table: Table) {
    let all = if relation.is_view { &mut contents.materialized_views } else { &mut contents.tables };
    all.insert(relation.told(), table);
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

/// Counts and hashes everything in the way in which another one was, to be compared with it. It takes as long as
/// reading everything; outside of a transaction each table is let go before the next.
pub fn large_objects_and_tables(
    client: &mut Client,
    mut contents: Contents,
    like: &Contents,
) -> Result<Contents, postgres::Error> {
    for relation in Relation::all(client)? {
        let table = relation.count(client, relation.way(Some(like)))?;
        insert(&mut contents, &relation, table);
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
    let table = if count > 0 {
        hashed(client, Way::Record, &lines)?
    } else {
        Table { rows: 0, hash: "0".to_owned() }
    };
    Ok(Table { rows: u64::try_from(count).unwrap_or_default(), ..table })
}
