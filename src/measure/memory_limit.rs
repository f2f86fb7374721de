//! How much main memory this process may use: what the machine has, or less where a container or a shell says so.
//!
//! A process that goes beyond the limit of its control group is killed without a word, so the limit has to be known before.

use std::fs;
use std::path::{Path, PathBuf};

/// Main memory that this process may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Bytes; 0 if unknown.
    pub bytes: u64,
    /// What has so much: the machine, a control group with its file, or the process with the option that limited it.
    pub owner: String,
    /// Bytes of it that this process has taken.
    pub taken: u64,
}

impl Memory {
    /// Of this process: the least of the machine's memory, the limits of its control group and all groups above it (version 1
    /// and 2), and its own limits on address space and data (`ulimit -v`, `ulimit -d`).
    pub fn of_this_process() -> Self {
        Self::under(Path::new("/"))
    }

    /// The same, by the files of a system below `root`.
    fn under(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let total = field(&text("proc/meminfo"), "MemTotal").and_then(kibibytes);
        let status = text("proc/self/status");
        let taken = |name: &str| field(&status, name).and_then(kibibytes).unwrap_or(0);
        let resident = taken("VmRSS");
        let machine = Self { bytes: total.unwrap_or(0), owner: "this machine".to_owned(), taken: resident };
        let own = [("Max address space", "-v", "VmSize"), ("Max data size", "-d", "VmData")];
        let limits = text("proc/self/limits");
        let own = own.into_iter().filter_map(|(name, option, size)| {
            let bytes = soft_limit(&limits, name)?;
            Some(Self { bytes, owner: format!("this process (`ulimit {option}`)"), taken: taken(size) })
        });
        let groups = group_files(root, &text("proc/self/mountinfo"), &text("proc/self/cgroup"));
        let groups = groups.into_iter().filter_map(|file| {
            let bytes = fs::read_to_string(root.join(&file)).ok()?.trim().parse().ok()?;
            let owner = format!("the control group of this process (/{})", file.display());
            Some(Self { bytes, owner, taken: resident })
        });
        // version 1 says "no limit" by a number beyond any machine
        let limits = own.chain(groups).filter(|limit| machine.bytes == 0 || limit.bytes < machine.bytes);
        limits.min_by_key(|limit| limit.bytes).filter(|limit| limit.bytes < 1 << 60).unwrap_or(machine)
    }

    /// Whether `bytes` more can be had, as far as is known.
    pub fn has_room_for(&self, bytes: f64) -> bool {
        self.bytes == 0 || bytes <= self.bytes.saturating_sub(self.taken) as f64
    }
}

/// `1024 kB` in bytes.
fn kibibytes(value: &str) -> Option<u64> {
    value.split(' ').next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A soft limit of `/proc/self/limits`; none where it says `unlimited`.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Files that limit the memory of a process's control groups, below `root`.
///
/// `cgroup` names the group in each hierarchy, `mountinfo` where hierarchies are mounted and which part of them is. In a
/// container the group's name may lie outside that part; the mount point itself is then the container's own group.
fn group_files(root: &Path, mountinfo: &str, cgroup: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for mount in mountinfo.lines().filter_map(Mount::parse) {
        let names: &[&str] = match mount.version {
            // beyond `memory.high` a group is held up rather than killed, and no time means anything
            2 => &["memory.max", "memory.high"],
            _ => &["memory.limit_in_bytes"],
        };
        let of_version = |line: &&str| match mount.version {
            2 => line.starts_with("0::"),
            _ => line
                .split(':')
                .nth(1)
                .is_some_and(|controllers| controllers.split(',').any(|c| c == "memory")),
        };
        let group =
            cgroup.lines().find(of_version).and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or("/");
        let inside = Path::new(group).strip_prefix(&mount.part).unwrap_or(Path::new(""));
        let inside = if group.contains("/..") { Path::new("") } else { inside };
        for group in inside.ancestors() {
            let group = mount.at.join(group);
            // a parent of version 1 that is told not to count its children does not limit them
            let counts = fs::read_to_string(root.join(&group).join("memory.use_hierarchy"));
            if mount.at.join(inside) != group && counts.is_ok_and(|text| text.trim() == "0") {
                break;
            }
            files.extend(names.iter().map(|name| group.join(name)));
        }
    }
    files
}

/// A hierarchy of control groups that counts memory.
struct Mount {
    version: u8,
    /// The group that is mounted.
    part: PathBuf,
    /// Where, without the slash in front.
    at: PathBuf,
}

impl Mount {
    /// A line of `mountinfo`: id, parent, device, part, mount point, options, further fields, `-`, type, source, options.
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (part, at) = (unescaped(mount.next()?), unescaped(mount.next()?));
        let mut kind = kind.split(' ');
        let version = match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => 2,
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => 1,
            _ => return None,
        };
        Some(Self { version, part: part.into(), at: at.trim_start_matches('/').into() })
    }
}

/// Spaces and their like are written in octal there.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Value of the first line `key : value`.
pub(super) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim()).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A system of 8 GiB with these further files.
    fn system(files: &[(&str, &str)]) -> Memory {
        let root = tempfile::tempdir().unwrap();
        let meminfo = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n");
        for (path, text) in [meminfo].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Memory::under(root.path())
    }

    fn mib(files: &[(&str, &str)]) -> u64 {
        system(files).bytes / MIB
    }

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "22 1 0:5 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
    );
    const V1: (&str, &str) = (
        "proc/self/mountinfo",
        "40 39 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
         41 39 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
    );

    #[test]
    fn without_limits_it_is_the_machine() {
        assert_eq!(system(&[]), Memory { bytes: 8192 * MIB, owner: "this machine".into(), taken: 0 });
        let none = [V2, ("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max\n")];
        assert_eq!(mib(&none), 8192);
        let none = [
            V1,
            ("proc/self/cgroup", "5:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(mib(&none), 8192);
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(Memory::under(empty.path()).bytes, 0, "unknown");
    }

    #[test]
    fn groups_of_version_2_and_all_above_them() {
        let at = |max: &str, high: &str, above: &str| {
            system(&[
                V2,
                ("proc/self/cgroup", "0::/a.slice/b.scope\n"),
                ("sys/fs/cgroup/a.slice/b.scope/memory.max", max),
                ("sys/fs/cgroup/a.slice/b.scope/memory.high", high),
                ("sys/fs/cgroup/a.slice/memory.max", above),
                ("sys/fs/cgroup/memory.max", "max\n"),
                ("sys/fs/cgroup/other/memory.max", "1\n"),
            ])
        };
        let own = at("419430400\n", "max\n", "max\n");
        assert_eq!(own.bytes, 400 * MIB);
        assert_eq!(
            own.owner,
            "the control group of this process (/sys/fs/cgroup/a.slice/b.scope/memory.max)"
        );
        assert_eq!(at("max\n", "104857600\n", "max\n").bytes, 100 * MIB);
        assert_eq!(at("419430400\n", "max\n", "209715200\n").bytes, 200 * MIB);
    }

    #[test]
    fn groups_of_version_1_and_those_above_that_count_them() {
        let at = |hierarchy: &str| {
            mib(&[
                V1,
                ("proc/self/cgroup", "7:cpu,cpuacct:/x\n5:memory:/a/b\n"),
                ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "419430400\n"),
                ("sys/fs/cgroup/memory/a/b/memory.use_hierarchy", "0\n"),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "209715200\n"),
                ("sys/fs/cgroup/memory/a/memory.use_hierarchy", hierarchy),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n"),
            ])
        };
        assert_eq!((at("1\n"), at("0\n")), (200, 400));
    }

    /// With a namespace the group is `/` or lies above it; without one, only a part of the hierarchy is mounted.
    #[test]
    fn containers_see_their_group_at_the_mount_point() {
        let own = ("sys/fs/cgroup/memory.max", "419430400\n");
        for group in ["0::/\n", "0::/../../other\n", "0::/docker/abc\n"] {
            assert_eq!(mib(&[V2, ("proc/self/cgroup", group), own]), 400, "{group}");
        }
        let part = (
            "proc/self/mountinfo",
            "41 39 0:31 /docker/a\\040b /sys/fs/cgroup/my\\040memory ro - cgroup cgroup rw,memory\n",
        );
        let group = ("proc/self/cgroup", "5:memory:/docker/a b/inner\n");
        let limit = ("sys/fs/cgroup/my memory/inner/memory.limit_in_bytes", "104857600\n");
        let above = ("sys/fs/cgroup/my memory/memory.limit_in_bytes", "419430400\n");
        assert_eq!(mib(&[part, group, above]), 400);
        assert_eq!(mib(&[part, group, above, limit]), 100);
    }

    #[test]
    fn limits_of_the_process_itself() {
        let at = |space: &str, data: &str| {
            let text = format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             {data}           unlimited            bytes     \n\
                 Max address space         {space}            unlimited            bytes     \n"
            );
            system(&[("proc/self/limits", &text)])
        };
        assert_eq!(at("unlimited", "unlimited").bytes, 8192 * MIB);
        let space = at("419430400", "unlimited");
        assert_eq!((space.bytes, space.owner.as_str()), (400 * MIB, "this process (`ulimit -v`)"));
        assert_eq!(at("unlimited", "104857600").bytes, 100 * MIB);
    }

    /// Of 400 MiB of address space, 100 are taken; of memory, 10.
    #[test]
    fn what_is_taken_leaves_less_room() {
        let status = ("proc/self/status", "VmSize:\t  102400 kB\nVmRSS:\t   10240 kB\n");
        let machine = system(&[status]);
        let room = |memory: &Memory, mib: u64| memory.has_room_for((mib * MIB) as f64);
        assert!(room(&machine, 8182) && !room(&machine, 8183));
        let space =
            system(&[status, ("proc/self/limits", "Max address space  419430400  unlimited  bytes\n")]);
        assert!(room(&space, 300) && !room(&space, 301), "{space:?}");
        assert!(Memory { bytes: 0, ..machine }.has_room_for(f64::MAX), "unknown");
    }
}
