//! What a path that a user names stands for: a regular file, existing or not, or something to be written through.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Links followed until they count as a loop, as on Linux.
const MOST_LINKS: usize = 40;

/// Where content for a path goes.
#[derive(Debug)]
pub(super) enum Place {
    /// To a regular file at the end of all links; with what is known of it, if it exists.
    File(PathBuf, Option<Metadata>),
    /// Into something that no rename may take the place of.
    Through(Through),
}

/// How something that is not a regular file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Through {
    /// A device or a FIFO, which waits for its reader.
    Node,
    /// A descriptor that is open, such as `/dev/stdout`: other programs write to it too, so this goes to its end.
    Descriptor,
    /// A socket with a listener.
    Socket,
}

/// The folder that holds `path`; the parent of a bare name is the empty path, which the system does not take for one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Place {
    /// Finds out.
    ///
    /// # Errors
    /// For a folder, for a path below something that is none, and whatever else the system refuses.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        // By the system, which also follows those links of /proc that have no path to show.
        let found = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(found) => Some(found),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        if let Some(node) = found.as_ref().filter(|found| !found.is_file()) {
            return Ok(Self::Through(if is_socket(node) { Through::Socket } else { Through::Node }));
        }
        let file = follow(path)?;
        let descriptor = file.starts_with("/proc") && folder_of(&file).ends_with("fd");
        Ok(if descriptor { Self::Through(Through::Descriptor) } else { Self::File(file, found) })
    }
}

impl Through {
    /// Writes all of `bytes`.
    pub(super) fn write(self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Node => File::options().write(true).open(path)?.write_all(bytes),
            Self::Descriptor => File::options().append(true).open(path)?.write_all(bytes),
            #[cfg(unix)]
            Self::Socket => std::os::unix::net::UnixStream::connect(path)?.write_all(bytes),
            #[cfg(not(unix))]
            Self::Socket => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }
}

#[cfg(unix)]
fn is_socket(node: &Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&node.file_type())
}

#[cfg(not(unix))]
fn is_socket(_: &Metadata) -> bool {
    false
}

/// The end of the symbolic links at `path`, where there may be nothing yet; or the first that lies in /proc, where links
/// lead to what is open and not to a path.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let folder = fs::canonicalize(folder_of(&path))?;
        let Some(name) = path.file_name() else {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        };
        let here = folder.join(name);
        if folder.starts_with("/proc") {
            return Ok(here);
        }
        if !fs::symlink_metadata(&here).is_ok_and(|found| found.is_symlink()) {
            return Ok(here);
        }
        path = folder.join(fs::read_link(&here)?);
    }
    Err(io::Error::other("too many symbolic links"))
}
