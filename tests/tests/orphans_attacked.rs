//! Ways in which a partner that is there could be taken for gone: each was one, once.

use maint_tests::{Mounted, Scratch, Tool, Tree, hours, now, set_age};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::PathBuf,
    time::Duration,
};

/// Folders of metadata and of two kinds of images, and a configuration.
struct Place {
    scratch: Scratch,
    meta: Tree,
    live: Tree,
    processed: Tree,
}

const JPG: &str = "partner = '{stem}.jpg'\n";
const AT_ONCE: &str = "observations = 1\n";
const TWICE: &str = "observations-apart = '0s'\n";

impl Place {
    fn new() -> Self {
        Self::at("disk")
    }

    fn at(folder: &str) -> Self {
        let scratch = Scratch::new();
        let [meta, live, processed] =
            ["meta", "live", "processed"].map(|name| Tree::at(&scratch.folder(&format!("{folder}/{name}"))));
        let place = Self { scratch, meta, live, processed };
        // No folder is ever empty by itself.
        drop((place.live.clone().file("z.jpg", 0), place.processed.clone().file("z.jpg", 0)));
        place
    }

    fn with(&self, keys: &str) -> PathBuf {
        let partner_in = format!("partner-in = [{:?}, {:?}]\n", self.live.root(), self.processed.root());
        self.alone(&(partner_in + keys))
    }

    /// Without any folder of partners.
    fn alone(&self, keys: &str) -> PathBuf {
        let guard = "guard.max-share = '100%'\n";
        self.scratch.config(&format!("[orphans.m]\nmetadata = {:?}\n{keys}{guard}", self.meta.root()))
    }

    fn metadata(&self, name: &str) {
        drop(self.meta.clone().file(name, hours(3)));
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.meta.path(name);
        fs::write(&path, text).unwrap();
        set_age(&path, hours(3));
    }

    fn image(&self, name: &str) {
        drop(self.live.clone().file(name, hours(3)));
    }
}

fn later(looks: i64) -> i64 {
    now() + looks * 1801
}

#[test]
fn what_a_killed_run_had_claimed_is_asked_about_again() {
    let place = Place::new();
    place.metadata("a.json");
    let config = place.with(&(JPG.to_owned() + AT_ONCE));
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=unlinkat:signal=SIGKILL:when=1"];
    Tool::wrapped("orphan-metadata", &strace).arg("-c").arg(&config).run();
    assert!(!place.meta.has("a.json"), "it is claimed");
    place.image("a.jpg");
    Tool::orphans(&config).exits(0).says("1 has partner");
    assert!(place.meta.has("a.json"));
    // And where nothing can be told it is put back, too, and stays.
    fs::remove_file(place.live.path("a.jpg")).unwrap();
    Tool::wrapped("orphan-metadata", &strace).arg("-c").arg(&config).run();
    fs::remove_file(place.live.path("z.jpg")).unwrap();
    Tool::orphans(&config).exits(4).says("0 B freed");
    assert!(place.meta.has("a.json"));
}

#[test]
fn an_image_that_another_run_has_claimed_is_there() {
    for root in ["live", ""] {
        let place = Place::new();
        for n in 1..4 {
            place.metadata(&format!("{n}.json"));
            place.image(&format!("{n}.jpg"));
        }
        let pruned = place.live.root().parent().unwrap().join(root);
        let files = format!(
            "[files.live]\npath = {pruned:?}\nmatch = ['?.jpg']\nexclude = ['z.jpg']\nmax-age = '1h'\n"
        );
        let keys = JPG.to_owned() + TWICE;
        let text = fs::read_to_string(place.with(&keys)).unwrap();
        let config = place.scratch.file("maint.toml", &(text + &files));
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=unlinkat:signal=SIGKILL:when=1"];
        let prune = Tool::wrapped("prune-images", &strace).arg("-c").arg(&config);
        prune.run();
        assert_eq!(place.live.names(), ["z.jpg"], "the images are claimed");
        for _ in 0..3 {
            Tool::orphans(&config).exits(0).says("3 has partner");
        }
        assert_eq!(place.meta.names().len(), 3);
    }
}

#[test]
fn what_moves_while_it_is_listed_is_not_missed() {
    // The listing of live waits: what moved from there to a folder that was listed already is in neither.
    for (image, observations) in [("2026/a.jpg", 1), ("2026/a.jpg", 2), ("a.jpg", 1)] {
        let place = Place::new();
        place.metadata("a.json");
        place.image(image);
        let there = place.processed.path(image);
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        let keys = format!(
            "{JPG}observations = {observations}\n{TWICE}partner-in = [{:?}, {:?}]\n",
            place.processed.root(),
            place.live.root()
        );
        let config = place.alone(&keys);
        let live = place.live.root().to_str().unwrap().to_owned();
        let inject = "inject=getdents64:delay_enter=700000:when=1";
        let strace = ["strace", "-f", "-o", "/dev/null", "-P", &live, "-e", inject];
        let mut run = Tool::wrapped("orphan-metadata", &strace).arg("-c").arg(&config).start();
        std::thread::sleep(Duration::from_millis(350));
        fs::rename(place.live.path(image), there).unwrap();
        run.wait().unwrap();
        assert!(place.meta.has("a.json"), "{image} {observations}");
        Tool::orphans(&config).exits(0).says("1 has partner");
    }
}

#[test]
fn images_that_go_to_and_fro_in_deep_folders_are_not_missed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let rounds = maint_tests::scale(4, 30);
    let (mut runs, mut wrong) = (0, 0);
    for _ in 0..rounds {
        let place = Place::new();
        for n in 0..250 {
            place.metadata(&format!("{n}.json"));
            place.image(&format!("a/b/{n}.jpg"));
        }
        fs::create_dir_all(place.processed.path("c/d")).unwrap();
        let config = place.with(&(JPG.to_owned() + TWICE));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in (0..250).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (here, there) = (
                        place.live.path(format!("a/b/{n}.jpg")),
                        place.processed.path(format!("c/d/{n}.jpg")),
                    );
                    if fs::rename(&here, &there).is_err() {
                        fs::rename(&there, &here).unwrap();
                    }
                }
            });
            for _ in 0..12 {
                let done = Tool::orphans(&config).run();
                // Where they go too fast for it that is said.
                assert!(matches!(done.code, Some(0 | 4)), "{}", done.stdout);
                runs += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
        wrong += 250 - place.meta.names().len();
    }
    println!("{runs} runs beside a mover, {wrong} wrong removals");
    assert_eq!(wrong, 0);
}

#[test]
fn what_lands_while_others_go_is_not_missed() {
    for (keys, at) in [
        (format!("{JPG}limit.rate = '2/s'\n"), "2026/"),
        (format!("{JPG}limit.rate = '2/s'\n"), ""),
        ("partner-field = 'image'\nlimit.rate = '2/s'\n".to_owned(), ""),
    ] {
        let place = Place::new();
        for n in 0..8 {
            place.write(&format!("{n}.json"), &format!("{{\"image\": \"{n}.jpg\"}}"));
        }
        let config = place.with(&(keys.clone() + AT_ONCE));
        let mut run = Tool::orphans(&config).start();
        maint_tests::wait_until("the first to go", || place.meta.names().len() < 8);
        for n in 0..8 {
            drop(place.live.clone().file(format!("{at}{n}.jpg"), 0));
        }
        let then = place.meta.names().len();
        run.wait().unwrap();
        let left = place.meta.names().len();
        assert!(left + 2 >= then && left >= 5, "{keys} {at}: {then} when they landed, {left} left");
    }
}

#[test]
fn a_folder_whose_kind_nobody_tells_is_not_taken_for_a_file() {
    let scratch = Scratch::new();
    let disk = Mounted::ext4_with(&scratch.folder("disk"), 32, &["-O", "^filetype"]);
    let meta = Tree::at(&disk.at().join("meta")).file("1.json", hours(3)).file("2.json", hours(3));
    let live = Tree::at(&disk.at().join("live")).file("2026/11/1.jpg", hours(3)).file("z.jpg", 0);
    for path in maint_tests::everything_below(disk.at()) {
        chown(path, Some(2000), Some(2000)).unwrap();
    }
    let section =
        format!("[orphans.m]\nmetadata = {:?}\npartner-in = {:?}\n{JPG}{TWICE}", meta.root(), live.root());
    let config = scratch.config(&section);
    chown(scratch.path(), Some(2000), Some(2000)).unwrap();
    fs::set_permissions(scratch.path().join("metrics"), fs::Permissions::from_mode(0o777)).unwrap();
    Tool::as_user("orphan-metadata", 2000).arg("-c").arg(&config).exits(0).says("1 waiting");
    chown(live.path("2026"), Some(0), Some(0)).unwrap();
    fs::set_permissions(live.path("2026"), fs::Permissions::from_mode(0o444)).unwrap();
    for _ in 0..2 {
        Tool::as_user("orphan-metadata", 2000).arg("-c").arg(&config).exits(4).says("Permission denied");
    }
    assert_eq!(meta.names().len(), 2);
}

#[test]
fn an_image_goes_only_for_want_of_its_own_metadata() {
    let place = Place::new();
    for name in ["a.jpg", "cam1-1.jpg", "cam1-2.jpg", "cam2-1.jpg"] {
        place.image(name);
    }
    place.metadata("a.JSON");
    place.metadata("cam1-1.json");
    let find = format!("{JPG}{AT_ONCE}find = 'files'\nremove-files = true\n");
    // Of other cameras this metadata knows nothing.
    Tool::orphans(&place.with(&(find.clone() + "match = ['cam1-*.json']\n"))).exits(0).says("foreign");
    assert_eq!(place.live.names(), ["a.jpg", "cam1-1.jpg", "cam2-1.jpg", "z.jpg"]);
    // Metadata in upper case is metadata.
    Tool::orphans(&place.with(&find)).exits(0);
    assert_eq!(place.live.names(), ["a.jpg", "cam1-1.jpg", "z.jpg"]);
    let vague = place.with(&(find + "match = ['cam*']\n"));
    Tool::orphans(&vague).exits(3).warns("must say how the metadata of a file would be called");
}

#[test]
fn a_star_stands_for_something_in_every_pattern() {
    let place = Place::new();
    place.metadata("meta-7.json");
    place.image("image-7.jpg");
    let keys = "match = ['*.json', 'meta-*.json']\npartner = 'image-{star}.jpg'\n";
    Tool::orphans(&place.with(&(keys.to_owned() + AT_ONCE))).exits(0).says("1 has partner");
    assert!(place.meta.has("meta-7.json"));
}

#[test]
fn in_the_same_layout_a_link_between_folders_tells_nothing() {
    for image in ["A.JPG", "A.jpg"] {
        let place = Place::new();
        drop(place.meta.clone().file("cam1/A.json", hours(3)));
        place.image(&format!("cam2/{image}"));
        symlink("cam2", place.live.path("cam1")).unwrap();
        let config = place.with(&format!("{JPG}{AT_ONCE}partner-layout = 'same'\n"));
        Tool::orphans(&config).exits(4).says("is a link to");
        assert!(place.meta.has("cam1/A.json"));
    }
}

#[test]
fn what_a_field_names_is_there_if_nobody_can_tell() {
    let place = Place::new();
    let private = place.scratch.folder("private/sub");
    fs::write(private.join("a.jpg"), "x").unwrap();
    place.write("hidden.json", &format!("{{\"image\": {:?}}}", private.join("a.jpg")));
    for (n, name) in ["C:\\\\live\\\\", " ", "z.jpg\\n", "z.jpg\\u0000", "..", "dir/"].iter().enumerate() {
        place.write(&format!("odd{n}.json"), &format!("{{\"image\": \"{name}\"}}"));
    }
    place.write("url.json", "{\"image\": \"file:///live/z%2ejpg?size=1\"}");
    let config = place.with(&format!("partner-field = 'image'\n{AT_ONCE}"));
    for path in maint_tests::everything_below(place.scratch.path()) {
        chown(path, Some(2000), Some(2000)).unwrap();
    }
    chown(place.scratch.path().join("private"), Some(0), Some(0)).unwrap();
    fs::set_permissions(place.scratch.path().join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    let done = Tool::as_user("orphan-metadata", 2000).arg("-c").arg(&config).exits(1);
    done.says("6 names no partner").says("1 unread").says("1 has partner");
    assert_eq!(place.meta.names().len(), 8);
}

#[test]
fn another_folder_in_its_place_is_noticed() {
    let place = Place::new();
    for n in 0..20 {
        place.metadata(&format!("{n}.json"));
        place.image(&format!("{n}.jpg"));
    }
    let config = place.with(&(JPG.to_owned() + TWICE));
    Tool::orphans(&config).exits(0);
    let aside = place.scratch.path().join("aside");
    fs::rename(place.live.root(), &aside).unwrap();
    fs::create_dir(place.live.root()).unwrap();
    place.image("new.jpg");
    for _ in 0..2 {
        Tool::orphans(&config).exits(4).says("is another folder than at the last clean look");
    }
    assert_eq!(place.meta.names().len(), 20);
    Tool::orphans(&config).arg("--force").arg("partners").exits(0);
    // By a field any name may be a partner's, but what is hidden says nothing of them.
    let place = Place::new();
    place.write("a.json", "{\"image\": \"a.jpg\"}");
    place.image("a.jpg");
    drop(place.live.clone().file(".gitkeep", 0));
    let config = place.with(&format!("partner-field = 'image'\n{TWICE}"));
    Tool::orphans(&config).exits(0);
    fs::remove_file(place.live.path("a.jpg")).unwrap();
    fs::remove_file(place.live.path("z.jpg")).unwrap();
    Tool::orphans(&config).exits(4).says("holds none of the 2");
}

#[test]
fn a_look_that_is_not_remembered_makes_none_before_it_count() {
    let place = Place::new();
    place.metadata("a.json");
    let config = place.with(&(JPG.to_owned() + TWICE));
    Tool::orphans(&config).exits(0).says("1 waiting");
    let state = place.scratch.path().join("state/orphan-metadata");
    let frozen = |how: &str| {
        for path in [state.join("history.db"), state.clone()] {
            assert!(std::process::Command::new("chattr").arg(how).arg(path).status().unwrap().success());
        }
    };
    frozen("+i");
    place.image("a.jpg");
    Tool::orphans(&config).exits(1).says("is not remembered, and will not count");
    fs::remove_file(place.live.path("a.jpg")).unwrap();
    Tool::orphans(&config).exits(1).says("1 waiting");
    frozen("-i");
    Tool::orphans(&config).exits(0).says("1 waiting");
    Tool::orphans(&config).exits(0).says("removed        1 file");
}

#[test]
fn a_folder_with_the_name_of_an_image_is_there_and_no_more() {
    let place = Place::new();
    place.metadata("x.json");
    place.metadata("y.json");
    fs::create_dir(place.live.path("x.jpg")).unwrap();
    let done = Tool::orphans(&place.with(&(JPG.to_owned() + AT_ONCE))).exits(0);
    done.says("1 has partner").says("removed        1 file");
    assert_eq!(place.meta.names(), ["x.json"]);
}

#[test]
fn a_folder_too_large_to_be_held_is_looked_at_all_the_same() {
    let scratch = Scratch::new();
    let pairs = Tree::at(&scratch.folder("pairs"));
    let long = "n".repeat(200);
    let total = 75_000;
    for n in 0..total {
        fs::write(pairs.path(format!("{long}{n}.json")), "").unwrap();
        if n % 2 == 0 {
            fs::write(pairs.path(format!("{long}{n}.jpg")), "").unwrap();
        }
    }
    fs::write(pairs.path("kept.json"), "").unwrap();
    let section = format!(
        "[orphans.m]\nmetadata = {:?}\n{JPG}exclude = ['kept.json']\n{AT_ONCE}min-age = '0s'\n",
        pairs.root()
    );
    let done = Tool::orphans(&scratch.config(&section)).arg("--json").exits(0).json();
    let target = &done["targets"][0];
    assert_eq!(target["files_scanned"], total + 1);
    assert_eq!(target["files_kept"]["excluded"], 1);
    assert_eq!(target["files_deleted"], total / 2);
    assert!(
        pairs.has(format!("{long}0.json")) && !pairs.has(format!("{long}1.json")) && pairs.has("kept.json")
    );
}

#[test]
fn beside_what_lies_elsewhere_does_not_matter() {
    let scratch = Scratch::new();
    let pairs =
        Tree::at(&scratch.folder("pairs")).file("d/alone.json", hours(3)).file("d/Both.json", hours(3));
    let pairs = pairs.file("d/both.JPG", hours(3));
    symlink(scratch.folder("outside"), pairs.path("link")).unwrap();
    symlink("/nonexistent", pairs.path("nowhere")).unwrap();
    let mounted = Mounted::tmpfs(&pairs.path("mounted"), 64);
    let section = format!("[orphans.m]\nmetadata = {:?}\n{JPG}ignore-case = true\n{TWICE}", pairs.root());
    let config = scratch.config(&section);
    Tool::orphans(&config).exits(0).says("1 waiting");
    Tool::orphans(&config).exits(0).says("removed        1 file");
    assert!(pairs.has("d/Both.json") && !pairs.has("d/alone.json"));
    drop(mounted);
}

#[test]
fn what_it_removed_itself_is_no_reason_to_refuse() {
    let place = Place::new();
    fs::remove_file(place.live.path("z.jpg")).unwrap();
    place.image("alone.jpg");
    place.metadata("z.json");
    let config = place.with(&format!("{JPG}{AT_ONCE}find = 'both'\nremove-files = true\n"));
    Tool::orphans_at(&config, later(0)).exits(0);
    assert!(!place.live.has("alone.jpg"));
    for look in 1..3 {
        Tool::orphans_at(&config, later(look)).exits(0).says("1 has partner");
    }
}

#[test]
fn a_look_that_could_tell_nothing_has_no_number() {
    let place = Place::new();
    place.metadata("a.json");
    let config = place.with(JPG);
    let orphans = |tool: Tool| tool.arg("--json").run().json()["targets"][0]["orphans"].clone();
    assert_eq!(orphans(Tool::orphans(&config)), 1);
    fs::remove_file(place.live.path("z.jpg")).unwrap();
    assert!(orphans(Tool::orphans(&config)).is_null());
    let metrics =
        fs::read_to_string(place.scratch.path().join("metrics/maint-orphan-metadata.prom")).unwrap();
    assert!(!metrics.contains("\nmaint_orphans{") && metrics.contains("refused"), "{metrics}");
}

#[test]
fn an_image_claimed_in_a_folder_below_is_there() {
    // One root for both sides: what is pruned below it has its claims there.
    let scratch = Scratch::new();
    let pairs = Tree::at(&scratch.folder("pairs"));
    for n in 1..4 {
        for name in [format!("cam1/{n}.json"), format!("cam1/{n}.jpg"), format!("cam2/z{n}.json")] {
            drop(pairs.clone().file(name, hours(3)));
        }
        drop(pairs.clone().file(format!("cam2/z{n}.jpg"), hours(3)));
    }
    let section = format!(
        "[orphans.m]\nmetadata = {:?}\n{JPG}{TWICE}guard.max-share = '100%'\n\
         [files.cam1]\npath = {:?}\nmatch = ['*.jpg']\nmax-age = '1h'\nguard.max-share = '100%'\n",
        pairs.root(),
        pairs.path("cam1")
    );
    let config = scratch.config(&section);
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=unlinkat:signal=SIGKILL:when=1"];
    Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).run();
    assert!(!pairs.has("cam1/1.jpg"), "the images are claimed");
    for _ in 0..3 {
        Tool::orphans(&config).exits(0).says("6 has partner");
    }
    assert!((1..4).all(|n| pairs.has(format!("cam1/{n}.json"))));
}

#[test]
fn an_image_claimed_above_a_link_is_there() {
    let place = Place::new();
    place.metadata("a.json");
    place.image("a.jpg");
    let data = place.live.root().parent().unwrap().to_owned();
    let link = place.scratch.path().join("by-link");
    symlink(place.live.root(), &link).unwrap();
    let section = format!("partner-in = [{:?}]\n{JPG}{TWICE}", link.join("."));
    let files =
        format!("[files.all]\npath = {data:?}\nmatch = ['?.jpg']\nexclude = ['z.jpg']\nmax-age = '1h'\n");
    let text = fs::read_to_string(place.alone(&section)).unwrap();
    let config = place.scratch.file("maint.toml", &(text + &files));
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "inject=unlinkat:signal=SIGKILL:when=1"];
    Tool::wrapped("prune-images", &strace).arg("-c").arg(&config).run();
    assert_eq!(place.live.names(), ["z.jpg"], "the image is claimed");
    for _ in 0..3 {
        Tool::orphans(&config).run();
    }
    assert!(place.meta.has("a.json"));
}

#[test]
fn claims_that_cannot_be_read_keep_everything() {
    let place = Place::new();
    place.metadata("a.json");
    fs::create_dir(place.live.path(".maint")).unwrap();
    fs::create_dir(place.live.path(".maint/1")).unwrap();
    for name in ["intent", "a.jpg"] {
        fs::write(place.live.path(format!(".maint/1/{name}")), "not what it should be").unwrap();
    }
    let config = place.with(&(JPG.to_owned() + AT_ONCE));
    let done = Tool::orphans(&config).run();
    assert!(done.code == Some(4) && place.meta.has("a.json"), "{}", done.stdout);
}

#[test]
fn a_partner_in_the_other_case_is_met_at_the_last_moment() {
    let place = Place::new();
    for n in 0..8 {
        place.metadata(&format!("{n}.json"));
    }
    let config = place.with(&format!("{JPG}limit.rate = '2/s'\n{AT_ONCE}"));
    let mut run = Tool::orphans(&config).start();
    maint_tests::wait_until("the first to go", || place.meta.names().len() < 8);
    for n in 0..8 {
        drop(place.processed.clone().file(format!("{n}.JPG"), 0));
    }
    let then = place.meta.names().len();
    run.wait().unwrap();
    assert!(place.meta.names().len() + 1 >= then, "{then} when they landed: {:?}", place.meta.names());
}

#[test]
fn what_a_field_names_is_met_at_the_last_moment() {
    // At a path that no listing tells of.
    let place = Place::new();
    let outside = place.scratch.folder("outside");
    for n in 0..8 {
        let image = outside.join(format!("{n}.jpg"));
        place.write(&format!("{n}.json"), &format!("{{\"image\": {image:?}}}"));
    }
    let config = place.with(&format!("partner-field = 'image'\nlimit.rate = '2/s'\n{AT_ONCE}"));
    let mut run = Tool::orphans(&config).start();
    maint_tests::wait_until("the first to go", || place.meta.names().len() < 8);
    for n in 0..8 {
        fs::write(outside.join(format!("{n}.jpg")), "").unwrap();
    }
    let then = place.meta.names().len();
    run.wait().unwrap();
    assert!(place.meta.names().len() + 1 >= then, "{then} when they landed: {:?}", place.meta.names());
}

#[test]
fn rules_that_changed_begin_anew() {
    let place = Place::new();
    place.metadata("a.json");
    drop(place.live.clone().file("z.png", 0));
    Tool::orphans(&place.with(&format!("partner = '{{stem}}.png'\n{TWICE}"))).exits(0).says("1 waiting");
    let config = place.with(&(JPG.to_owned() + TWICE));
    Tool::orphans(&config).exits(0).says("1 waiting");
    Tool::orphans(&config).exits(0).says("removed        1 file");
}

#[test]
fn a_folder_emptied_with_leave_stays_rightly_empty() {
    let place = Place::new();
    place.metadata("a.json");
    let config = place.with(&(JPG.to_owned() + AT_ONCE));
    Tool::orphans(&config).exits(0).says("removed        1 file");
    for folder in [&place.live, &place.processed] {
        fs::remove_file(folder.path("z.jpg")).unwrap();
    }
    place.metadata("b.json");
    Tool::orphans(&config).exits(4);
    Tool::orphans(&config).arg("--force").arg("partners").exits(0).says("removed        1 file");
    place.metadata("c.json");
    Tool::orphans(&config).exits(0).says("removed        1 file");
    // Once something was there again, its absence is new.
    place.image("d.jpg");
    Tool::orphans(&config).exits(0);
    fs::remove_file(place.live.path("d.jpg")).unwrap();
    place.metadata("e.json");
    Tool::orphans(&config).exits(4);
    assert!(place.meta.has("e.json"));
}
