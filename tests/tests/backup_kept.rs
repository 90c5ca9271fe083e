//! Which backups stay: by the calendar, whatever fails, whatever else lies there, on a second disk too.

use maint_tests::{AppDb as Host, Mounted, Random, Tool, dumped, json_lines, reseal, scale};
use rusqlite::Connection;
use std::{collections::BTreeSet, fs, process::Command};

#[test]
fn fourteen_failing_nights_leave_the_last_good_one() {
    let host = Host::new("wal", "keep = { last = 1 }\nmax-unproven = 0");
    let day = 86_400;
    host.back_up_at(1_800_000_000);
    let good = host.ids();
    // Whatever fails: the file is away.
    let aside = host.scratch.path().join("aside.db");
    fs::rename(&host.file, &aside).unwrap();
    for night in 1..=14 {
        let done = host.back_up_at(1_800_000_000 + night * day);
        assert_eq!(done["exit_code"], 2, "{done}");
        assert_eq!(host.ids(), good);
    }
    fs::rename(&aside, &host.file).unwrap();
    let done = host.back_up_at(1_800_000_000 + 15 * day);
    assert_eq!(done["exit_code"], 0, "{done}");
    assert_eq!(host.ids().len(), 1);
    assert_ne!(host.ids(), good);
}

#[test]
fn what_is_kept_of_four_hundred_days_is_what_a_model_keeps() {
    let host = Host::new("wal", "keep = { daily = 7, weekly = 4, monthly = 6 }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    let mut made: Vec<(i64, String)> = Vec::new();
    let mut random = Random::seeded("days");
    for n in 0..scale(90, 400) {
        let n = i64::try_from(n).unwrap();
        // Some days are missed, some have two.
        for _ in 0..[1, 1, 1, 1, 0, 2][random.below(6)] {
            let now = start + n * day + i64::try_from(random.below(86_000)).unwrap();
            if made.last().is_some_and(|(last, _)| *last >= now) {
                continue;
            }
            let done = Tool::backup_at(&host.config, now).env("TZ", "UTC").arg("--json").exits(0).json();
            made.push((now, done["targets"][0]["id"].as_str().unwrap().to_owned()));
            let there: BTreeSet<String> = fs::read_dir(host.backups())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            let wanted = model(&made, now);
            assert_eq!(there, wanted, "day {n}");
            // What is gone is gone: it cannot win any more.
            made.retain(|(_, id)| wanted.contains(id));
        }
    }
    let removed = json_lines(&host.scratch.path().join("audit.jsonl"));
    assert!(removed.len() > 40 && removed.iter().all(|line| line["event"] == "backup-removed"));
}

/// Seven days, four weeks, six months: for each the newest of the newest, and while there are fewer the oldest.
fn model(made: &[(i64, String)], _now: i64) -> BTreeSet<String> {
    let number = |at: i64, format: &str| {
        let done = Command::new("date")
            .args(["-u", "-d", &format!("@{at}"), &format!("+{format}")])
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let mut keeps = BTreeSet::new();
    for (format, count) in [("%Y-%m-%d", 7), ("%G-%V", 4), ("%Y-%m", 6)] {
        let mut seen: Vec<String> = Vec::new();
        for (at, id) in made.iter().rev() {
            let period = number(*at, format);
            if seen.len() < count && !seen.contains(&period) {
                seen.push(period);
                keeps.insert(id.clone());
            }
        }
        if seen.len() < count {
            keeps.extend(made.first().map(|(_, id)| id.clone()));
        }
    }
    keeps
}

#[test]
fn a_second_disk_has_its_own_calendar_and_catches_up() {
    let host = Host::new("wal", "keep = { last = 2 }");
    let second = host.scratch.folder("second");
    let text = fs::read_to_string(&host.config).unwrap();
    let copy = format!(
        "copy-to = {{ dir = '{0}/copies', keep = {{ last = 4 }}, volume = 'second' }}\n[volume.second]\npath = '{0}'\n",
        second.display()
    );
    fs::write(&host.config, text + &copy).unwrap();
    let (day, start) = (86_400, 1_800_000_000_i64);
    let disk = Mounted::ext4(&second, 80);
    for n in 0..3 {
        assert_eq!(host.back_up_at(start + n * day)["exit_code"], 0);
    }
    let copies = || {
        let mut all: Vec<String> = fs::read_dir(second.join("copies"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    };
    assert_eq!((copies().len(), host.ids().len()), (3, 3), "one lies on the second disk alone");
    disk.unmount();
    let done = host.back_up_at(start + 3 * day);
    assert_eq!(
        (done["exit_code"].as_u64(), done["targets"][0]["verified"].as_str()),
        (Some(1), Some("restore")),
        "{done}"
    );
    assert!(copies().is_empty(), "the disk below is not filled in its place");
    drop(disk);
    let disk = Mounted::ext4(&second, 80);
    assert_eq!(host.back_up_at(start + 4 * day)["exit_code"], 0);
    // A new disk: it gets both that are there.
    assert_eq!(copies().len(), 2);
    for id in copies() {
        for entry in fs::read_dir(second.join("copies").join(&id)).unwrap() {
            let path = entry.unwrap().path();
            let original = host.backups().join(&id).join(path.file_name().unwrap());
            assert!(fs::read(&path).unwrap() == fs::read(&original).unwrap(), "{}", path.display());
        }
    }
    // A copy can be restored when the original is gone.
    let id = host.ids()[0].clone();
    fs::remove_dir_all(host.backups()).unwrap();
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    assert!(dumped(&host.file) == dumped(&to));
    disk.unmount();
}

#[test]
fn a_copy_outlives_its_original() {
    let host = Host::new("wal", "keep = { last = 14 }");
    let copies = host.scratch.path().join("copies");
    let text = fs::read_to_string(&host.config).unwrap();
    let copy = format!("copy-to = {{ dir = '{}', keep = {{ last = 14 }} }}\n", copies.display());
    fs::write(&host.config, text + &copy).unwrap();
    let (day, start) = (86_400, 1_800_000_000_i64);
    for n in 0..6 {
        host.back_up_at(start + n * day);
    }
    for id in host.ids() {
        let path = host.backups().join(&id).join("data.db.zst");
        let mut bytes = fs::read(&path).unwrap();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    Tool::backup_at(&host.config, start + 6 * day).arg("verify").exits(2);
    for n in 7..10 {
        host.back_up_at(start + n * day);
    }
    // What was found out of the originals is no news of copies that are whole.
    let mut levels = Vec::new();
    for entry in fs::read_dir(&copies).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path().join("manifest.json")).unwrap_or_default();
        levels.extend((!text.is_empty()).then(|| text.contains("\"held\": false")));
    }
    assert_eq!(levels, [false; 9], "six of before, and three new ones");
}

#[test]
fn a_manifest_that_somebody_wrote_leads_nowhere() {
    let host = Host::new("wal", "keep = { last = 1 }");
    host.back_up_at(1_800_000_000);
    let folder = host.backups().join(&host.ids()[0]);
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let secret = host.scratch.file("secret", "secret");
    for names in ["../../secret", "/etc/passwd", "", "manifest.json", "data.db.zst"] {
        // Whoever can write there can seal it, too.
        fs::write(&path, &text).unwrap();
        reseal(&path, |body| body.replace("\"name\": \"schema.txt\"", &format!("\"name\": {names:?}")));
        Tool::backup(&host.config).arg("verify").exits(2).says("which no backup has");
        host.back_up_at(1_800_086_400 + i64::try_from(names.len()).unwrap());
        assert!(secret.exists() && folder.join("data.db.zst").exists());
    }
}

#[test]
fn who_lost_his_data_keeps_the_backup_of_them() {
    let host = Host::new("wal", "keep = { last = 2 }");
    host.fill(500, 10);
    let (day, start) = (86_400, 1_800_000_000_i64);
    host.back_up_at(start);
    let full = host.ids()[0].clone();
    Connection::open(&host.file).unwrap().execute_batch("DELETE FROM jobs; DELETE FROM notes").unwrap();
    for night in 1..6 {
        let done = host.back_up_at(start + night * day);
        assert_eq!(done["exit_code"], 1, "{done}");
        assert!(done["targets"][0]["notes"].to_string().contains("it stays until --force shrink"), "{done}");
        assert!(host.ids().contains(&full) && host.ids().len() <= 3, "{:?}", host.ids());
    }
    let dry = Tool::backup_at(&host.config, start + 6 * day).arg("-n").exits(1);
    dry.says("it stays until --force shrink");
    assert!(!dry.stdout.contains("would go "), "{}", dry.stdout);
    Tool::backup_at(&host.config, start + 6 * day).args("--force shrink").exits(0);
    assert!(!host.ids().contains(&full) && host.ids().len() == 2);
    Tool::backup(&host.config).args("--force nonsense").exits(3).warns("shrink");
}

#[test]
fn a_history_is_not_lost_in_a_night_in_which_more_is_asked_for() {
    let host = Host::new("wal", "keep = { last = 14 }\nverify = 'checksum'");
    let (day, start) = (86_400, 1_800_000_000_i64);
    for n in 0..10 {
        host.back_up_at(start + n * day);
    }
    let text = fs::read_to_string(&host.config).unwrap().replace("'checksum'", "'restore'");
    fs::write(&host.config, text).unwrap();
    host.back_up_at(start + 10 * day);
    assert_eq!(host.ids().len(), 9, "two of those that count no more have gone, and one has come");
}

#[test]
fn another_machines_backups_stay() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let there = |now: i64| {
        Tool::wrapped_at(
            "backup-db",
            &["unshare", "-u", "sh", "-c", "hostname elsewhere && exec \"$0\" \"$@\""],
            now,
        )
        .arg("-c")
        .arg(&host.config)
        .run()
    };
    let (day, start) = (86_400, 1_800_000_000_i64);
    assert_eq!(there(start).code, Some(0));
    host.back_up_at(start + day);
    let done = there(start + 2 * day);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    done.says("of another machine lie here and stay");
    assert_eq!(host.ids().len(), 2, "one of each");
}

#[test]
fn a_clock_that_is_wrong_removes_nothing() {
    let host = Host::new("wal", "keep = { within = '14d' }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    for n in 0..5 {
        host.back_up_at(start + n * day);
    }
    let done = Tool::backup_at(&host.config, start + 400 * day).env("MAINT_TEST_SYNCHRONISED", "no").exits(1);
    done.says("set the clock right: nothing was removed");
    assert_eq!(host.ids().len(), 6);
}

#[test]
fn a_copy_that_has_gone_bad_is_made_again() {
    let host = Host::new("wal", "keep = { last = 3 }");
    let text = fs::read_to_string(&host.config).unwrap();
    let copies = host.scratch.path().join("copies");
    fs::write(
        &host.config,
        format!("{text}copy-to = {{ dir = '{}', keep = {{ last = 3 }} }}\n", copies.display()),
    )
    .unwrap();
    host.back_up_at(1_800_000_000);
    let id = host.ids()[0].clone();
    let (original, copy) =
        (host.backups().join(&id).join("data.db.zst"), copies.join(&id).join("data.db.zst"));
    let mut bytes = fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    fs::write(&copy, &bytes).unwrap();
    Tool::backup(&host.config).arg("verify").exits(2);
    // Where the original is bad and the copy is whole, the copy is restored.
    host.back_up_at(1_800_086_400);
    assert!(fs::read(&original).unwrap() == fs::read(&copy).unwrap(), "it was made again");
    fs::write(&original, &bytes).unwrap();
    let to = host.scratch.path().join("again.db");
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    fs::write(host.backups().join(&id).join("manifest.json"), "").unwrap();
    fs::remove_file(&to).unwrap();
    Tool::backup(&host.config).args(&format!("restore {id} --into")).arg(&to).exits(0);
    // A disk that is not there is not a disk without backups.
    fs::rename(host.backups(), host.scratch.path().join("away")).unwrap();
    Tool::backup(&host.config).arg("list").exits(1).warns("is not there");
    Tool::backup(&host.config).arg("verify").exits(1).says("it is not there");
}

#[test]
fn what_is_not_ours_stays() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let (day, start) = (86_400, 1_800_000_000_i64);
    host.back_up_at(start);
    let first = host.ids()[0].clone();
    let backups = host.backups();
    // Others' folders, others' backups, links, and a note that somebody has put beside a backup.
    fs::create_dir(backups.join("app-other")).unwrap();
    fs::write(backups.join("app-other/precious"), "x").unwrap();
    fs::create_dir(backups.join(".unfinished-")).unwrap();
    fs::write(backups.join("notes.txt"), "x").unwrap();
    fs::create_dir(host.scratch.path().join("outside")).unwrap();
    fs::write(host.scratch.path().join("outside/precious"), "x").unwrap();
    std::os::unix::fs::symlink(
        host.scratch.path().join("outside"),
        backups.join(".unfinished-app-20260101T000000Z"),
    )
    .unwrap();
    std::os::unix::fs::symlink(host.scratch.path().join("outside"), backups.join("app-20260101T000000Z"))
        .unwrap();
    fs::write(backups.join(&first).join("why-we-keep-this.txt"), "x").unwrap();
    let done = host.back_up_at(start + day);
    assert!(
        done["targets"][0]["notes"].to_string().contains("why-we-keep-this.txt, which is no part of it"),
        "{done}"
    );
    assert!(backups.join(&first).join("data.db.zst").exists());
    fs::remove_file(backups.join(&first).join("why-we-keep-this.txt")).unwrap();
    host.back_up_at(start + 2 * day);
    assert!(!backups.join(&first).exists(), "and then it goes");
    for path in
        ["backups/app-other/precious", "backups/notes.txt", "outside/precious", "backups/.unfinished-"]
    {
        assert!(host.scratch.path().join(path).exists(), "{path}");
    }
    // Another section with the same folder has backups of its own.
    let text = fs::read_to_string(&host.config).unwrap();
    let twin = host.scratch.path().join("twin.db");
    fs::copy(&host.file, &twin).unwrap();
    let more = text[text.find("[database.app]").unwrap()..]
        .replace("app", "app-prod")
        .replace(&host.file.display().to_string().replace("app", "app-prod"), &twin.display().to_string());
    fs::write(&host.config, format!("{text}{more}")).unwrap();
    host.back_up_at(start + 3 * day);
    let mut sections: Vec<String> = Tool::backup(&host.config).args("list --json").run().json()["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|backup| backup["database"].as_str().unwrap().to_owned())
        .collect();
    sections.sort();
    assert_eq!(sections, ["app", "app-prod"]);
}

#[test]
fn a_hold_keeps_every_backup() {
    let host = Host::new("wal", "keep = { last = 1 }");
    let (day, start) = (60, maint_tests::now());
    host.back_up_at(start);
    let shared = host.scratch.folder("state/shared");
    fs::write(shared.join("hold.app"), "6h\n").unwrap();
    let held = host.back_up_at(start + day);
    assert!(held["targets"][0]["notes"].to_string().contains("nothing was removed"), "{held}");
    assert_eq!(host.ids().len(), 2);
    fs::remove_file(shared.join("hold.app")).unwrap();
    host.back_up_at(start + 2 * day);
    assert_eq!(host.ids().len(), 1);
}
