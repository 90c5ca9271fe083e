//! `check-disk` on real filesystems: what it sees, what it says, what it remembers, and what it outlives.

use maint_tests::{
    Done, Hanging, Mounted, Random, Scratch, Space, Tool, Tree, days, hours, now, scale, set_age, wait_until,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A finding by its name.
fn find(report: &Value, name: &str) -> Value {
    let all = report["checks"].as_array().unwrap();
    let found = all.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#}")).clone()
}

fn status(report: &Value, name: &str) -> String {
    find(report, name)["status"].as_str().unwrap().to_owned()
}

fn message(report: &Value, name: &str) -> String {
    find(report, name)["message"].as_str().unwrap().to_owned()
}

/// A number of a finding, which is a whole one.
fn number(report: &Value, name: &str, key: &str) -> u64 {
    let number = find(report, name)[key].as_f64().unwrap();
    format!("{number:.0}").parse().unwrap()
}

fn volume(name: &str, at: &Path, keys: &str) -> String {
    format!("[volume.{name}]\npath = {at:?}\n{keys}\n")
}

/// Whatever is wrong comes with a command, and nothing else does.
fn json(config: &Path, code: i32) -> Value {
    let report = Tool::check(config).arg("--json").exits(code).json();
    for check in report["checks"].as_array().unwrap() {
        let is_wrong = !["ok", "not-measured"].contains(&check["status"].as_str().unwrap());
        assert_eq!(check["next"].is_string(), is_wrong, "{check}");
    }
    report
}

/// Used and available bytes, and used and free inodes, as `df` prints them.
fn df(at: &Path) -> [u64; 4] {
    let ask = |columns: &str| {
        let said = Command::new("df").args(["-B1", &format!("--output={columns}")]).arg(at).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let numbers: Vec<u64> =
            said.lines().last().unwrap().split_whitespace().map(|n| n.parse().unwrap_or(0)).collect();
        numbers
    };
    let (bytes, inodes) = (ask("used,avail"), ask("iused,iavail"));
    [bytes[0], bytes[1], inodes[0], inodes[1]]
}

fn fill(path: &Path, mib: usize) {
    fs::write(path, vec![1; mib << 20]).unwrap();
    Command::new("sync").arg("-f").arg(path).status().unwrap();
}

#[test]
fn space_and_inodes_are_held_against_their_marks() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 64);
    fill(&disk.at().join("half"), 30);
    for n in 0..2000 {
        File::create(disk.at().join(format!("f{n}"))).unwrap();
    }
    let [used, available, inodes, inodes_free] = df(disk.at());
    let whole = used + available;
    let percent = used * 100 / whole;
    let of_inodes = inodes * 100 / (inodes + inodes_free);
    assert!(percent > 40 && of_inodes > 10, "{percent} {of_inodes}");
    let free_mib = available >> 20;
    for (marks, space, inodes, code) in [
        (format!("warn = '{}%'\ncrit = '99%'", percent + 1), "ok", "ok", 0),
        (format!("warn = {{ used = '{percent}%' }}"), "warning", "ok", 1),
        (format!("warn = {{ used = '1%' }}\ncrit = {{ used = '{percent}%' }}"), "critical", "ok", 2),
        (format!("warn = {{ free = '{free_mib}MiB' }}"), "ok", "ok", 0),
        (format!("warn = {{ free = '{}MiB' }}", free_mib + 1), "warning", "ok", 1),
        (format!("crit = '{}MiB'", free_mib + 1), "critical", "ok", 2),
        (format!("warn = {{ inodes = '{of_inodes}%' }}"), "ok", "warning", 1),
        (format!("warn = {{ inodes = '{}%' }}", of_inodes + 1), "ok", "ok", 0),
        (format!("crit = {{ used = '99%', inodes = '{of_inodes}%' }}"), "ok", "critical", 2),
        // One mark is for both.
        (format!("warn = '{of_inodes}%'"), "warning", "warning", 1),
        (String::new(), "ok", "ok", 0),
    ] {
        let config = scratch.config(&volume("ssd", disk.at(), &marks));
        let report = json(&config, code);
        assert_eq!(
            [status(&report, "ssd space"), status(&report, "ssd inodes")],
            [space, inodes],
            "{marks}: {report:#}"
        );
    }
    let config = scratch.config(&volume("ssd", disk.at(), "warn = '10%'\ncrit = '90%'"));
    let report = json(&config, 1);
    assert_eq!(number(&report, "ssd space", "value"), used, "what df calls used");
    assert_eq!(number(&report, "ssd space", "warn"), whole / 10, "limits are of the same whole");
    assert_eq!(number(&report, "ssd inodes", "value"), inodes);
    Tool::check(&config).exits(1).says(&format!("{percent}.")).says("next: prune-images");
}

#[test]
fn every_kind_of_filesystem() {
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path().join(name);
    let xfs = Mounted::of_kind("xfs", &at("xfs"), 300);
    let btrfs = Mounted::of_kind("btrfs", &at("btrfs"), 120);
    let ext4 = Mounted::ext4(&at("it's \"the\" disk, Größe=1 | \\ $HOME"), 16);
    let tmpfs = Mounted::with_inodes(&at("new\nline"), 100);
    let below = scratch.folder("below");
    let [upper, work] = ["upper", "work"].map(|name| {
        fs::create_dir(ext4.at().join(name)).unwrap();
        ext4.at().join(name)
    });
    // Its options cannot hold every name.
    let short = at("short");
    symlink(ext4.at(), &short).unwrap();
    let options =
        format!("lowerdir={},upperdir={1}/upper,workdir={1}/work", below.display(), short.display());
    let overlay = Mounted::with(&["-t", "overlay", "-o", &options, "over"], &at("overlay"));
    fill(&upper.join("x"), 1);
    let bind = Mounted::bind(&work, &at("bind"));
    let mounts = [&xfs, &btrfs, &ext4, &tmpfs, &overlay, &bind];
    let names = ["xfs", "btrfs", "ext4", "tmpfs", "overlay", "bind"];
    let all = mounts.iter().zip(names);
    let sections: String =
        all.clone().map(|(mount, name)| volume(name, mount.at(), "warn = '98%'")).collect();
    let config = scratch.config(&sections);
    let report = json(&config, 0);
    for (mount, name) in all {
        let [used, _, inodes, _] = df(mount.at());
        assert_eq!(number(&report, &format!("{name} space"), "value"), used, "{name}");
        let has_inodes =
            report["checks"].as_array().unwrap().iter().any(|c| c["name"] == format!("{name} inodes"));
        assert_eq!(
            has_inodes,
            !["xfs", "btrfs"].contains(&name),
            "inodes that are made on demand have no limit"
        );
        if has_inodes {
            assert_eq!(number(&report, &format!("{name} inodes"), "value"), inodes, "{name}");
        }
    }
    assert!(message(&report, "btrfs mount").starts_with("btrfs on /dev/loop"));
    assert!(message(&report, "overlay mount").starts_with("overlay on over"));
    // A command with such a name does what it says.
    let config = scratch.config(&sections.replace("98%", "0%"));
    let report = json(&config, 1);
    for name in names {
        let next = find(&report, &format!("{name} space"))["next"].as_str().unwrap().to_owned();
        assert!(next.contains("check-disk -v"), "{next}");
    }
    let config = scratch
        .config(&(volume("odd", ext4.at(), "crit = '0%'") + &volume("line", tmpfs.at(), "crit = '0%'")));
    let report = json(&config, 2);
    for (name, mount) in [("odd", &ext4), ("line", &tmpfs)] {
        let next = find(&report, &format!("{name} space"))["next"].as_str().unwrap().to_owned();
        let du = next.split_once("du -xh ").unwrap().1.split_once(" | sort").unwrap().0.to_owned();
        let said = Command::new("bash")
            .args(["-c", &format!("stat -c %m -- {du}; printf %s {du}")])
            .output()
            .unwrap();
        assert!(said.stdout.ends_with(mount.at().as_os_str().as_encoded_bytes()), "{next}: {said:?}");
    }
}

#[test]
fn a_volume_that_vanished_or_is_another_one_or_read_only() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 8);
    let right = disk.uuid();
    let config = scratch.config(&volume("ssd", disk.at(), &format!("uuid = '{right}'")));
    assert_eq!(status(&json(&config, 0), "ssd mount"), "ok");
    let metric = |what: &str| {
        let text = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
        let line =
            text.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no {what}: {text}"));
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!([metric("maint_volume_mounted{"), metric("maint_volume_read_only{")], ["1", "0"]);

    let other = scratch.config(&volume("ssd", disk.at(), "uuid = '0a1b2c3d-0000-4000-8000-000000000000'"));
    let report = json(&other, 2);
    assert!(message(&report, "ssd mount").contains(&format!("is another one: its UUID is {right}")));
    assert_eq!(report["checks"].as_array().unwrap().len(), 1, "of another disk nothing more is told");

    disk.make_read_only();
    let config = scratch.config(&volume("ssd", disk.at(), ""));
    let report = json(&config, 2);
    assert!(message(&report, "ssd mount").contains("is read-only (ext4, /dev/loop"));
    assert!(find(&report, "ssd mount")["next"].as_str().unwrap().contains("mount -o remount,rw "));
    assert_eq!(status(&report, "ssd space"), "ok", "the rest is told all the same");
    assert_eq!(metric("maint_volume_read_only{"), "1");

    disk.unmount();
    let report = json(&config, 2);
    assert!(message(&report, "ssd mount").contains("is not mounted at"));
    assert_eq!(metric("maint_volume_mounted{"), "0", "metrics say so too, and are not those of before");
    Tool::check(&config).arg("--cron").exits(2).says("CRITICAL");
    fs::remove_dir(disk.at()).unwrap();
    json(&config, 2);
}

/// What the caller may not see is unknown, and neither well nor critical.
#[test]
fn what_cannot_be_seen_is_unknown() {
    let scratch = Scratch::new();
    let hidden = scratch.folder("hidden");
    let disk = Mounted::tmpfs(&hidden.join("disk"), 100);
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    let config = scratch.config(
        &(volume("ssd", disk.at(), "") + &format!("[watch.w]\npath = {:?}\nmax-files = 1\n", disk.at())),
    );
    let done = as_stranger("check-disk").arg("-c").arg(&config).arg("--json").exits(3).json();
    assert_eq!(status(&done, "ssd mount"), "unknown");
    assert!(message(&done, "ssd mount").contains("Permission denied"), "{done:#}");
    as_stranger("check-disk").arg("-c").arg(&config).args("--below 99% ssd").exits(3).is_silent();
    json(&config, 0);
}

/// A caller without rights.
fn as_stranger(name: &str) -> Tool {
    Tool::wrapped(name, &["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"])
        .env("HOME", "/nonexistent")
}

#[test]
fn errors_that_ext4_has_met() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 8);
    let config = scratch.config(&volume("ssd", disk.at(), ""));
    assert!(message(&json(&config, 0), "ssd errors").starts_with("0 errors"));
    // The kernel lets root claim one.
    let device = fs::canonicalize(format!("/sys/dev/block/{}", disk.device())).unwrap();
    let trigger = Path::new("/sys/fs/ext4").join(device.file_name().unwrap()).join("trigger_fs_error");
    fs::write(trigger, "for a test").unwrap();
    let report = json(&config, 2);
    let errors = find(&report, "ssd errors");
    assert_eq!((errors["status"].as_str(), number(&report, "ssd errors", "value")), (Some("critical"), 1));
    assert!(message(&report, "ssd errors").starts_with("1 error of the filesystem, the first 20"));
    assert!(errors["next"].as_str().unwrap().contains("e2fsck -f /dev/loop"));
}

/// A tree that stands for `/sys`, in which a device is another one.
struct Sys(PathBuf);

impl Sys {
    fn new(scratch: &Scratch, name: &str) -> Self {
        Self(scratch.folder(name))
    }

    fn put(&self, file: &str, text: &str) -> &Self {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    /// Makes a device number that of a folder below `devices`.
    fn is(&self, device: &str, folder: &str) -> &Self {
        let block = self.0.join("dev/block");
        fs::create_dir_all(&block).unwrap();
        fs::create_dir_all(self.0.join("devices").join(folder)).unwrap();
        symlink(format!("../../devices/{folder}"), block.join(device)).unwrap();
        self
    }
}

#[test]
fn cards_and_disks_are_told_apart() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 64);
    let device = disk.device();
    let sd = Sys::new(&scratch, "sd");
    sd.is(&device, "mmcblk0/mmcblk0p2").put("devices/mmcblk0/mmcblk0p2/partition", "2");
    sd.put("devices/mmcblk0/device/type", "SD").put("devices/mmcblk0/size", "62333952");
    let emmc = Sys::new(&scratch, "emmc");
    emmc.is(&device, "mmcblk1/mmcblk1p1").put("devices/mmcblk1/mmcblk1p1/partition", "1");
    emmc.put("devices/mmcblk1/device/type", "MMC").put("devices/mmcblk1/size", "30535680");
    let ssd = Sys::new(&scratch, "ssd");
    ssd.is(&device, "nvme0n1")
        .put("devices/nvme0n1/queue/rotational", "0")
        .put("devices/nvme0n1/size", "976773168");
    let hdd = Sys::new(&scratch, "hdd");
    hdd.is(&device, "sda").put("devices/sda/queue/rotational", "1");
    // What is encrypted is told by what it lies on.
    let crypt = Sys::new(&scratch, "crypt");
    crypt.is(&device, "dm-0").put("devices/dm-0/queue/rotational", "0");
    crypt.put("devices/mmcblk0/mmcblk0p2/partition", "2").put("devices/mmcblk0/device/type", "SD");
    fs::create_dir(crypt.0.join("devices/dm-0/slaves")).unwrap();
    symlink("../../mmcblk0/mmcblk0p2", crypt.0.join("devices/dm-0/slaves/mmcblk0p2")).unwrap();
    let none = Sys::new(&scratch, "none");

    let [used, available, ..] = df(disk.at());
    // Between the marks of a card and those of a disk.
    let wanted = ((used + available) * 83 / 100).saturating_sub(used);
    fs::write(disk.at().join("fill"), vec![1; usize::try_from(wanted).unwrap()]).unwrap();
    Command::new("sync").arg("-f").arg(disk.at()).status().unwrap();
    let config = scratch.config(&volume("v", disk.at(), ""));
    for (sys, word, code, wear) in [
        (&sd, "SD card", 1, Some("not-measured")),
        (&emmc, "eMMC", 1, Some("not-measured")),
        (&crypt, "SD card", 1, Some("not-measured")),
        (&ssd, "SSD", 0, Some("not-measured")),
        (&hdd, "disk", 0, Some("not-measured")),
        (&none, "no disk of its own", 0, None),
    ] {
        let report = Tool::check(&config).arg("--sys").arg(&sys.0).arg("--json").exits(code).json();
        assert!(message(&report, "v mount").ends_with(&format!(", {word}")), "{word}: {report:#}");
        assert_eq!(status(&report, "v space"), if code == 1 { "warning" } else { "ok" }, "{word}");
        assert_eq!(status(&report, "v errors"), "not-measured", "no counter is not none");
        let found = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "v wear");
        assert_eq!(found.map(|check| check["status"].as_str().unwrap()), wear, "{word}");
    }
    // Marks that somebody wrote are those.
    let config = scratch.config(&volume("v", disk.at(), "warn = '70%'\ncrit = '82%'"));
    Tool::check(&config).arg("--sys").arg(&ssd.0).exits(2);
}

#[test]
fn what_an_emmc_and_the_filesystem_say_of_wear() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 8);
    let device = disk.device();
    let mut n = 0;
    let mut worn = |life: &str, pre_eol: &str, keys: &str, written: &str| {
        n += 1;
        let sys = Sys::new(&scratch, &format!("sys{n}"));
        sys.is(&device, "mmcblk1/mmcblk1p1").put("devices/mmcblk1/mmcblk1p1/partition", "1");
        // 16 GiB.
        sys.put("devices/mmcblk1/device/type", "MMC").put("devices/mmcblk1/size", "33554432");
        for (file, text) in [("life_time", life), ("pre_eol_info", pre_eol)] {
            if !text.is_empty() {
                sys.put(&format!("devices/mmcblk1/device/{file}"), text);
            }
        }
        sys.put("fs/ext4/mmcblk1p1/lifetime_write_kbytes", written)
            .put("fs/ext4/mmcblk1p1/errors_count", "0");
        let config = scratch.config(&volume("v", disk.at(), keys));
        let report = Tool::check(&config).arg("--sys").arg(&sys.0).arg("--json").run().json();
        (status(&report, "v wear"), message(&report, "v wear"))
    };
    let tib = |n: u64| (n << 30).to_string();
    for (life, pre_eol, wanted, words) in [
        ("0x01 0x01", "0x01", "ok", "0% or more"),
        ("0x02 0x03", "0x01", "ok", "20% or more"),
        ("0x08 0x01", "0x01", "ok", "70% or more"),
        ("0x01 0x09", "0x01", "warning", "80% or more"),
        ("0x0b 0x01", "0x01", "critical", "100% or more"),
        ("0x01 0x01", "0x02", "warning", "few spare blocks"),
        ("0x01 0x01", "0x03", "critical", "hardly any spare block"),
        // Undefined is not new.
        ("0x00 0x00", "0x00", "ok", "1.0 TiB written of 23.4 TiB that such a one may be expected to stand"),
        ("", "", "ok", "1.0 TiB written of 23.4 TiB"),
        ("nonsense", "0x99", "ok", "1.0 TiB written"),
    ] {
        let (found, said) = worn(life, pre_eol, "", &tib(1));
        assert!(found == wanted && said.contains(words), "{life:?} {pre_eol:?}: {found}: {said}");
    }
    for (written, keys, wanted, words) in [
        (tib(18), "", "ok", "18.0 TiB written of 23.4 TiB"),
        (tib(19), "", "warning", "19.0 TiB written"),
        (tib(24), "", "critical", "24.0 TiB written"),
        (tib(24), "endurance = '60TB'", "ok", "that it stands"),
        (tib(24), "endurance = '25TiB'", "warning", "of 25.0 TiB that it stands"),
        ("nonsense".to_owned(), "", "not-measured", "the kernel does not say"),
    ] {
        let (found, said) = worn("", "", keys, &written);
        assert!(found == wanted && said.contains(words), "{written} {keys}: {found}: {said}");
    }
}

#[test]
fn the_budget_of_writes_in_years() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 8);
    let sys = Sys::new(&scratch, "sys");
    sys.is(&disk.device(), "sdx").put("devices/sdx/queue/rotational", "0").put("devices/sdx/size", "2097152");
    let config = scratch.config(&volume("v", disk.at(), "endurance = '1TB'"));
    let begin = now() - days(10);
    let mut last = Value::Null;
    for day in 0..10 {
        // A gigabyte a day of a terabyte.
        sys.put("fs/ext4/sdx/lifetime_write_kbytes", &(1_000_000_u64 * (day + 1) * 1000 / 1024).to_string());
        let at = begin + days(i64::try_from(day).unwrap());
        last = Tool::check_at(&config, at).arg("--sys").arg(&sys.0).arg("--json").exits(0).json();
    }
    let said = message(&last, "v wear");
    assert!(said.contains("2.7 years left at this rate"), "{said}");
}

#[test]
fn deleted_files_that_are_still_open() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 64);
    fs::set_permissions(disk.at(), fs::Permissions::from_mode(0o777)).unwrap();
    let places = scratch.config(&volume("ssd", disk.at(), ""));
    let report = json(&places, 0);
    assert_eq!(message(&report, "ssd deleted"), "no deleted file holds space");

    let mut held = File::create(disk.at().join("big")).unwrap();
    held.write_all(&vec![1; 8 << 20]).unwrap();
    held.sync_all().unwrap();
    fs::remove_file(disk.at().join("big")).unwrap();
    let report = json(&places, 1);
    let me = std::process::id();
    assert!(message(&report, "ssd deleted").starts_with("8.0 MiB in 1 file that are deleted and open"));
    assert!(message(&report, "ssd deleted").ends_with(&format!("({me})")), "{report:#}");
    assert_eq!(number(&report, "ssd deleted", "value"), 8 << 20);
    drop(held);

    // Another user's, seen by one without rights and by root.
    let script = format!(
        "exec 3>{0}/log; rm {0}/log; head -c 6000000 /dev/zero >&3; echo; read line",
        disk.at().display()
    );
    let mut holder = Command::new("setpriv")
        .args(["--reuid=12346", "--regid=12346", "--clear-groups", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut byte).unwrap();
    assert!(message(&json(&places, 1), "ssd deleted").starts_with("5.7 MiB in 1 file"));
    let own = scratch.folder("stranger");
    chown(&own, Some(12345), Some(12345)).unwrap();
    let host = scratch.host().replace(scratch.path().to_str().unwrap(), own.to_str().unwrap());
    let config = scratch.file("stranger.toml", &format!("{host}{}", volume("ssd", disk.at(), "")));
    let unseen = |hides: bool| {
        let mut wrapper = vec!["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"];
        if hides {
            let mount = "mount -t proc -o hidepid=2 proc /proc && exec \"$@\"";
            wrapper.splice(0..0, ["unshare", "--mount", "sh", "-c", mount, "sh"]);
        }
        let tool = Tool::wrapped("check-disk", &wrapper).arg("-c").arg(&config).arg("--json");
        tool.exits(0).json()
    };
    for report in [unseen(false), unseen(true)] {
        assert_eq!(status(&report, "ssd deleted"), "not-measured", "{report:#}");
        assert!(message(&report, "ssd deleted").contains("not visible"), "{report:#}");
        assert!(find(&report, "ssd deleted")["value"].is_null());
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(message(&json(&places, 0), "ssd deleted"), "no deleted file holds space");
}

/// Children that ask about a place.
fn probes(place: &Path) -> Vec<PathBuf> {
    let place = place.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains("--probe") && words.contains(place)
    })
    .collect()
}

#[test]
fn a_mount_that_hangs_does_not_hang_the_run() {
    let scratch = Scratch::new();
    let well = Mounted::ext4(&scratch.path().join("well"), 8);
    let hangs = Hanging::at_once(&scratch.path().join("hangs"));
    let later = Hanging::at_statfs(&scratch.path().join("later"));
    let watch = |name: &str, at: &Path| format!("[watch.{name}]\npath = {at:?}\nmax-files = 5\n");
    let config = scratch.config(
        &[
            volume("hangs", hangs.at(), ""),
            volume("well", well.at(), ""),
            volume("later", later.at(), ""),
            watch("there", hangs.at()),
            watch("here", &scratch.folder("here")),
        ]
        .concat(),
    );
    let mut children = Vec::new();
    let begun = Instant::now();
    let question = Tool::check(&config).args("--below 99% well hangs").start();
    let done = std::thread::scope(|scope| {
        let run = scope.spawn(|| Tool::check(&config).arg("--json").exits(2));
        std::thread::sleep(Duration::from_secs(5));
        children = probes(scratch.path());
        run.join().unwrap()
    });
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(13), "{took:?}");
    let report = done.json();
    for name in ["hangs mount", "later mount", "there visible"] {
        assert_eq!(status(&report, name), "critical");
        assert!(message(&report, name).contains("does not answer within 10 s"));
    }
    for name in ["well mount", "well space", "well deleted", "here files"] {
        assert_eq!(status(&report, name), "ok", "{name}: {report:#}");
    }
    assert_eq!(question.wait_with_output().unwrap().status.code(), Some(3), "what cannot be seen");
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
    assert!(metrics.contains("maint_volume_mounted{tool=\"check-disk\",volume=\"hangs\"} 0\n"));
    let left = || children.iter().filter(|child| child.exists()).count();
    assert_eq!((children.len(), left()), (2, 2), "the children that were asked wait for the kernel");
    drop((hangs, later));
    let begun = Instant::now();
    while left() > 0 && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(), 0, "they go with the mount");
    let report = json(&config, 2);
    assert_eq!(status(&report, "hangs mount"), "critical", "a mount without its server is no disk");
}

#[test]
fn a_full_volume_with_everything_on_it() {
    for used_before in [true, false] {
        let scratch = Scratch::new();
        let disk = Mounted::ext4(&scratch.path().join("disk"), 16);
        for folder in ["state", "run", "metrics", "watched"] {
            fs::create_dir(disk.at().join(folder)).unwrap();
        }
        let host = scratch.host().replace(scratch.path().to_str().unwrap(), disk.at().to_str().unwrap());
        let watch = format!("[watch.w]\npath = {:?}\nmax-files = 5\n", disk.at().join("watched"));
        let config = scratch.file("maint.toml", &(host + &volume("ssd", disk.at(), "") + &watch));
        if used_before {
            Tool::check(&config).exits(0);
        }
        let prom = disk.at().join("metrics/maint-check-disk.prom");
        let before = fs::read(&prom).ok();
        // To the last block, that of root too.
        let mut filler = File::create(disk.at().join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&vec![1; size]).is_ok() {}
        }
        let _ = filler.sync_all();
        for round in 0..5 {
            let report = json(&config, 2);
            assert_eq!(status(&report, "ssd space"), "critical");
            assert!(message(&report, "ssd space").starts_with("100.0% used"), "{report:#}");
            assert_eq!(status(&report, "w files"), "ok", "{round}");
            Tool::check(&config).arg("--format").arg("nagios").exits(2).says("DISK CRITICAL: ssd space");
        }
        Tool::check_at(&config, now() + hours(2)).exits(2);
        assert_eq!(fs::read(&prom).ok(), before, "whole, or not there at all");
        let left: Vec<_> =
            fs::read_dir(disk.at().join("metrics")).unwrap().flatten().map(|f| f.file_name()).collect();
        assert_eq!(left.len(), usize::from(used_before), "{left:?}");
        drop(filler);
        fs::remove_file(disk.at().join("filler")).unwrap();
        // What is still on its way to the disk comes free when it is there.
        wait_until("there is room", || Space::of(disk.at()).available > 8 << 20);
        Tool::check_at(&config, now() + hours(3)).exits(0);
        let samples = samples_in(&disk.at().join("state/check-disk/ssd.samples"));
        assert!(samples.windows(2).all(|pair| pair[0] < pair[1]), "{samples:?}");
        assert!(runs_in(&disk.at().join("state/check-disk/history.db")).len() > usize::from(used_before));
        assert!(fs::read_to_string(&prom).unwrap().ends_with('\n'));
    }
}

/// The moments of the samples of a file: six numbers of eight bytes each.
fn samples_in(path: &Path) -> Vec<i64> {
    let bytes = fs::read(path).unwrap_or_default();
    assert_eq!(bytes.len() % 48, 0, "{}", path.display());
    bytes.chunks_exact(48).map(|sample| i64::from_le_bytes(sample[..8].try_into().unwrap())).collect()
}

/// The names of all runs of a history, which must be sound.
fn runs_in(path: &Path) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    let sound: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let mut query = db.prepare("SELECT run FROM runs ORDER BY id").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A host whose clock the test turns.
struct Host {
    _disk: Mounted,
    scratch: Scratch,
    config: PathBuf,
    now: i64,
}

impl Host {
    fn new() -> Self {
        let scratch = Scratch::new();
        let disk = Mounted::ext4(&scratch.path().join("disk"), 8);
        let config = scratch.config(&volume("ssd", disk.at(), ""));
        Self { _disk: disk, scratch, config, now: now() - days(1) }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn history(&self) -> PathBuf {
        self.place("state/check-disk/history.db")
    }

    fn lasting(&self) -> Vec<i64> {
        samples_in(&self.place("state/check-disk/ssd.samples"))
    }

    fn fresh(&self) -> Vec<i64> {
        samples_in(&self.place("run/check-disk-ssd.samples"))
    }

    /// The kernel stamps files with its own time: what was written now was written then, a moment after the run
    /// had begun.
    fn turn(&mut self, seconds: i64) {
        if self.history().exists() && maint_tests::age_of(&self.history()) < 600 {
            set_age(&self.history(), now() - self.now - 1);
        }
        self.now += seconds;
    }

    /// Every sample there is, once an hour has passed and one more run has carried over what a killed one left.
    fn all(&mut self) -> Vec<i64> {
        self.turn(4000);
        self.run();
        let mut all = self.lasting();
        all.extend(self.fresh());
        all
    }

    fn run(&mut self) -> Done {
        let done = Tool::check_at(&self.config, self.now).exits(0);
        self.turn(0);
        done
    }

    /// The calls of a run that make anything durable, or open a database to write.
    fn traced(&mut self) -> Vec<String> {
        let trace = self.place("trace");
        let calls = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync,openat,open,creat";
        let words = ["strace", "-f", "-qq", "-e", calls, "-o", trace.to_str().unwrap()];
        Tool::wrapped_at("check-disk", &words, self.now).arg("-c").arg(&self.config).exits(0);
        self.turn(0);
        let lines = fs::read_to_string(trace).unwrap();
        let writes =
            |line: &str| line.contains("O_RDWR") || line.contains("O_WRONLY") || line.contains("O_CREAT");
        let counts = |line: &&str| {
            let is_open = line.contains("open") || line.contains("creat(");
            let lasts = line.contains("history.db") || line.contains("/state/");
            (!is_open && line.contains("sync")) || (lasts && writes(line))
        };
        lines.lines().filter(counts).map(str::to_owned).collect()
    }
}

#[test]
fn within_the_hour_nothing_that_wears_is_written() {
    let mut host = Host::new();
    assert!(!host.traced().is_empty(), "the first run makes the files");
    for hour in 1..=2 {
        // The twelfth of them is a moment short of an hour after what was written.
        for minute in (5..=60).step_by(5) {
            host.turn(300);
            assert_eq!(host.traced(), [""; 0], "{hour} {minute}");
        }
        host.turn(300);
        let calls = host.traced();
        let syncs = calls.iter().filter(|line| line.contains("sync")).count();
        assert!((1..=8).contains(&syncs), "one transaction and one file: {calls:#?}");
        assert_eq!(host.lasting().len(), 1 + 13 * hour, "samples are carried over");
        assert_eq!(host.fresh(), [0; 0]);
        assert_eq!(runs_in(&host.history()).len(), 1 + 13 * hour, "and so is the history");
    }
    let all = host.lasting();
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 300), "{all:?}");
    Tool::check(&host.config).arg("--history=30").exits(0).says("ok");
}

#[test]
fn killed_anywhere_no_sample_counts_twice() {
    let mut host = Host::new();
    let mut random = Random::seeded("killed_anywhere_no_sample_counts_twice");
    let mut killed = 0;
    let rounds = scale(120, 1200);
    for _ in 0..rounds {
        host.turn(301);
        let mut child = Tool::check_at(&host.config, host.now).start();
        std::thread::sleep(Duration::from_micros(random.below(9000) as u64));
        let _ = child.kill();
        killed += usize::from(child.wait().unwrap().code().is_none());
        host.turn(0);
        // A reader at any moment finds whole files, apart from one sample that is half written.
        let half = fs::read(host.place("run/check-disk-ssd.samples")).unwrap_or_default().len() % 48;
        assert_eq!(half, 0, "one write a sample");
    }
    assert!(killed > rounds / 10, "only {killed} of {rounds} were killed");
    let all = host.all();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    assert_eq!(all.last(), Some(&host.now));
    assert!(all.len() > rounds / 20, "only {} of {rounds}", all.len());
    runs_in(&host.history());
    let metrics = fs::read_to_string(host.place("metrics/maint-check-disk.prom")).unwrap();
    assert!(metrics.ends_with('\n') && metrics.contains("maint_run_exit_code"));
}

/// The same at each call of the hourly write, one after the other.
#[test]
fn killed_at_each_step_of_carrying_over_no_sample_counts_twice() {
    for call in ["write", "pwrite64", "ftruncate", "fdatasync", "rename"] {
        for nth in 1..=4 {
            let mut host = Host::new();
            for _ in 0..4 {
                host.run();
                host.turn(300);
            }
            host.turn(3600);
            let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
            let words = ["strace", "-qq", "-o", "/dev/null", "-e", &inject];
            Tool::wrapped_at("check-disk", &words, host.now).arg("-c").arg(&host.config).run();
            host.turn(300);
            host.run();
            let all = host.all();
            let unique: BTreeSet<_> = all.iter().collect();
            assert_eq!(unique.len(), all.len(), "{call} {nth}: {all:?}");
            assert!((6..=7).contains(&all.len()), "{call} {nth}: only the last may be lost: {all:?}");
            let runs = runs_in(&host.history());
            assert!(runs.len() >= 6, "{call} {nth}: {runs:?}");
        }
    }
}

#[test]
fn a_clock_set_back_and_forth() {
    let mut host = Host::new();
    for step in [0, 300, days(400), 300, -days(400), 300, 300, -days(3), 300, days(3), 300, 4000, 300] {
        host.turn(step);
        host.run();
    }
    // All that were are there, and none twice.
    assert_eq!(host.all().len(), 14);
    // A machine without a clock of its own begins in 1970.
    let now = host.now;
    host.now = 100;
    host.run();
    host.now = now + 300;
    host.run();
    let all = host.all();
    assert_eq!(all.len(), 17, "{all:?}");
}

#[test]
fn a_state_folder_that_vanished() {
    let mut host = Host::new();
    host.run();
    host.turn(300);
    fs::remove_dir_all(host.place("state")).unwrap();
    host.run();
    assert_eq!(host.lasting().len(), 1, "what is left of the hour is carried over at once");
    fs::remove_dir_all(host.place("run")).unwrap();
    host.turn(300);
    host.run();
    assert_eq!(host.fresh().len(), 1);
    // A file in its place: the disk is checked all the same.
    fs::remove_dir_all(host.place("state")).unwrap();
    fs::write(host.place("state"), "").unwrap();
    let done = Tool::check_at(&host.config, host.now).exits(0);
    done.warns("this run is not in the history").says("ssd space");
}

fn watched(tree: &Tree, keys: &str) -> String {
    format!("[watch.w]\npath = {:?}\n{keys}\n", tree.root())
}

#[test]
fn folders_are_held_against_what_is_expected_of_them() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree"))
        .sized("a.jpg", hours(30), 1000)
        .sized("b.jpg", hours(5), 5000)
        .sized("deep/er/c.jpg", 700, 2000)
        .sized("it's $1\n.log", hours(50), 60_000)
        // What is the tools' own does not count.
        .sized(".maint/ballast", hours(90), 900_000);
    let at = |keys: &str, code: i32| {
        let config =
            scratch.config(&(watched(&tree, keys) + "[files.f]\npath = '/srv/f'\nmax-age = '30h'\n"));
        json(&config, code)
    };
    for (keys, name, code, words) in [
        ("max-files = 4", "w files", 0, "4 files in"),
        ("max-files = 3", "w files", 1, "at most 3 expected"),
        ("max-files = 3\nseverity = 'critical'", "w files", 2, "at most 3 expected"),
        ("max-files = 3\nmatch = ['*.jpg']", "w files", 0, "3 files in"),
        ("max-files = 2\nmatch = ['*.jpg']\nexclude = ['deep']", "w files", 0, "2 files in"),
        ("max-files = 3\nmax-depth = 1", "w files", 0, "3 files in"),
        ("max-files = 0\nmatch = ['*.png']", "w files", 0, "0 files in"),
        ("max-file-size = '60kB'", "w largest", 0, "it's $1\\x0a.log is the largest, 58.6 KiB"),
        ("max-file-size = '59kB'", "w largest", 1, "it's $1\\x0a.log is the largest"),
        ("max-file-size = '59kB'\nmatch = ['*.jpg']", "w largest", 0, "/b.jpg is the largest, 4.9 KiB"),
        ("max-file-size = '1B'\nmatch = ['*.png']", "w largest", 0, "no file there"),
        ("max-size = '1MB'", "w size", 0, "in 4 files"),
        ("max-size = '60kB'", "w size", 1, "in 4 files"),
        ("fresh = '12min'", "w fresh", 0, "the newest is"),
        ("fresh = '10min'", "w fresh", 1, "the newest is"),
        ("fresh = '10min'\nmatch = ['*.png']", "w fresh", 1, "no file there at all"),
        ("promise = 'f'\nmatch = ['a.jpg']", "w promise", 0, "asked 30 h, holds"),
        ("promise = 'f'\nmatch = ['b.jpg']", "w promise", 1, "asked 30 h, holds 5 h"),
        ("promise = 'f'\nmatch = ['*.png']\nseverity = 'critical'", "w promise", 2, "holds"),
    ] {
        let report = at(keys, code);
        let said = message(&report, name);
        assert!(said.contains(words), "{keys}: {said}");
        assert_eq!(report["checks"].as_array().unwrap().len(), 1, "{keys}");
    }
    set_age(&tree.path("b.jpg"), -days(300));
    let report = at("fresh = '10min'", 1);
    assert!(
        message(&report, "w fresh").contains("the newest is 11min old"),
        "what is ahead of the clock is no news: {report:#}"
    );
    let report = at("max-file-size = '59kB'", 1);
    let next = find(&report, "w largest")["next"].as_str().unwrap().to_owned();
    let said = Command::new("bash").args(["-c", &next]).output().unwrap();
    assert!(said.status.success(), "{next}: {said:?}");
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
    for (word, value) in [("readable", "1"), ("files", "4"), ("largest_bytes", "60000")] {
        let line = format!("maint_watch_{word}{{tool=\"check-disk\",watch=\"w\"}} {value}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    fs::rename(tree.root(), scratch.path().join("gone")).unwrap();
    for (severity, code) in [("warning", 1), ("critical", 2)] {
        let report = at(&format!("max-files = 4\nseverity = '{severity}'"), code);
        assert!(
            message(&report, "w visible").contains("No such file")
                || message(&report, "w visible").contains("is not there"),
            "{report:#}"
        );
    }
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
    assert!(metrics.contains("maint_watch_readable{tool=\"check-disk\",watch=\"w\"} 0\n"), "{metrics}");
}

#[test]
fn a_folder_that_cannot_be_read_in_full_is_unknown() {
    let scratch = Scratch::new();
    let tree = Tree::at(&scratch.folder("tree")).file("a", 0).file("closed/b", 0);
    fs::set_permissions(tree.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let own = scratch.folder("stranger");
    chown(&own, Some(12345), Some(12345)).unwrap();
    let host = scratch.host().replace(scratch.path().to_str().unwrap(), own.to_str().unwrap());
    let config = scratch.file("stranger.toml", &(host + &watched(&tree, "max-files = 5")));
    let report = as_stranger("check-disk").arg("-c").arg(&config).arg("--json").exits(3).json();
    assert!(message(&report, "w visible").starts_with("1 entry could not be read"), "{report:#}");
    assert!(message(&report, "w files").starts_with("1 file in"));
}

#[test]
fn questions_are_answered_by_the_exit_code_alone() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4(&scratch.path().join("disk"), 64);
    fill(&disk.at().join("half"), 28);
    let gone = scratch.folder("gone");
    let config = scratch.config(&(volume("ssd", disk.at(), "") + &volume("usb", &gone, "")));
    let ask = |words: &str, code: i32| Tool::check(&config).args(words).exits(code);
    let [used, available, ..] = df(disk.at());
    let percent = used * 100 / (used + available);
    ask(&format!("--below {}% ssd", percent + 1), 0).is_silent();
    ask(&format!("--below {percent}% ssd"), 1).is_silent();
    ask("--below 99% ssd", 0).is_silent();
    ask("--below 99% usb", 3).is_silent();
    ask("--below 99%", 3).is_silent();
    ask("--below 1%", 3).is_silent();
    ask("--full-within 2h ssd", 1).is_silent();
    ask("--full-within 2h usb", 3).is_silent();
    ask("ssd", 0).says("ssd space");
    assert!(!ask("ssd", 0).stdout.contains("usb"), "only what was named");
    ask("", 2);
    assert!(scratch.path().join("metrics/maint-check-disk.prom").exists());
    let and = Command::new("sh")
        .args(["-c", "\"$1\" -c \"$2\" ssd >/dev/null && echo yes", "sh"])
        .arg(built("check-disk"))
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(and.stdout, b"yes\n");
    for words in [
        "--below",
        "--below 85",
        "--below 85% --full-within 2h",
        "--below 85% --json",
        "--below 85% nosuch",
        "--full-within 5m",
        "nosuch",
    ] {
        assert_eq!(ask(words, 3).stdout, "");
    }
    let nothing = scratch.config("");
    Tool::check(&nothing).args("--below 85%").exits(3).warns("there is no [volume.NAME] to ask about");
    Tool::check(&nothing).exits(0).says("nothing to do");
}

fn built(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().join(name)
}

#[test]
fn a_check_of_one_leaves_the_metrics_of_all() {
    let scratch = Scratch::new();
    let [one, two] = ["one", "two"].map(|name| Mounted::tmpfs(&scratch.path().join(name), 1000));
    let config = scratch.config(&(volume("one", one.at(), "") + &volume("two", two.at(), "")));
    Tool::check(&config).exits(0);
    let prom = scratch.path().join("metrics/maint-check-disk.prom");
    let before = fs::read_to_string(&prom).unwrap();
    Tool::check(&config).arg("one").exits(0);
    assert_eq!(fs::read_to_string(&prom).unwrap(), before);
    Tool::check(&config).args("--below 99%").exits(0);
    assert_eq!(fs::read_to_string(&prom).unwrap(), before, "a question is no run");
}

#[test]
fn cron_hears_only_of_what_cannot_wait() {
    let scratch = Scratch::new();
    let disk = Mounted::tmpfs(&scratch.path().join("disk"), 1000);
    for (keys, code) in [("warn = '99%'", 0), ("warn = '0%'", 1)] {
        let config = scratch.config(&volume("d", disk.at(), keys));
        Tool::check(&config).arg("--cron").exits(code).is_silent();
    }
    let config = scratch.config(&volume("d", disk.at(), "crit = '0%'"));
    let done = Tool::check(&config).arg("--cron").exits(2);
    done.says("CRITICAL  d space").says("next: prune-images");
}

/// Two runs at once disturb neither each other nor what is remembered.
#[test]
fn many_at_once() {
    let mut host = Host::new();
    let rounds = 40;
    for _ in 0..rounds {
        let children: Vec<Child> = (0..3).map(|_| Tool::check_at(&host.config, host.now).start()).collect();
        for mut child in children {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
        host.turn(400);
    }
    let seconds: BTreeSet<i64> = host.all().into_iter().collect();
    assert!(seconds.len() > rounds / 2, "{seconds:?}");
    runs_in(&host.history());
}

/// Samples of a volume as they lie in the state folder: six little-endian numbers each.
fn remember(scratch: &Scratch, volume: &str, samples: impl Iterator<Item = (i64, u64, u64)>) {
    let folder = scratch.folder("state/check-disk");
    let bytes: Vec<u8> = samples
        .flat_map(|(at, used, whole)| [at.cast_unsigned(), used, whole, 0, 0, 0])
        .flat_map(u64::to_le_bytes)
        .collect();
    fs::write(folder.join(format!("{volume}.samples")), bytes).unwrap();
}

#[test]
fn growth_is_told_with_its_end_and_asked_for_in_a_shell() {
    let scratch = Scratch::new();
    let disk = Mounted::tmpfs(&scratch.folder("disk"), 100 << 10);
    fs::write(disk.at().join("data"), vec![1; 90 << 20]).unwrap();
    let config = scratch.config(&format!("[volume.disk]\npath = {:?}\n", disk.at()));
    let whole = 100_u64 << 20;
    // Two weeks, a MiB every eight hours, and ten of them left.
    let growing = (0..14 * 288_i64).map(|n| {
        let left = u64::try_from(14 * 288 - n).unwrap();
        (now() - 300 * (14 * 288 - n), (90 << 20) - (left << 20) / 96, whole)
    });
    remember(&scratch, "disk", growing);
    let done = Tool::check(&config).arg("--json").run().json();
    let check =
        done["checks"].as_array().unwrap().iter().find(|check| check["name"] == "disk forecast").unwrap();
    let days = check["value"].as_f64().unwrap() / 86_400.0;
    assert!((2.5..4.5).contains(&days), "{check}");
    assert!(check["message"].as_str().unwrap().contains("by peak envelope"), "{check}");
    Tool::check(&config).args("--full-within 5d disk").exits(0).is_silent();
    Tool::check(&config).args("--full-within 2d disk").exits(1).is_silent();
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
    assert!(
        metrics.contains("maint_volume_full_timestamp_seconds{tool=\"check-disk\",volume=\"disk\"}"),
        "{metrics}"
    );
}

#[test]
fn a_cleanup_that_stopped_is_named_and_the_command_to_run() {
    let scratch = Scratch::new();
    let disk = Mounted::tmpfs(&scratch.folder("disk"), 100 << 10);
    let mut tree = Tree::at(&disk.at().join("live"));
    for hour in 0..80 {
        tree = tree.sized(format!("f{hour}"), hour * 3600 + 60, 1 << 20);
    }
    let config = scratch.config(&format!(
        "[volume.disk]\npath = {:?}\nforecast = {{ warn = '2d', crit = '1h' }}\n{}",
        disk.at(),
        tree.section("live", "max-age = '20h'\n")
    ));
    // Eighty hours are held where twenty were asked for, and a MiB comes every hour.
    let used = |n: i64| (80_u64 << 20) - u64::try_from(n).unwrap() * ((1 << 20) / 12);
    remember(&scratch, "disk", (0..288).rev().map(|n| (now() - 300 * n, used(n), 100 << 20)));
    let done = Tool::check(&config).run();
    done.says("disk forecast")
        .says("cleanup stopped (live: files are there that are too old to be)")
        .says("next: prune-images --history; prune-images");
}

#[test]
fn a_plugin_is_one_more_check() {
    let scratch = Scratch::new();
    let plugin = |name: &str, script: &str| {
        let path = scratch.program(name, &format!("#!/bin/sh\n{script}\n"));
        format!("[check.{name}]\ncommand = [{path:?}, 'word']\ntimeout = '1s'\n")
    };
    let config = scratch.config(
        &[
            plugin("well", "echo \"WELL - all of $1 | 'x'=1;2;3\""),
            plugin("warned", "echo LOAD WARNING; exit 1"),
            plugin("critical", "echo bad; exit 2"),
            plugin("silent", "exit 0"),
            plugin("broken", "exit 77"),
            plugin("hangs", "sleep 60"),
            "[check.missing]\ncommand = ['/no/such/plugin']\n".to_owned(),
        ]
        .concat(),
    );
    let done = Tool::check(&config).arg("--json").exits(2).json();
    let told: Vec<(String, String, String)> = done["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| ["name", "status", "message"].map(|key| check[key].as_str().unwrap().to_owned()).into())
        .collect();
    let of = |name: &str| {
        told.iter()
            .find(|(its, ..)| its == name)
            .map(|(_, status, message)| (status.as_str(), message.as_str()))
            .unwrap()
    };
    assert_eq!(of("well"), ("ok", "WELL - all of word"));
    assert_eq!(of("warned"), ("warning", "LOAD WARNING"));
    assert_eq!(of("critical"), ("critical", "bad"));
    assert_eq!(of("silent").0, "ok");
    assert!(of("broken").0 == "unknown" && of("broken").1.contains("exit code 77"));
    assert!(of("hangs").0 == "unknown" && of("hangs").1.contains("longer than 1s"), "{:?}", of("hangs"));
    assert!(of("missing").0 == "unknown" && of("missing").1.contains("no program /no/such/plugin"));
    Tool::check(&config).arg("well").exits(0);
    // Checks of others alone are remembered and measured too.
    let metrics = fs::read_to_string(scratch.path().join("metrics/maint-check-disk.prom")).unwrap();
    assert!(
        metrics.contains("maint_check_status{tool=\"check-disk\",check=\"hangs\",status=\"unknown\"} 1"),
        "{metrics}"
    );
}
