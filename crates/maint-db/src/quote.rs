//! Names and values as SQL takes them, and settings as libpq takes them.

/// A name in SQL, whatever it is called.
pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name in a schema.
pub fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", name(schema), name(table))
}

/// A name in a schema, for a person and as a key: as it is, and with quotation marks only where a part holds a dot or
/// a quotation mark itself, so that no two are told alike.
pub fn told(schema: &str, table: &str) -> String {
    let part = |part: &str| if part.contains(['.', '"']) { name(part) } else { part.to_owned() };
    format!("{}.{}", part(schema), part(table))
}

/// A text in SQL, whatever is in it and however backslashes are read.
pub fn text(value: &str) -> String {
    if value.contains('\\') {
        format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// `word='value'` of a connection string.
pub fn setting(word: &str, value: &str) -> String {
    format!("{word}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(qualified("a\"b", "Täble"), "\"a\"\"b\".\"Täble\"");
        assert_eq!(told("public", "What is new"), "public.What is new");
        assert_eq!([told("a.b", "c"), told("a", "b.c")], ["\"a.b\".c", "a.\"b.c\""]);
        assert_eq!([told("a", "\"b.c\""), told("a\"", "b")], ["a.\"\"\"b.c\"\"\"", "\"a\"\"\".b"]);
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text("a\\'b"), "E'a\\\\''b'");
        assert_eq!(setting("dbname", "it's \\ host=x"), "dbname='it\\'s \\\\ host=x'");
    }
}
