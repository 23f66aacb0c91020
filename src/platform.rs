//! All that differs between operating systems, each as one function with the same meaning everywhere.

use std::io;
use std::path::Path;

/// What tells a file from another one put in its place: device and inode.
#[cfg(unix)]
pub fn file_identity(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok(format!("device {} inode {}", metadata.dev(), metadata.ino()))
}

/// What tells a file from another one put in its place: its creation time, since std does not reach the volume's
/// serial number and the file index. A copy gets another creation time.
#[cfg(windows)]
pub fn file_identity(path: &Path) -> io::Result<String> {
    use std::os::windows::fs::MetadataExt;
    Ok(format!("created {}", std::fs::metadata(path)?.creation_time()))
}

/// Listens from now on; the future ends when the process is asked to stop: SIGTERM or SIGINT.
#[cfg(unix)]
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Listens from now on; the future ends when the process is asked to stop: Ctrl+C, Ctrl+Break, or the closing console.
#[cfg(windows)]
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows;
    let (mut c, mut interrupt, mut close) =
        (windows::ctrl_c()?, windows::ctrl_break()?, windows::ctrl_close()?);
    Ok(async move {
        tokio::select! {
            _ = c.recv() => {}
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
        }
    })
}

/// Makes a folder that only this user can read.
#[cfg(unix)]
pub fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if path.is_dir() {
        return std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder; its access rights are those that it inherits.
#[cfg(windows)]
pub fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Where the configuration file is when nobody says.
pub fn default_config() -> std::path::PathBuf {
    #[cfg(windows)]
    let path =
        std::path::PathBuf::from(std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into()))
            .join(r"bodrelay\bodrelay.toml");
    #[cfg(not(windows))]
    let path = std::path::PathBuf::from("/etc/bodrelay/bodrelay.toml");
    path
}

/// Asks a child process to end in order, as a service manager does.
#[cfg(unix)]
pub fn ask_to_stop(child: &mut std::process::Child) -> io::Result<()> {
    // The signal goes out by the system's own command: std can only kill.
    let status = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the command 'kill' failed")) }
}

/// Asks a child process to end: on Windows there is no orderly way from outside, so it is killed.
#[cfg(windows)]
pub fn ask_to_stop(child: &mut std::process::Child) -> io::Result<()> {
    child.kill()
}

/// The kind of the network file system that a folder is on; `None`: a local one, or it cannot be told.
#[cfg(target_os = "linux")]
pub fn network_file_system(path: &Path) -> Option<String> {
    const KINDS: [&str; 12] = [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "ncpfs",
    ];
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    // Of the mounts above the folder the longest holds it, and of equal ones the last covers the others.
    let (_, kind) = mounts
        .lines()
        .filter_map(|line| {
            let (front, back) = line.split_once(" - ")?;
            let point = front.split(' ').nth(4)?.replace("\\040", " ");
            Some((point, back.split(' ').next()?.to_owned()))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())?;
    KINDS.contains(&kind.as_str()).then_some(kind)
}

/// The kind of the network file system that a folder is on; only Linux tells.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_: &Path) -> Option<String> {
    None
}
