//! Two races that most cleaners lose: a folder swapped for a link while it is walked, and a fresh file
//! renamed over an old name in the moment of its removal.

use maint_tests::{Scratch, Tool, Tree, days, scale};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::symlink,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

#[test]
fn a_folder_swapped_for_a_link_leads_nowhere() {
    const FILES: usize = 50;
    let rounds = scale(15, 120);
    let (mut victims_lost, mut removed, mut swaps) = (0, 0, 0_u64);
    for _ in 0..rounds {
        let scratch = Scratch::new();
        let names = |tree: Tree| (0..FILES).fold(tree, |tree, n| tree.file(format!("old{n}"), days(9)));
        let victims = names(Tree::at(&scratch.folder("victims")));
        let root = scratch.folder("tree");
        let own = names(Tree::at(&root.join("d")));
        let deeper = names(Tree::at(&root.join("d/e")));
        symlink(victims.root(), root.join("l")).unwrap();
        let stop = AtomicBool::new(false);
        let (d, l) = (root.join("d"), root.join("l"));
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| {
                let mut swaps = 0;
                while !stop.load(Ordering::Relaxed) {
                    let swapped = renameat2(AT_FDCWD, &d, AT_FDCWD, &l, RenameFlags::RENAME_EXCHANGE);
                    swaps += u64::from(swapped.is_ok());
                }
                swaps
            });
            for _ in 0..3 {
                Tool::new("prune-images").args("--max-age 1d --keep-empty-folders --path").arg(&root).run();
            }
            stop.store(true, Ordering::Relaxed);
            swaps += racer.join().unwrap();
        });
        let left = |tree: &Tree| (0..FILES).filter(|n| tree.has(format!("old{n}"))).count();
        victims_lost += FILES - left(&victims);
        // Wherever the swap left the folder, these are its files.
        let at = if root.join("d").symlink_metadata().unwrap().is_dir() { "d" } else { "l" };
        removed += 2 * FILES - left(&Tree::at(&root.join(at))) - left(&Tree::at(&root.join(at).join("e")));
        drop((own, deeper));
    }
    println!(
        "swap racer: {rounds} rounds, {swaps} swaps, {removed} own files removed, {victims_lost} victims lost"
    );
    assert_eq!(victims_lost, 0);
    assert!(removed >= rounds * FILES / 2, "the runs must do their work under attack: {removed}");
    assert!(swaps > rounds as u64 * 10);
}

/// A producer goes through expired names and renames a fresh file over each that is still there.
fn replaced_file_race(section: &str) -> (u64, u64, u64) {
    let files = scale(4_000, 20_000);
    let rounds = scale(2, 5);
    let (mut fresh, mut lost, mut removed) = (0, 0, 0);
    for _ in 0..rounds {
        let scratch = Scratch::new();
        let tree =
            (0..files).fold(Tree::at(&scratch.folder("tree")), |tree, n| tree.file(format!("f{n}"), days(9)));
        let staging = scratch.folder("staging");
        let config = scratch.config(&format!(
            "[files.a]\npath = {:?}\nmax-age = '1d'\nguard = {{ max-share = '100%' }}\n{section}",
            tree.root()
        ));
        let replaced = Mutex::new(HashSet::new());
        let done = AtomicBool::new(false);
        let count = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // From the end: the run and the producer meet in the middle, again and again.
                while !done.load(Ordering::Relaxed) {
                    for n in (0..files).rev() {
                        let path = tree.path(format!("f{n}"));
                        let temporary = staging.join("new");
                        fs::write(&temporary, "fresh").unwrap();
                        // Only over a name that is still there: what is gone has had its day.
                        if renameat2(AT_FDCWD, &temporary, AT_FDCWD, &path, RenameFlags::RENAME_EXCHANGE)
                            .is_ok()
                        {
                            replaced.lock().unwrap().insert(n);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            });
            let report = Tool::prune(&config).arg("--json").run();
            done.store(true, Ordering::Relaxed);
            removed += report.json()["totals"]["files_deleted"].as_u64().unwrap();
        });
        let replaced = replaced.into_inner().unwrap();
        fresh += replaced.len() as u64;
        lost += replaced.iter().filter(|n| !tree.has(format!("f{n}"))).count() as u64;
        assert!(fs::read_dir(tree.path(".maint")).into_iter().flatten().all(|hand| {
            let hand = hand.unwrap().path();
            fs::read_dir(hand).unwrap().all(|left| left.unwrap().file_name() == "intent")
        }));
    }
    println!("replace racer: {fresh} fresh files, {lost} lost, {removed} old ones removed");
    (fresh, lost, removed)
}

#[test]
fn a_fresh_file_over_an_old_name_is_never_lost() {
    let (fresh, lost, removed) = replaced_file_race("");
    assert_eq!(lost, 0);
    assert!(fresh > 100 && removed > 100, "both must get to their work: {fresh} fresh, {removed} removed");
}
