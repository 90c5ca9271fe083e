//! What others read is what they understand: promtool, `node_exporter` and Prometheus take the metrics and the
//! shipped rules, monitoring-plugins' `check_disk` agrees, and every line for a monitoring core obeys the
//! grammar. The programs are Debian's; what is started here is on a port of its own and ended here.

use maint_tests::{Hanging, Mounted, Random, Scratch, Tool, Tree, days, hours, now, scale};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

fn volume(name: &str, at: &Path, keys: &str) -> String {
    format!("[volume.{name}]\npath = {at:?}\n{keys}\n")
}

/// A host on which both tools have run, with all there is to be measured.
struct Host {
    disk: Mounted,
    small: Mounted,
    scratch: Scratch,
    live: Tree,
}

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        let disk = Mounted::ext4(&scratch.path().join("disk"), 64);
        let small = Mounted::tmpfs(&scratch.path().join("small"), 1000);
        let live = Tree::at(&disk.at().join("live"));
        fs::create_dir(live.root()).unwrap();
        Self { disk, small, scratch, live }
    }

    fn config(&self, ssd: &str) -> PathBuf {
        let live = self.live.root();
        let emergency = "emergency = { at = '10%', until = '5%' }";
        self.scratch.config(
            &[
                volume("ssd", self.disk.at(), &format!("{ssd}\n{emergency}")),
                volume("\"a-quite-long-name_of.a-volume\"", self.small.at(), ""),
                volume("gone", &self.scratch.folder("gone"), ""),
                format!(
                    "[watch.live]\npath = {live:?}\nmax-file-size = '1MB'\nfresh = '1h'\nmax-files = 10\n"
                ),
                "[watch.none]\npath = '/nonexistent/folder'\nmax-files = 10\n".to_owned(),
                format!(
                    "[files.live]\npath = {live:?}\nmax-age = '1d'\nemergency = {{ remove-all = true }}\n"
                ),
                "[files.gone]\npath = '/nonexistent/folder'\nmax-age = '1d'\n".to_owned(),
                format!("[orphans.live]\nmetadata = {live:?}\npartner = '{{stem}}.jpg'\n"),
                format!(
                    "[database.history]\nurl = 'sqlite://{0}/state/prune-images/history.db'\n\
                     [database.history.backup]\ndir = '{0}/backups'\nkeep = {{ last = 1 }}\n",
                    self.scratch.path().display()
                ),
            ]
            .concat(),
        )
    }

    /// What an eMMC says, in place of the loop device's silence.
    fn sys(&self) -> PathBuf {
        let sys = self.scratch.folder("sys");
        let put = |file: &str, text: &str| {
            let path = sys.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("devices/mmcblk1/device/type", "MMC");
        put("devices/mmcblk1/device/life_time", "0x02 0x01");
        put("fs/ext4/mmcblk1/lifetime_write_kbytes", "12345678");
        put("fs/ext4/mmcblk1/errors_count", "0");
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        let _ = std::os::unix::fs::symlink(
            "../../devices/mmcblk1",
            sys.join("dev/block").join(self.disk.device()),
        );
        sys
    }

    /// All tools write all the metrics they have.
    fn measure(&self) {
        let mut tree = self.live.clone();
        for n in 0..8 {
            tree = tree.sized(format!("old{n}"), days(3), 100_000);
        }
        for n in 0..5 {
            tree = tree.sized(format!("young{n}"), hours(2), 2 << 20);
        }
        Command::new("sync").arg("-f").arg(self.disk.at()).status().unwrap();
        let config = self.config("");
        Tool::prune(&config).exits(1);
        Tool::prune(&config).arg("--emergency").exits(1);
        Tool::orphans(&config).exits(0);
        Tool::backup(&config).exits(0);
        drop(tree.sized("new", 0, 500_000));
        Tool::check(&config).arg("--sys").arg(self.sys()).exits(2);
    }

    /// Its history is so much older.
    fn live_was_done_before(&self, seconds: i64) {
        let db = self.scratch.path().join("state/prune-images/history.db");
        let db = rusqlite::Connection::open(db).unwrap();
        db.execute("UPDATE targets SET ended = ended - ?", [seconds]).unwrap();
    }

    fn metrics(&self) -> PathBuf {
        self.scratch.path().join("metrics")
    }

    fn prom(&self, tool: &str) -> String {
        fs::read_to_string(self.metrics().join(format!("maint-{tool}.prom"))).unwrap()
    }
}

/// A series: its name, and its labels in order.
type Series = (String, BTreeMap<String, String>);

/// What a file of metrics holds, read by the rules of the text format and by ours: what promtool lets pass is
/// looked at here.
fn read_strictly(tool: &str, text: &str) -> BTreeMap<Series, f64> {
    assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains("\n\n"), "{text}");
    let (mut all, mut helps, mut types) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') && helps.insert(name.to_owned()), "{line}");
            name.clone_into(&mut family);
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{family} gauge"), "after its help, once");
            assert!(types.insert(family.clone()), "{line}");
            continue;
        }
        let (series, value) = sample(line);
        assert_eq!(series.0, family, "samples of a family stand together, after its type");
        assert_eq!(series.1["tool"], tool);
        lint(&series, value);
        assert!(all.insert(series, value).is_none(), "twice: {line}");
    }
    assert_eq!(helps, types);
    all
}

fn sample(line: &str) -> (Series, f64) {
    let (name, rest) = line.split_once('{').unwrap();
    let mut labels = BTreeMap::new();
    let mut rest = rest.chars();
    loop {
        let label: String = rest.by_ref().take_while(|c| *c != '=').collect();
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        assert_eq!(rest.next(), Some('"'), "{line}");
        let mut value = String::new();
        loop {
            match rest.next().unwrap() {
                '"' => break,
                '\\' => value.push(match rest.next().unwrap() {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} in {line}"),
                }),
                c => value.push(c),
            }
        }
        assert!(labels.insert(label, value).is_none(), "{line}");
        match rest.next().unwrap() {
            ',' => {}
            '}' => break,
            c => panic!("{c} in {line}"),
        }
    }
    let value: String = rest.collect();
    let value = value.strip_prefix(' ').unwrap();
    assert!(!value.contains(' '), "no timestamp: {line}");
    ((name.to_owned(), labels), value.parse().unwrap())
}

/// Base units, and no word that says what the type says.
fn lint((name, labels): &Series, value: f64) {
    let words: Vec<&str> = name.split('_').collect();
    assert_eq!(words[0], "maint");
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
    for wrong in [
        "percent",
        "percentage",
        "ms",
        "milliseconds",
        "minutes",
        "hours",
        "days",
        "kb",
        "mb",
        "kib",
        "mib",
        "kilobytes",
        "megabytes",
        "gauge",
        "counter",
        "total",
        "count",
        "sum",
        "bucket",
        "info",
    ] {
        assert!(!words.contains(&wrong), "{name}: {wrong}");
    }
    if name.ends_with("_ratio") {
        assert!((0.0..=1.0).contains(&value), "{name} {value}");
    }
    if name.ends_with("timestamp_seconds") {
        let now = f64::from(u32::try_from(now()).unwrap());
        assert!((now - 1e7..now + 1e9).contains(&value), "{name} {value}");
    }
    assert!(value.is_finite() && labels.values().all(|value| !value.is_empty()), "{name} {labels:?} {value}");
}

/// Families and their help, of both tools.
fn helps(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')).collect()
}

/// The families that a document must name.
#[test]
fn metrics_are_lint_clean_complete_and_documented() {
    let host = Host::new();
    host.measure();
    let manual = fs::read_to_string(shipped("docs/configuration.md")).unwrap();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for tool in ["check-disk", "prune-images", "orphan-metadata", "backup-db"] {
        let text = host.prom(tool);
        let mut lint = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = lint.wait_with_output().unwrap();
        assert!(said.status.success(), "{}\n{text}", String::from_utf8_lossy(&said.stderr));
        read_strictly(tool, &text);
        for (name, help) in helps(&text) {
            let before = known.insert(name.to_owned(), help.to_owned());
            assert!(before.is_none_or(|before| before == help), "{name}: another help drops its series");
        }
    }
    let all = read_strictly("check-disk", &host.prom("check-disk"));
    let of = |name: &str, volume: &str| {
        let mut found =
            all.iter().filter(|((n, labels), _)| n == name && labels.values().any(|value| value == volume));
        found.next().map(|(_, value)| *value)
    };
    for (name, volume, value) in [
        ("maint_volume_mounted", "ssd", Some(1.0)),
        ("maint_volume_mounted", "gone", Some(0.0)),
        ("maint_volume_used_bytes", "gone", None),
        ("maint_volume_life_used_ratio", "ssd", Some(0.1)),
        ("maint_volume_errors", "ssd", Some(0.0)),
        // What is not measured is not 0.
        ("maint_volume_errors", "a-quite-long-name_of.a-volume", None),
        ("maint_volume_written_bytes", "ssd", Some(12_641_974_272.0)),
        ("maint_watch_readable", "none", Some(0.0)),
        ("maint_watch_files", "none", None),
        ("maint_watch_files", "live", Some(2.0)),
        ("maint_watch_largest_bytes", "live", Some(2_097_152.0)),
    ] {
        assert_eq!(of(name, volume), value, "{name} {volume}");
    }
    for name in known.keys() {
        assert!(manual.contains(&format!("`{name}`")), "docs/configuration.md does not name {name}");
    }
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `maint_"));
    for row in rows {
        let name = format!("maint_{}", row.split_once('`').unwrap().0);
        let later = name == "maint_volume_full_timestamp_seconds";
        assert!(later || known.contains_key(&name), "{name} is in the manual, and nowhere else");
    }
}

#[test]
fn the_shipped_rules_pass_their_own_test() {
    let rules = shipped("deploy/prometheus/maint.rules.yml");
    for words in [["check", "rules", "maint.rules.yml"], ["test", "rules", "maint.rules.test.yml"]] {
        let done =
            Command::new("promtool").args(words).current_dir(rules.parent().unwrap()).output().unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    }
    let text = fs::read_to_string(&rules).unwrap();
    let cases = fs::read_to_string(rules.with_file_name("maint.rules.test.yml")).unwrap();
    for alert in text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = cases
            .split(&format!("alertname: {alert}\n"))
            .skip(1)
            .any(|after| after.trim_start().starts_with("exp_alerts:"));
        assert!(fires, "no test shows that {alert} fires");
    }
    // A rule about a series that nobody writes would never fire.
    let host = Host::new();
    host.measure();
    let written = host.prom("check-disk") + &host.prom("prune-images") + &host.prom("backup-db");
    let words =
        text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).filter(|word| word.starts_with("maint_"));
    for name in words.filter(|name| *name != "maint_volume_full_timestamp_seconds") {
        assert!(written.contains(&format!("# TYPE {name} gauge")), "{name}");
    }
}

/// A server on a port of its own, ended with the value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(program: &str, words: &[String]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(words)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let server = Self { child, port };
        let begun = Instant::now();
        while server.try_get("/metrics").is_none_or(|answer| !answer.starts_with("HTTP/1.0 200")) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{program} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn try_get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// What the API answers: it answers 503, and no JSON, for a while after the server's own metrics are there.
    fn json(&self, path: &str) -> Value {
        let begun = Instant::now();
        loop {
            let text = self.try_get(path).unwrap_or_default();
            let body = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            if let Some(value) = body {
                return value;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{path}: {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The names of the alerts that fire, each with what it is about.
    fn firing(&self) -> BTreeSet<String> {
        let alerts = self.json("/api/v1/alerts");
        let all = alerts["data"]["alerts"].as_array().unwrap();
        let of = |alert: &Value| {
            let labels = alert["labels"].as_object().unwrap();
            let about = ["check", "target", "volume"].iter().find_map(|key| labels.get(*key)?.as_str());
            format!("{} {}", labels["alertname"].as_str().unwrap(), about.unwrap_or("-"))
        };
        all.iter().filter(|alert| alert["state"] == "firing").map(of).collect()
    }

    fn waits_for(&self, what: &str, is_so: impl Fn(&BTreeSet<String>) -> bool) {
        let begun = Instant::now();
        loop {
            let firing = self.firing();
            if is_so(&firing) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(15), "{what}: {firing:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From the files through `node_exporter` into Prometheus, and from there into alerts, which come and go.
#[test]
fn every_series_arrives_and_alerts_fire_and_resolve() {
    let host = Host::new();
    host.measure();
    let exporter = Server::start(
        "prometheus-node-exporter",
        &[
            "--collector.disable-defaults".to_owned(),
            "--collector.textfile".to_owned(),
            format!("--collector.textfile.directory={}", host.metrics().display()),
        ],
    );
    let rules = fs::read_to_string(shipped("deploy/prometheus/maint.rules.yml")).unwrap();
    // What is waited for in minutes is not waited for here.
    let rules: Vec<&str> = rules.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
    let rules = rules.join("\n");
    host.scratch.file("maint.rules.yml", &rules);
    let config = host.scratch.file(
        "prometheus.yml",
        &format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [maint.rules.yml]\nscrape_configs:\n\
             - job_name: node\n  static_configs: [{{ targets: ['127.0.0.1:{}'] }}]\n",
            exporter.port
        ),
    );
    let prometheus = Server::start(
        "prometheus",
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", host.scratch.folder("tsdb").display()),
        ],
    );
    prometheus
        .waits_for("the disk that is gone is missed", |firing| firing.contains("MaintVolumeMissing gone"));

    // All files, each series with its value.
    let mut written: BTreeMap<Series, f64> = BTreeMap::new();
    for tool in ["check-disk", "prune-images", "orphan-metadata", "backup-db"] {
        written.extend(read_strictly(tool, &host.prom(tool)));
    }
    let answer = prometheus.json("/api/v1/query?query=%7B__name__%3D~%22maint_.%2B%22%7D");
    let arrived = answer["data"]["result"].as_array().unwrap().iter().map(|one| {
        let mut labels: BTreeMap<String, String> = one["metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert!(labels.remove("instance").is_some() && labels.remove("job").is_some());
        ((labels.remove("__name__").unwrap(), labels), one["value"][1].as_str().unwrap().parse().unwrap())
    });
    let arrived: BTreeMap<Series, f64> = arrived.collect();
    assert!(written.len() > 100, "only {}", written.len());
    let lost: Vec<_> =
        written.iter().filter(|(series, value)| arrived.get(*series) != Some(*value)).collect();
    assert!(
        lost.is_empty() && arrived.len() == written.len(),
        "{} of {}: {lost:#?}",
        arrived.len(),
        written.len()
    );
    let error = prometheus.json("/api/v1/query?query=node_textfile_scrape_error");
    assert_eq!(error["data"]["result"][0]["value"][1], "0");

    // Full, and not full any more.
    let full = "MaintDiskFull ssd space";
    assert!(!prometheus.firing().contains(full));
    Tool::check(&host.config("crit = { used = '1%' }")).exits(2);
    prometheus.waits_for("full", |firing| firing.contains(full));
    Tool::check(&host.config("crit = { used = '99%' }")).exits(2);
    prometheus.waits_for("not full", |firing| !firing.contains(full));

    // Not run for an hour, and run again.
    let config = host.config("");
    Tool::check_at(&config, now() - hours(1)).exits(2);
    host.live_was_done_before(hours(4));
    Tool::prune(&config).arg("gone").exits(1);
    let overdue = ["MaintCheckOverdue -", "MaintPruneOverdue live"];
    prometheus.waits_for("overdue", |firing| overdue.iter().all(|alert| firing.contains(*alert)));
    Tool::check(&config).exits(2);
    Tool::prune(&config).arg("live").exits(0);
    prometheus.waits_for("in time", |firing| overdue.iter().all(|alert| !firing.contains(*alert)));
}

/// A label, a value, a unit and what follows.
#[derive(Debug, Clone, PartialEq)]
struct Datum {
    label: String,
    value: f64,
    unit: String,
    warn: String,
    crit: String,
    least: Option<f64>,
    most: Option<f64>,
}

/// Performance data by the guidelines for plugins: `'label'=value[UOM];[warn];[crit];[min];[max]`, apart by
/// spaces; a quote in a label is doubled, an equals sign is not allowed.
fn perfdata(text: &str) -> Result<Vec<Datum>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        let mut label = String::new();
        if let Some(quoted) = rest.strip_prefix('\'') {
            let mut chars = quoted.char_indices();
            rest = loop {
                match chars.next().ok_or("an open quote")? {
                    (at, '\'') if quoted[at + 1..].starts_with('\'') => {
                        label.push('\'');
                        chars.next();
                    }
                    (at, '\'') => break &quoted[at + 1..],
                    (_, '=') => return Err(format!("= in {quoted}")),
                    (_, c) => label.push(c),
                }
            };
        } else {
            let end = rest.find('=').ok_or("no =")?;
            label.push_str(&rest[..end]);
            if label.contains([' ', '\'', '"']) {
                return Err(format!("{label} wants quotes"));
            }
            rest = &rest[end..];
        }
        if label.is_empty() || label.chars().any(|c| c.is_control() || c == '|') {
            return Err(format!("label {label:?}"));
        }
        rest = rest.strip_prefix('=').ok_or_else(|| format!("no = after {label}"))?;
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after.trim_start_matches(' ');
        let fields: Vec<&str> = word.split(';').collect();
        if fields.len() > 5 {
            return Err(format!("too many fields in {word}"));
        }
        let (value, unit) = measured(fields[0])?;
        let field = |n: usize| fields.get(n).copied().unwrap_or_default();
        let bound = |n: usize| match field(n) {
            "" => Ok(None),
            text => digits(text).map(Some),
        };
        let (least, most) = (bound(3)?, bound(4)?);
        for limit in [field(1), field(2)] {
            within(limit, least, most)?;
        }
        if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
            return Err(format!("{value} is not between {least:?} and {most:?}"));
        }
        all.push(Datum {
            label,
            value,
            unit,
            warn: field(1).to_owned(),
            crit: field(2).to_owned(),
            least,
            most,
        });
    }
    Ok(all)
}

fn measured(text: &str) -> Result<(f64, String), String> {
    if text == "U" {
        return Ok((0.0, String::new()));
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let unit = &text[end..];
    if !["", "s", "us", "ms", "%", "B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "c"]
        .contains(&unit)
    {
        return Err(format!("unit {unit:?}"));
    }
    Ok((digits(&text[..end])?, unit.to_owned()))
}

/// `[-0-9.]` only, and a number.
fn digits(text: &str) -> Result<f64, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.') {
        return Err(format!("number {text:?}"));
    }
    text.parse().map_err(|_| format!("number {text:?}"))
}

/// A range: `10`, `10:`, `~:10`, `10:20`, `@10:20`; what it names lies between the bounds.
fn within(range: &str, least: Option<f64>, most: Option<f64>) -> Result<(), String> {
    let plain = range.strip_prefix('@').unwrap_or(range);
    let (start, end) = plain.split_once(':').unwrap_or(("", plain));
    let ends: Vec<f64> = [start, end]
        .into_iter()
        .filter(|end| !["", "~"].contains(end))
        .map(digits)
        .collect::<Result<_, _>>()?;
    if ends.len() == 2 && ends[0] > ends[1] {
        return Err(format!("{range} ends before it begins"));
    }
    let out = |end: &f64| least.is_some_and(|least| *end < least) || most.is_some_and(|most| *end > most);
    if ends.iter().any(out) { Err(format!("{range} leads out of {least:?} to {most:?}")) } else { Ok(()) }
}

#[test]
fn the_parser_knows_right_from_wrong() {
    for right in [
        "'it''s a'=5B;1;2;0;9 b=7",
        "/=2643MB;5948;5958;0;5968",
        "load=0.5;@1:2;~:10;;",
        "x=U",
        "t=-3.25s;10:;;-5",
        "",
    ] {
        perfdata(right).unwrap();
    }
    for wrong in [
        "a b=5",
        "'a=b'=5",
        "'open=5",
        "a=5;6;7;0;4",
        "a=1e5",
        "a=1,000",
        "a=5QB",
        "a=5;18446743269476925440;;0;10",
        "a",
        "a=",
        "a=5;;;;;;",
        "'a|b'=1",
        "a=5;20:10",
    ] {
        assert!(perfdata(wrong).is_err(), "{wrong}");
    }
}

/// The whole of a plugin's output: a first line with its data, and lines that begin with a space.
fn plugin_output(tool: &str, code: i32, text: &str) -> Vec<Datum> {
    let word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::try_from(code).unwrap()];
    let (first, more) = text.split_once('\n').unwrap();
    let (said, data) = first.split_once('|').unwrap_or((first, ""));
    assert!(said.starts_with(&format!("{tool} {word}: ")), "{first}");
    assert!(!data.contains('|'), "{first}");
    assert!(text.ends_with('\n') && !text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let mut before = 0;
    for line in more.lines() {
        assert!(line.starts_with(' ') && !line.contains('|'), "{line}");
        let words = ["CRITICAL", "UNKNOWN", "WARNING", "OK", "NOT-MEASURED"];
        let place = words.iter().position(|word| line.starts_with(&format!(" {word}: "))).unwrap().min(3);
        assert!(place >= before, "the worst first: {text}");
        before = place;
    }
    perfdata(data).unwrap_or_else(|why| panic!("{why}: {data}"))
}

/// Folders whose names TOML can write, and a monitoring core would stumble over.
#[test]
fn whatever_a_folder_is_called_the_output_obeys_the_grammar() {
    const PARTS: [&str; 18] = [
        "'",
        "\"",
        " ",
        "=",
        "|",
        "ä",
        "Größe",
        "\n",
        "\t",
        ";",
        "$(x)",
        "`",
        "\\",
        "\u{1b}[2J",
        "\u{202e}",
        "猫",
        "-",
        "a",
    ];
    let mut random = Random::seeded("whatever_a_folder_is_called_the_output_obeys_the_grammar");
    let scratch = Scratch::new();
    for round in 0..scale(30, 300) {
        let mut sections = String::new();
        let mut mounts = Vec::new();
        for n in 0..4 {
            let name: String = (0..=random.below(6)).map(|_| *random.pick(&PARTS)).collect();
            let folder = scratch.folder(&format!("{round}/{n}{name}"));
            // TOML writes a name with escapes as JSON does.
            let path = serde_json::to_string(folder.to_str().unwrap()).unwrap();
            fs::write(folder.join(&name), vec![1; 1 + random.below(5000)]).unwrap();
            let severity = random.pick(&["warning", "critical"]);
            let (most, size) = (random.below(3), random.below(6000));
            let id = *random.pick(&["w", "a.b", "x_y-z", "0"]);
            sections += &format!(
                "[watch.\"{id}{n}\"]\npath = {path}\nmax-files = {most}\nmax-file-size = '{size}B'\n\
                 fresh = '1h'\nseverity = '{severity}'\n"
            );
            if n == 0 {
                mounts.push(Mounted::tmpfs(&folder, 64));
                sections += &format!(
                    "[volume.v{n}]\npath = {path}\nwarn = '{}%'\ncrit = {{ free = '{}GiB' }}\n",
                    random.below(100),
                    random.below(2)
                );
            } else if n == 1 {
                sections += &format!("[volume.v{n}]\npath = {path}\n");
            }
        }
        let config = scratch.config(&sections);
        let done = Tool::check(&config).args("--format nagios").run();
        let code = done.code.unwrap();
        assert!((0..3).contains(&code), "{}\n{}\n{sections}", done.stderr, done.stdout);
        let data = plugin_output("DISK", code, &done.stdout);
        let labels: BTreeSet<&String> = data.iter().map(|datum| &datum.label).collect();
        assert_eq!(labels.len(), data.len(), "each label once: {}", done.stdout);
        assert!(
            labels.contains(&"v0 space".to_owned()) && labels.contains(&"v0 inodes".to_owned()),
            "{labels:?}"
        );
        let report = Tool::check(&config).arg("--json").exits(code).json();
        assert_eq!(report["exit_code"], code);
        // The commands in it are those that are meant.
        for next in report["checks"].as_array().unwrap().iter().filter_map(|check| check["next"].as_str()) {
            let parsed = Command::new("bash").args(["-n", "-c", next]).output().unwrap();
            assert!(parsed.status.success(), "{next}: {parsed:?}");
        }
    }
}

/// Limits beyond what there is are those of what there is.
#[test]
fn limits_are_clamped() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 16);
    let config = scratch.config(&volume("d", disk.at(), "warn = '1000GiB'\ncrit = '500GiB'"));
    let done = Tool::check(&config).args("--format nagios").exits(2);
    let data = plugin_output("DISK", 2, &done.stdout);
    let space = data.iter().find(|datum| datum.label == "d space").unwrap();
    assert_eq!((space.warn.as_str(), space.crit.as_str(), space.unit.as_str()), ("0", "0", "B"));
    assert_eq!(space.least, Some(0.0));
    assert!(done.stdout.starts_with("DISK CRITICAL: d space "), "the worst first");
    let hangs = Hanging::at_once(&scratch.path().join("hangs"));
    let config = scratch.config(&volume("h", hangs.at(), ""));
    let done = Tool::check(&config).args("--format nagios").exits(2);
    assert_eq!(plugin_output("DISK", 2, &done.stdout), []);
    done.says("DISK CRITICAL: h mount ").says("does not answer within 10 s");
}

const CHECK_DISK: &str = "/usr/lib/nagios/plugins/check_disk";

/// What `check_disk` exits with and says.
fn peer(words: &[&str], at: &Path) -> (i32, Vec<Datum>) {
    let done = Command::new(CHECK_DISK).args(words).arg("-p").arg(at).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let data = said.split_once('|').map_or("", |(_, data)| data.trim_end());
    (done.status.code().unwrap(), perfdata(data).unwrap_or_else(|why| panic!("{why}: {said}")))
}

#[test]
fn check_disk_of_monitoring_plugins_agrees() {
    let scratch = Scratch::new();
    let ext4 = Mounted::ext4(&scratch.path().join("ext4"), 64);
    let tmpfs = Mounted::tmpfs(&scratch.path().join("tmpfs"), 8192);
    for mount in [&ext4, &tmpfs] {
        fs::write(mount.at().join("fill"), vec![1; 5 << 20]).unwrap();
        for n in 0..300 {
            fs::File::create(mount.at().join(format!("f{n}"))).unwrap();
        }
        Command::new("sync").arg("-f").arg(mount.at()).status().unwrap();
        let df = |columns: &str| -> Vec<u64> {
            let said = Command::new("df")
                .args(["-B1", &format!("--output={columns}")])
                .arg(mount.at())
                .output()
                .unwrap();
            let said = String::from_utf8(said.stdout).unwrap();
            said.lines().last().unwrap().split_whitespace().map(|n| n.parse().unwrap()).collect()
        };
        // It rounds up to a whole percent, as df does, and we do not: between the two nothing is compared.
        let percent = |[used, free]: [u64; 2]| {
            let (floor, rest) = (used * 100 / (used + free), used * 100 % (used + free));
            [floor, floor + u64::from(rest > 0)]
        };
        let space = df("used,avail");
        let inodes = df("iused,iavail");
        let (space, inodes) = (percent([space[0], space[1]]), percent([inodes[0], inodes[1]]));
        let ours = |keys: &str| {
            let config = scratch.config(&volume("d", mount.at(), keys));
            let done = Tool::check(&config).args("--format nagios").run();
            (done.code.unwrap(), plugin_output("DISK", done.code.unwrap(), &done.stdout))
        };
        // Around the real value, as shares.
        for (real, theirs, key) in [(space, ["-w", "-c"], "used"), (inodes, ["-W", "-K"], "inodes")] {
            let [floor, ceil] = real;
            for warn in [floor.saturating_sub(3), floor, ceil + 1, ceil + 4] {
                for crit in [floor, ceil + 1, ceil + 5] {
                    if warn >= crit || warn == 0 {
                        continue;
                    }
                    let free = [warn, crit].map(|used| format!("{}%", 100 - used));
                    let mut words = vec![theirs[0], &free[0], theirs[1], &free[1]];
                    if key == "inodes" {
                        words.extend(["-w", "0%", "-c", "0%"]);
                    }
                    let keys = format!("warn = {{ {key} = '{warn}%' }}\ncrit = {{ {key} = '{crit}%' }}");
                    let (theirs, data) = peer(&words, mount.at());
                    let (ours, own) = ours(&keys);
                    assert_eq!(ours, theirs, "{real:?}%: {keys} beside {words:?}");
                    // It counts whole MiB, and is as full as we say.
                    let used = own.iter().find(|datum| datum.label == "d space").unwrap().value;
                    let unit = if data[0].unit == "B" { 1.0 } else { 1_048_576.0 };
                    let less = used - data[0].value * unit;
                    assert!((0.0..1_048_576.0).contains(&less), "{data:?} {used}");
                }
            }
        }
        // And as what is free.
        let free_mib = df("avail")[0] >> 20;
        for warn in [free_mib.saturating_sub(1), free_mib + 1, free_mib + 2] {
            let number = warn.to_string();
            let (theirs, _) = peer(&["-u", "MiB", "-w", &number, "-c", "0"], mount.at());
            let (ours, _) = ours(&format!("warn = {{ free = '{warn}MiB' }}"));
            assert_eq!(ours, theirs, "{warn} MiB of {free_mib}");
        }
    }
    // What is not there is critical to both; and what is read-only is only to us.
    let gone = scratch.folder("gone");
    let config = scratch.config(&volume("d", &gone.join("x"), ""));
    Tool::check(&config).args("--format nagios").exits(2);
    assert_eq!(peer(&["-w", "10%", "-c", "5%"], &gone.join("x")).0, 2);
}

/// As a monitoring core calls it: `negate` of monitoring-plugins understands what comes back.
#[test]
fn negate_understands_it() {
    let scratch = Scratch::new();
    let disk = Mounted::tmpfs(&scratch.path().join("disk"), 1000);
    let tool = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().join("check-disk");
    for (keys, code) in [("crit = '0%'", 0), ("", 2)] {
        let config = scratch.config(&volume("d", disk.at(), keys));
        let negate = Path::new("/usr/lib/nagios/plugins/negate");
        let words = [tool.as_os_str(), "--format=nagios".as_ref(), "--config".as_ref(), config.as_os_str()];
        let done = Command::new(negate).arg("-s").args(words).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{done:?}");
        let said = String::from_utf8(done.stdout).unwrap();
        let word = ["DISK OK:", "", "DISK CRITICAL:"][usize::try_from(code).unwrap()];
        assert!(said.starts_with(word), "{said}");
    }
}
