//! The report for a monitoring core: one line first, the worst first, and performance data that every parser
//! accepts.

use super::{Check, Measure, Report};
use crate::exit::Status;
use std::fmt::Write as _;

/// `DISK CRITICAL: ssd space 96.1% used | 'ssd space'=…`, and a line for each other finding.
pub(crate) fn render(report: &Report) -> String {
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status.gravity()));
    let wrong = checks.iter().filter(|check| check.status != Status::Ok).count();
    let service = report.tool.strip_prefix("check-").unwrap_or(report.tool).to_uppercase();
    let status = report.status().word().to_uppercase();
    let told = |check: &Check| plain(&format!("{} {}", check.name, check.message));
    let head = match (checks.first(), wrong) {
        (None, _) => "nothing to check".to_owned(),
        (Some(_), 0) => format!("{} checks, all well", checks.len()),
        (Some(worst), 1) => told(worst),
        (Some(worst), more) => format!("{} (and {} more)", told(worst), more - 1),
    };
    let data: Vec<String> = report.checks.iter().filter_map(performance).collect();
    let data = if data.is_empty() { String::new() } else { format!(" | {}", data.join(" ")) };
    let mut text = format!("{service} {status}: {head}{data}\n");
    for check in checks {
        let next = check.next.as_ref().map(|next| format!(" -> {}", plain(next))).unwrap_or_default();
        // The cores join lines without anything between them. Writing to a String cannot fail.
        let _ = writeln!(text, " {}: {}{next}", check.word().to_uppercase(), told(check));
    }
    text
}

/// A bar would end the text, and a line break the line. What looks like a bar cannot be mistaken for a part
/// of a command.
fn plain(text: &str) -> String {
    text.replace('|', "\u{a6}").replace(char::is_control, " ")
}

/// `'label'=value[unit];[warn];[crit];[min];[max]`.
fn performance(check: &Check) -> Option<String> {
    let Measure { value, unit, warn, crit, least, most, falling } = check.measure?;
    let clamp = |limit: f64| limit.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX));
    // A floor is a range that ends nowhere.
    let limit = |limit: Option<f64>| {
        let colon = if falling { ":" } else { "" };
        limit.map(|limit| format!("{}{colon}", number(clamp(limit)))).unwrap_or_default()
    };
    let bound = |bound: Option<f64>| bound.map(number).unwrap_or_default();
    let data = format!(
        "{}={}{};{};{};{};{}",
        label(&check.name),
        number(value),
        if value.is_finite() { unit.sign() } else { "" },
        limit(warn),
        limit(crit),
        bound(least),
        bound(most)
    );
    Some(data.trim_end_matches(';').to_owned())
}

/// In quotes, an inner one doubled, no equals sign.
fn label(name: &str) -> String {
    let name: String =
        plain(name).chars().map(|c| if c == '=' || c.is_control() { '_' } else { c }).collect();
    format!("'{}'", name.replace('\'', "''"))
}

/// Digits and a point: no exponent, no thousands.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "U".to_owned();
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Unit;

    /// What a core makes of a label in quotes: the name, and what follows it.
    fn unquoted(text: &str) -> Option<(String, &str)> {
        let mut chars = text.strip_prefix('\'')?.char_indices().peekable();
        let mut name = String::new();
        while let Some((at, c)) = chars.next() {
            match (c, chars.peek()) {
                ('\'', Some((_, '\''))) => {
                    name.push('\'');
                    chars.next();
                }
                ('\'', _) => return Some((name, &text[at + 2..])),
                ('=' | '|', _) => return None,
                (c, _) if c.is_control() => return None,
                (c, _) => name.push(c),
            }
        }
        None
    }

    #[test]
    fn whatever_a_check_is_called_its_label_ends_where_it_should() {
        const PARTS: [&str; 12] = ["'", "''", "\"", " ", "=", "|", "\n", "\t", "ä", "猫", ";", "a"];
        // Every name of three parts.
        for n in 0..PARTS.len().pow(3) {
            let part = |power: u32| PARTS[n / PARTS.len().pow(power) % PARTS.len()];
            let name = [part(0), part(1), part(2)].concat();
            let check = Check::new(name.clone(), Status::Ok, "").measured(Measure::of(5.0, Unit::Bytes));
            let data = performance(&check).unwrap();
            let (label, rest) = unquoted(&data).unwrap_or_else(|| panic!("{name:?}: {data}"));
            assert_eq!(rest, "=5B;;;0", "{name:?}");
            assert_eq!(label.chars().filter(|c| *c == '\'').count(), name.matches('\'').count(), "{name:?}");
        }
    }

    #[test]
    fn numbers_have_digits_and_a_point() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (0.0001, "0"),
            (1e20, "100000000000000000000"),
            (f64::NAN, "U"),
        ] {
            assert_eq!(number(value), text);
        }
        let unknown = Check::new("a", Status::Ok, "").measured(Measure::of(f64::INFINITY, Unit::Bytes));
        assert_eq!(performance(&unknown).unwrap(), "'a'=U;;;0", "what is not known has no unit");
    }

    #[test]
    fn limits_lie_between_the_bounds() {
        let measure = Measure::of(5.0, Unit::Count).at_most(10.0).limited(Some(-3.0), Some(1e30));
        let check = Check::new("a", Status::Ok, "").measured(measure);
        assert_eq!(performance(&check).unwrap(), "'a'=5;0;10;0;10");
        let floor = Measure { falling: true, ..Measure::of(5.0, Unit::Seconds).limited(Some(3.0), None) };
        let check = Check::new("a", Status::Ok, "").measured(floor);
        assert_eq!(performance(&check).unwrap(), "'a'=5s;3:;;0");
    }
}
