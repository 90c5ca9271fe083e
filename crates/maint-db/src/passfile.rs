//! `~/.pgpass`: passwords by host, port, database and user, read as libpq reads it.

use crate::Secret;

/// Whom a password is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whom<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: &'a str,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// The first line that fits.
pub(crate) fn find(text: &str, whom: Whom<'_>) -> Option<Secret> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.starts_with('#'));
    lines.filter_map(fields).find_map(|[host, port, database, user, password]| {
        let wanted = [whom.host, whom.port, whom.database, whom.user];
        let fits =
            [host, port, database, user].iter().zip(wanted).all(|(field, is)| field == "*" || field == is);
        fits.then(|| Secret::new(password))
    })
}

/// Five fields apart by colons; a backslash takes away what the next sign means. What stands behind the
/// fourth colon is the password, colons too if they are escaped.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut all = vec![String::new()];
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => all.last_mut()?.push(signs.next().unwrap_or('\\')),
            ':' => all.push(String::new()),
            sign => all.last_mut()?.push(sign),
        }
    }
    all.truncate(5);
    all.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# a comment\nother:*:*:*:no\n*:5432:camera:cam:one\\:two\\\\\n*:*:*:*:last\nshort:line\n";
        let find = |host, port, database, user| {
            find(text, Whom { host, port, database, user }).map(|secret| secret.reveal().to_owned())
        };
        assert_eq!(find("localhost", "5432", "camera", "cam").as_deref(), Some("one:two\\"));
        assert_eq!(find("localhost", "5433", "camera", "cam").as_deref(), Some("last"));
        assert_eq!(find("other", "5433", "x", "y").as_deref(), Some("no"));
    }

    #[test]
    fn it_is_never_told() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }
}
