//! `pg_service.conf`: settings under a name, read as libpq reads it.

/// The settings of a service; none if there is no such service. The error names the line.
pub(crate) fn find(text: &str, name: &str) -> Result<Option<Vec<(String, String)>>, String> {
    let mut found: Option<Vec<(String, String)>> = None;
    let mut inside = false;
    for (n, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            // The first of that name counts.
            inside = found.is_none() && heading.strip_suffix(']') == Some(name);
            if inside {
                found = Some(Vec::new());
            }
        } else if inside && let Some(settings) = &mut found {
            let (word, value) =
                line.split_once('=').ok_or_else(|| format!("line {n} is no setting: write word=value"))?;
            settings.push((word.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_below_the_name() {
        let text = "# x\n[other]\nhost=no\n\n[camera]\nhost=/run/pg\nport = 5433\n[camera]\nhost=late\n";
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect::<Vec<_>>()
        };
        assert_eq!(find(text, "camera").unwrap().unwrap(), pairs(&[("host", "/run/pg"), ("port", "5433")]));
        assert_eq!(find(text, "nobody").unwrap(), None);
        assert!(find("[camera]\nnonsense", "camera").unwrap_err().contains("line 2"));
    }
}
