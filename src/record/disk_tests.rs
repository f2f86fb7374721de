//! Oracle: the file system itself, asked through the standard library before and after.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{symlink, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use super::*;
use crate::record::fixture::names;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_keeps_its_mode_and_a_new_one_gets_the_usual() {
    let root = tempfile::tempdir().unwrap();
    let (usual, file) = (root.path().join("usual"), root.path().join("file"));
    fs::write(&usual, "").unwrap();
    save(&file, b"new").unwrap();
    assert_eq!(mode(&file), mode(&usual));
    for bits in [0o600, 0o640, 0o664, 0o755, 0o444] {
        set_mode(&file, bits);
        let before = fs::metadata(&file).unwrap();
        save(&file, format!("{bits}").as_bytes()).unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!((mode(&file), after.uid(), after.gid()), (bits, before.uid(), before.gid()));
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{bits}"));
    }
    assert_eq!(names(root.path()), ["file", "usual"]);
}

/// Only the superuser gives files away; elsewhere there is nothing to see.
#[test]
fn a_file_keeps_its_owner() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "old").unwrap();
    if std::os::unix::fs::chown(&file, Some(12345), Some(54321)).is_err() {
        return;
    }
    set_mode(&file, 0o2750);
    save(&file, b"new").unwrap();
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.uid(), found.gid(), mode(&file)), (12345, 54321, 0o2750));
    assert_eq!(fs::read(&file).unwrap(), b"new");
}

#[test]
fn links_stay_and_their_targets_are_written() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("far")).unwrap();
    fs::write(at("far/file"), "old").unwrap();
    set_mode(&at("far/file"), 0o600);
    symlink("far/file", at("relative")).unwrap();
    symlink(at("relative"), at("chain")).unwrap();
    symlink("far/none", at("dangling")).unwrap();
    symlink("dangling", at("dangling-chain")).unwrap();
    symlink("far", at("folder")).unwrap();
    for (link, target) in [
        ("relative", "far/file"),
        ("chain", "far/file"),
        ("dangling", "far/none"),
        ("dangling-chain", "far/none"),
        ("folder/file", "far/file"),
    ] {
        save(&at(link), link.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(at(target)).unwrap(), link);
        assert!(!fs::symlink_metadata(at(target)).unwrap().is_symlink());
    }
    for link in ["relative", "chain", "dangling", "dangling-chain", "folder"] {
        assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
    }
    assert_eq!(mode(&at("far/file")), 0o600);
    assert_eq!(names(&at("far")), ["file", "none"]);

    symlink("loop", at("loop")).unwrap();
    symlink("no/such/folder/file", at("astray")).unwrap();
    let refused = |path: PathBuf| save(&path, b"x").unwrap_err().to_string();
    for place in ["loop", "astray", "far", "folder", "new/", "far/file/below"] {
        let said = refused(at(place));
        assert!(said.starts_with("cannot write ") && said.contains(place), "{said}");
    }
    assert_eq!(names(root.path()).len(), 8, "{:?}", names(root.path()));
}

#[test]
fn what_is_no_regular_file_is_written_through() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let content = vec![7; 300_000];

    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    symlink("fifo", at("link")).unwrap();
    for way in ["fifo", "link"] {
        let fifo = at("fifo");
        let reader = thread::spawn(move || fs::read(fifo).unwrap());
        save(&at(way), &content).unwrap();
        assert_eq!(reader.join().unwrap(), content);
    }
    assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());

    let listener = UnixListener::bind(at("socket")).unwrap();
    let reader = thread::spawn(move || {
        let mut all = vec![];
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        all
    });
    save(&at("socket"), &content).unwrap();
    assert_eq!(reader.join().unwrap(), content);
    assert!(fs::symlink_metadata(at("socket")).unwrap().file_type().is_socket());

    save(Path::new("/dev/null"), b"x").unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    if cfg!(target_os = "linux") {
        let said = save(Path::new("/dev/full"), b"x").unwrap_err().to_string();
        assert!(said.starts_with("cannot write /dev/full: No space left"), "{said}");
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    }
    assert_eq!(names(root.path()), ["fifo", "link", "socket"]);
}

/// An open descriptor is shared with others, whose output a replacement would take away.
#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_is_added_to() {
    use std::os::fd::AsRawFd;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"before ").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    for way in [format!("/dev/fd/{}", file.as_raw_fd()), format!("/proc/self/fd/{}", file.as_raw_fd())] {
        save(Path::new(&way), b"and after ").unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "before and after and after ");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

/// Many writers of one file and a reader: always some writer's whole content, no failure, nothing left.
#[test]
fn the_last_writer_wins_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    let content = |n: u8| vec![n; 1000 * usize::from(n)];
    save(&path, &content(1)).unwrap();
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=8)
            .map(|n| {
                let path = &path;
                scope.spawn(move || (0..40).for_each(|_| save(path, &content(n)).unwrap()))
            })
            .collect();
        while !writers.iter().all(|w| w.is_finished()) {
            let found = fs::read(&path).unwrap();
            assert_eq!(found, content(found[0]), "torn");
        }
    });
    assert_eq!(names(root.path()), ["file"]);
}

/// What a killed writer left goes, what a living one writes stays, and so does what merely looks alike.
#[test]
fn only_abandoned_files_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let (file, living) = create_temporary(root.path(), false).unwrap();
    let (_, dead) = create_temporary(root.path(), true).unwrap();
    assert_eq!(mode(&dead), 0o600);
    let others =
        [".pcnbench-0123.tmp", ".pcnbench-0123456789abcdeg.tmp", "pcnbench-0123456789abcdef.tmp", ".x.tmp"];
    others.iter().for_each(|name| fs::write(root.path().join(name), "").unwrap());
    let folder = root.path().join(".pcnbench-0123456789abcdef.tmp");
    fs::create_dir(&folder).unwrap();
    sweep(root.path());
    assert!(living.exists() && !dead.exists() && folder.is_dir());
    assert!(others.iter().all(|name| root.path().join(name).exists()));
    drop(file);
    // By the next writer of any file beside it.
    save(&root.path().join("file"), b"x").unwrap();
    assert!(!living.exists());
}

/// Where no new file can be made, but the old one can be written.
#[test]
fn a_file_in_a_closed_folder_is_written_in_place() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "a long content").unwrap();
    set_mode(root.path(), 0o555);
    let root_user = fs::write(root.path().join("probe"), "").is_ok();
    let saved = save(&file, b"new");
    set_mode(root.path(), 0o755);
    saved.unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(names(root.path()).len(), 1 + usize::from(root_user));
}
