//! What somebody plants in a folder of theirs leads root nowhere: on a real shell, everything that a
//! kind may find there, and everything that a kind does there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kind::Resource;
use crate::testing::{Host, names};
use crate::{Block, Directory, File, Link, PRELUDE, Strays, probe_script};

const CANARY: &str = "canary-9f2";

/// A folder of somebody's beside what is none of theirs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder };
        fs::create_dir_all(place.outside("folder/below")).unwrap();
        for file in ["file", "folder/x.conf", "folder/below/x"] {
            fs::write(place.outside(file), format!("{CANARY}\n")).unwrap();
            fs::set_permissions(place.outside(file), PermissionsExt::from_mode(0o600)).unwrap();
        }
        fs::create_dir(place.own("")).unwrap();
        // Everybody may change it, as the owner of a folder may: no right of root's is needed here.
        fs::set_permissions(place.own(""), PermissionsExt::from_mode(0o777)).unwrap();
        place
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.folder.path().join("outside").join(path)
    }

    fn own(&self, path: &str) -> PathBuf {
        self.folder.path().join("own").join(path)
    }

    fn host(&self) -> Host {
        Host::local(&self.folder.path().join("state"))
    }

    /// All that is outside: names, kinds, modes, owners, contents.
    fn manifest(&self) -> String {
        let output = Command::new("sh")
            .args([
                "-c",
                "find . -printf '%p %y %m %U %G %l %T@ %s\\n' | sort; cat file folder/x.conf",
            ])
            .current_dir(self.outside(""))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// What is planted, at a path.
type Plant = fn(&Place, &Path);

const LINKS: [(&str, Plant); 5] = [
    ("a link to a folder", |place, path| {
        symlink(place.outside("folder"), path).unwrap();
    }),
    ("a relative link to a folder", |_, path| {
        symlink("../outside/folder", path).unwrap();
    }),
    ("a link to a link", |place, path| {
        symlink("second", path).unwrap();
        symlink(place.outside("folder"), place.own("second")).unwrap();
    }),
    ("a link to a file", |place, path| {
        symlink(place.outside("file"), path).unwrap();
    }),
    ("a link to nothing", |place, path| {
        symlink(place.outside("new"), path).unwrap();
    }),
];

const OTHERS: [(&str, Plant); 5] = [
    ("a fifo", |_, path| {
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }),
    ("a socket", |_, path| {
        UnixListener::bind(path).unwrap();
    }),
    ("an unreadable file", |_, path| {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }),
    ("a file of a terabyte", |_, path| {
        fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
    }),
    ("a second name of a file of theirs", |place, path| {
        fs::write(place.own("first"), "theirs\n").unwrap();
        fs::hard_link(place.own("first"), path).unwrap();
    }),
];

/// All that a kind may do at a path, and below it.
fn wanted(place: &Place, path: &Path) -> Vec<Resource> {
    let (user, group) = names(place.folder.path());
    let at = path.display().to_string();
    let below = |name: &str| format!("{at}/{name}");
    vec![
        Directory::new(&at).mode(0o711).owner(&user, &group).into(),
        Directory::new(below("below"))
            .mode(0o711)
            .owner(&user, &group)
            .into(),
        Directory::new(below("a/b")).owner(&user, &group).into(),
        File::new(&at, "ours\n").owner(&user, &group).into(),
        File::new(below("x.conf"), "ours\n")
            .owner(&user, &group)
            .into(),
        File::new(below("below/x"), "ours\n")
            .owner(&user, &group)
            .into(),
        File::absent(&at).into(),
        File::absent(below("x.conf")).into(),
        Link::new(&at, "elsewhere").into(),
        Link::new(below("x.conf"), "elsewhere").into(),
        Block::new(&at, "ours", "ours").into(),
        Block::new(below("x.conf"), "ours", "ours").into(),
        Strays::new(&at, ".conf", CANARY, ["y"]).into(),
    ]
}

fn nothing_else_changes(plants: &[(&str, Plant)]) {
    for (what, plant) in plants {
        let place = Place::new();
        let path = place.own("there");
        let before = place.manifest();
        for wanted in wanted(&place, &path) {
            let case = format!("{} with {what} in the way", wanted.name());
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(place.own("first"));
            let _ = fs::remove_file(place.own("second"));
            plant(&place, &path);
            let host = place.host();
            let wanted = [wanted];
            let states = [&wanted[0].state];
            let said = host.look(&probe_script(&states));
            assert!(!said.contains(CANARY), "{case}:\n{said}");
            // A block cannot be read where no file is: the answer says so, and nothing is done.
            let Ok(plan) = crate::plan("host", &wanted, &crate::Answer::parse(&said)) else {
                assert!(case.starts_with("block"), "{case}:\n{said}");
                continue;
            };
            let output = host.apply(&plan);
            assert!(!output.contains(CANARY), "{case}:\n{output}");
            assert_eq!(place.manifest(), before, "{case}:\n{output}");
            let failed = output
                .lines()
                .any(|line| line.contains("end ") && !line.ends_with("end 0"));
            if failed {
                let at = path.display().to_string();
                assert!(
                    output.contains(&at) || output.contains("./there"),
                    "{case}:\n{output}"
                );
            }
        }
    }
}

#[test]
fn links_lead_root_nowhere() {
    nothing_else_changes(&LINKS);
}

#[test]
fn what_is_no_file_holds_nobody_up() {
    nothing_else_changes(&OTHERS);
}

/// The same as the old file's name beside the new one: marg's own temporary name is taken.
#[test]
fn a_name_that_marg_needs_leads_nowhere_when_it_is_taken() {
    for (what, plant) in LINKS.iter().chain(&OTHERS) {
        let place = Place::new();
        let (user, group) = names(place.folder.path());
        let before = place.manifest();
        plant(&place, &place.own("there.marg-new"));
        let path = place.own("there").display().to_string();
        let file = File::new(&path, "ours\n").owner(&user, &group);
        place.host().converge(&[file.into()]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours\n", "{what}");
        assert_eq!(place.manifest(), before, "{what}");
    }
}

#[test]
fn what_is_in_the_way_is_named_in_the_plan() {
    let place = Place::new();
    symlink(place.outside("folder"), place.own("there")).unwrap();
    let at = place.own("there").display().to_string();
    let wanted: [Resource; 3] = [
        Directory::new(&at).into(),
        Directory::new(format!("{at}/below")).into(),
        File::new(format!("{at}/x.conf"), "ours").into(),
    ];
    let plan = place.host().plan(&wanted);
    let summaries: Vec<&str> = plan
        .changes
        .iter()
        .map(|change| change.summary.as_str())
        .collect();
    assert_eq!(
        summaries,
        [
            "create where a symbolic link is in the way",
            "create where a path that a foreign link leads elsewhere is in the way",
            "replace a path that a foreign link leads elsewhere by a file",
        ]
    );
    let output = place.host().apply(&plan);
    let expected = format!(
        "{at} is in the way: a link that is not root's leads to {}; move it away and run again",
        place.outside("folder").display()
    );
    assert!(output.contains(&expected), "{output}");
}

/// More folders that others may change than can be held open at once, and names that need quotes.
#[test]
fn many_folders_are_looked_at() {
    let place = Place::new();
    let (user, group) = names(place.folder.path());
    let at = |name: String| place.own(&name).display().to_string();
    let wanted: Vec<Resource> = (0..9)
        .flat_map(|number| {
            let folder = at(format!("it's $HOME %s \\n {number}"));
            let inner = format!("{folder}/\"in|ner\" `id`");
            let link = Link::new(format!("{folder}/l|ink"), "t|o");
            let own = |path: &str| Directory::new(path).owner(&user, &group).mode(0o777);
            [own(&folder).into(), own(&inner).into(), link.into()]
        })
        .collect();
    place.host().converge(&wanted);
}

/// Links of whoever runs this, in folders that nobody else may change, are followed as before.
#[test]
fn links_of_roots_own_are_followed() {
    let place = Place::new();
    let (user, group) = names(place.folder.path());
    fs::set_permissions(place.own(""), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(place.own("real/deep")).unwrap();
    symlink("real/deep", place.own("one")).unwrap();
    symlink(place.own("one"), place.own("two")).unwrap();
    let at = |path: &str| place.own(path).display().to_string();
    let host = place.host();
    let wanted = [
        Directory::new(at("two"))
            .mode(0o711)
            .owner(&user, &group)
            .into(),
        Directory::new(at("two/a/b"))
            .mode(0o700)
            .owner(&user, &group)
            .into(),
        File::new(at("two/../deep/x"), "x")
            .owner(&user, &group)
            .into(),
    ];
    host.converge(&wanted);
    assert_eq!(fs::read_to_string(place.own("real/deep/x")).unwrap(), "x");
    assert_eq!(
        fs::metadata(place.own("real/deep")).unwrap().mode() & 0o7777,
        0o711
    );
    assert!(place.own("real/deep/a/b").is_dir());
    // As soon as somebody else can change the link on the way, it is not.
    fs::set_permissions(place.own("real"), PermissionsExt::from_mode(0o777)).unwrap();
    fs::remove_dir_all(place.own("real/deep")).unwrap();
    symlink(place.outside("folder"), place.own("real/deep")).unwrap();
    let before = place.manifest();
    let output = host.apply(&host.plan(&wanted));
    assert!(output.contains("is in the way"), "{output}");
    assert_eq!(place.manifest(), before);
}

/// The folder becomes a link and a folder again all the time: whatever is looked at first, nothing
/// is done elsewhere.
#[test]
fn a_race_is_lost_by_whoever_plants() {
    let place = Place::new();
    let (user, group) = names(place.folder.path());
    fs::create_dir(place.own("folder")).unwrap();
    symlink(place.outside("folder"), place.own("link")).unwrap();
    let before = place.manifest();
    let done = std::sync::atomic::AtomicBool::new(false);
    let at = place.own("there").display().to_string();
    let script = format!(
        "{PRELUDE}\nfor turn in $(seq 40); do\n\
         mkdir -p \"$STAGE{at}/below\"; echo ours > \"$STAGE{at}/below/x\"\n\
         own_folder {at} 0711 {user}:{group}\nown_folder {at}/below 0711 {user}:{group}\n\
         remove {at}/x.conf\nland {at}/below/x\n\
         done >/dev/null 2>&1"
    );
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for name in ["folder", "link"] {
                    let _ = fs::rename(place.own(name), place.own("there"));
                    let _ = fs::rename(place.own("there"), place.own(name));
                }
            }
        });
        let output = place.host().run(&script);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        output
    });
    assert_eq!(place.manifest(), before, "{output}");
    // Some of it was done where it belongs, so the race was a race.
    assert!(place.own("folder/below/x").exists() || place.own("there/below/x").exists());
}
