//! `postgres://user:password@host:port/database?word=value`, as libpq reads it, and `sqlite:///path`.

use std::path::PathBuf;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Url {
    /// Settings of libpq, word by word.
    Postgres(Vec<(String, String)>),
    /// A file.
    Sqlite(PathBuf),
}

const KINDS: &str = "write postgres://user@host/database or sqlite:///absolute/path";

/// Reads a URL. No error repeats any part of it: there may be a password in it.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        let path = decoded(path)?;
        return if path.starts_with('/') && path.len() > 1 {
            Ok(Url::Sqlite(path.into()))
        } else {
            Err("the file of sqlite:// is an absolute path, such as sqlite:///srv/app/app.db".to_owned())
        };
    }
    let rest = text.strip_prefix("postgres://").or(text.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| format!("is no URL of a database: {KINDS}"))?;
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, database) =
        rest.split_once('/').map_or((rest, ""), |(authority, database)| (authority, database));
    let (who, place) = authority.rsplit_once('@').map_or(("", authority), |(who, place)| (who, place));
    let (user, password) = who.split_once(':').map_or((who, ""), |(user, password)| (user, password));
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':').unwrap_or(after)),
        None => place.rsplit_once(':').map_or((place, ""), |(host, port)| (host, port)),
    };
    if place.contains(',') {
        return Err("names several hosts: a backup is of one server; name that".to_owned());
    }
    let mut settings = Vec::new();
    for (word, value) in
        [("user", user), ("password", password), ("host", host), ("port", port), ("dbname", database)]
    {
        if !value.is_empty() {
            settings.push((word.to_owned(), decoded(value)?));
        }
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
        let (word, value) =
            pair.split_once('=').ok_or("has a parameter without a value: write ?word=value")?;
        settings.push((decoded(word)?, decoded(value)?));
    }
    Ok(Url::Postgres(settings))
}

fn decoded(text: &str) -> Result<String, String> {
    const WRONG: &str = "has a % that two hexadecimal digits should follow: a plain % is written %25";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()]
                .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(high), Some(low)] = digits else { return Err(WRONG.to_owned()) };
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| WRONG)?);
        } else {
            bytes.push(byte);
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("is not UTF-8 once its % are read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let expect = expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(parse(text), Ok(Url::Postgres(expect)), "{text}");
    }

    #[test]
    fn urls_are_those_of_libpq() {
        check(
            "postgres://camera@localhost/camera",
            &[("user", "camera"), ("host", "localhost"), ("dbname", "camera")],
        );
        check(
            "postgres://u@/db?host=/run/postgresql&port=5433",
            &[("user", "u"), ("dbname", "db"), ("host", "/run/postgresql"), ("port", "5433")],
        );
        check(
            "postgresql://u:p%40:x@[::1]:5433/d%20b",
            &[("user", "u"), ("password", "p@:x"), ("host", "::1"), ("port", "5433"), ("dbname", "d b")],
        );
        check("postgres:///db", &[("dbname", "db")]);
        assert_eq!(parse("sqlite:///srv/app.db"), Ok(Url::Sqlite("/srv/app.db".into())));
    }

    #[test]
    fn no_error_tells_the_password() {
        for bad in [
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2%zz@h/d",
            "postgres://u:hunter2@a,b/d",
            "postgres://u:hunter2@h/d?x",
            "sqlite://hunter2",
            "postgres://u:hunter2%ff@h/d",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
