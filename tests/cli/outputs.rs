//! Files that a user names: written whole, and without taking the place of what a path stands for.

use std::fs;
use std::os::unix::fs::{symlink, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::session::{arg, copy_of_mixed, mixed, names, pcnbench, refused, run, says, sentence, succeeds};

/// What `export` prints.
fn exported(format: &str) -> String {
    succeeds(&["export", &arg(mixed().0), "--format", format])
}

fn export_to(path: &Path) {
    succeeds(&["export", &arg(mixed().0), "--format", "bmf", "--out", &arg(path)]);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_export_goes_to_what_its_path_stands_for() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let expected = exported("bmf");

    fs::write(at("private"), "old").unwrap();
    fs::set_permissions(at("private"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("private", at("link")).unwrap();
    symlink("new", at("dangling")).unwrap();
    for name in ["private", "link", "dangling"] {
        export_to(&at(name));
        assert_eq!(fs::read_to_string(at(name)).unwrap(), expected, "{name}");
    }
    assert_eq!(mode(&at("private")), 0o600);
    assert!(["link", "dangling"].iter().all(|link| fs::symlink_metadata(at(link)).unwrap().is_symlink()));

    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    let fifo = at("fifo");
    let reader = thread::spawn(move || fs::read_to_string(fifo).unwrap());
    export_to(&at("fifo"));
    assert_eq!(reader.join().unwrap(), expected);
    assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());

    export_to(Path::new("/dev/null"));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert_eq!(succeeds(&["export", &arg(mixed().0), "--format", "bmf", "--out", "/dev/stdout"]), expected);
    let folder = refused(&["export", &arg(mixed().0), "--format", "bmf", "--out", &arg(dir.path())]);
    says(&folder, &["cannot write ", "directory"]);
    assert_eq!(names(dir.path()), ["dangling", "fifo", "link", "new", "private"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_full_is_told() {
    let said = refused(&["export", &arg(mixed().0), "--format", "bmf", "--out", "/dev/full"]);
    says(&said, &["cannot write /dev/full: No space left"]);
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
}

#[test]
fn a_splice_keeps_link_and_mode() {
    let (dir, record) = copy_of_mixed();
    let (readme, link) = (dir.path().join("README.md"), dir.path().join("link.md"));
    fs::write(&readme, "<!-- pcnbench:begin results -->\r\n<!-- pcnbench:end results -->\r\n").unwrap();
    fs::set_permissions(&readme, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("README.md", &link).unwrap();
    let splice = ["report", &arg(&record), "--splice", &arg(&link)];
    succeeds(&splice);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && mode(&readme) == 0o640);
    let text = fs::read_to_string(&readme).unwrap();
    says(&text, &["| rule |", "\r\n"]);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    succeeds(&[&splice[..], &["--check"]].concat());
}

/// Text of a record stays text: it closes no block, opens none, and makes no row of a table two.
#[test]
fn a_record_cannot_write_beyond_its_block() {
    let (dir, record) = copy_of_mixed();
    let header = fs::read_to_string(record.join("run.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&header).unwrap();
    let hostile =
        ["\n<!-- pcnbench:end results -->\n", "`<!-- pcnbench:begin results -->", "\r\n```\n", "a | b"];
    json["argv"] = serde_json::json!([&["pcnbench"], &hostile[..]].concat());
    json["rev"] = "<!-- <b>\n<!-- pcnbench:end results -->\n".into();
    fs::write(record.join("run.json"), json.to_string()).unwrap();
    let header = fs::read_to_string(record.join("machine.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&header).unwrap();
    json["cpu"] = "<!-- \n<!-- pcnbench:end results -->\n~~~".into();
    fs::write(record.join("machine.json"), json.to_string()).unwrap();
    crate::session::seal(&record);

    let readme = dir.path().join("README.md");
    let (before, after) =
        ("a\n\n\n\n<!-- pcnbench:begin results x -->\n", "<!-- pcnbench:end results -->\nb");
    fs::write(&readme, format!("{before}{after}")).unwrap();
    let splice = ["report", &arg(&record), "--splice", &arg(&readme)];
    succeeds(&splice);
    let text = fs::read_to_string(&readme).unwrap();
    let inner = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
    let lines: Vec<&str> = inner.lines().collect();
    assert!(lines[1].starts_with("``pcnbench ") || lines[1].starts_with("````pcnbench "), "{}", lines[1]);
    // One line says what was run, and behind it there is no comment to be closed by the marker.
    let said = lines[1].rsplit('`').next().unwrap();
    assert!(said.contains("&lt;!--") && !said.contains('<'), "{said}");
    // Rows, and what marks on them mean: other programs may have kept this one waiting.
    let of_table = |l: &&str| l.is_empty() || l.starts_with("| ") || l.starts_with('‡');
    assert!(lines[0].is_empty() && lines[2].is_empty() && lines[3..].iter().all(of_table), "{inner}");
    succeeds(&[&splice[..], &["--check"]].concat());
}

/// Other processes write the same file at the same time: none fails, and what stands there is whole.
#[test]
fn concurrent_exports_of_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.json");
    let formats = ["bmf", "gha-smaller", "critcmp"];
    let whole = formats.map(exported);
    for _ in 0..4 {
        let children: Vec<_> = (0..12)
            .map(|i| {
                let mut child = Command::new(pcnbench().get_program());
                child.args(["export", &arg(mixed().0), "--format", formats[i % 3], "--out", &arg(&file)]);
                child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(whole.contains(&fs::read_to_string(&file).unwrap()), "torn");
    }
    assert_eq!(names(dir.path()), ["file.json"]);
}

/// What a killed `plot` left in the folders that it writes to goes with the next one.
#[test]
fn plot_removes_what_a_killed_one_left() {
    let (_dir, record) = copy_of_mixed();
    succeeds(&["plot", &arg(&record)]);
    let (figures, before) = (record.join("figures"), names(&record.join("figures")));
    for folder in [&record, &figures] {
        fs::write(folder.join(".pcnbench-0123456789abcdef.tmp"), "half a").unwrap();
        fs::write(folder.join("notes.tmp"), "mine").unwrap();
    }
    succeeds(&["plot", &arg(&record)]);
    for folder in [&record, &figures] {
        assert!(!names(folder).iter().any(|name| name.starts_with(".pcnbench-")), "{:?}", names(folder));
        assert!(folder.join("notes.tmp").exists());
    }
    assert_eq!(names(&figures).len(), before.len() + 1);
}

/// A disk without space for a figure: one sentence, the figures that were there, and nothing half-written.
#[cfg(target_os = "linux")]
#[test]
fn plot_on_a_full_disk_keeps_the_old_figures() {
    let (_dir, record) = copy_of_mixed();
    succeeds(&["plot", &arg(&record)]);
    let files = |folder: &Path| -> Vec<(String, Vec<u8>)> {
        let regular = names(folder).into_iter().filter(|name| folder.join(name).is_file());
        regular.map(|name| (name.clone(), fs::read(folder.join(&name)).unwrap())).collect()
    };
    let before = (files(&record), files(&record.join("figures")));
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(pcnbench().get_program());
    shell.args(["plot", &arg(&record)]).env("RAYON_NUM_THREADS", "1");
    let done = crate::session::done(&mut shell.into());
    says(&sentence(&done, 1), &["cannot write ", "figures", "File too large"]);
    assert!((files(&record), files(&record.join("figures"))) == before);
}

/// `plot` draws into the file that a link leads to, as everything else does.
#[test]
fn a_page_that_is_a_link_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    symlink("page.html", dir.path().join("index.html")).unwrap();
    assert_eq!(run(&["plot", &arg(mixed().0), "--out", &arg(dir.path())]).code, Some(0));
    assert!(fs::symlink_metadata(dir.path().join("index.html")).unwrap().is_symlink());
    let page = fs::read(dir.path().join("page.html")).unwrap();
    assert!(page == fs::read(mixed().0.join("index.html")).unwrap());
}
