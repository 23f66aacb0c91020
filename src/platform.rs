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

/// What tells this run of the machine from any other; `None`: it does not say.
pub fn boot() -> Option<String> {
    // Linux only: nowhere else is there such a file.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
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

/// The wish that files are read again: SIGHUP, which ends nothing from now on. Nobody has it on Windows.
pub struct Hangups(#[cfg(unix)] tokio::signal::unix::Signal);

impl Hangups {
    /// Listens from now on; within a runtime.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// There is no such signal.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self())
    }

    /// The next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}

/// Makes a folder that only this user can read, or sees that it is one. A folder that is there is closed to others only
/// where it is this user's and nothing but `is_own` is in it.
#[cfg(unix)]
pub fn private_folder(path: &Path, is_own: impl Fn(&str) -> bool) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if !path.is_dir() {
        return std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    }
    if !is_open_to_others(path) {
        return Ok(());
    }
    if let Some(trouble) = open_folder(path, is_own) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, trouble));
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Why a folder that other users may enter cannot be taken as a private one, with the command to type; `None`: it can be
/// closed, or is.
#[cfg(unix)]
pub fn open_folder(path: &Path, is_own: impl Fn(&str) -> bool) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    if !path.is_dir() || !is_open_to_others(path) {
        return None;
    }
    let foreign = std::fs::read_dir(path)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| !is_own(name));
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.uid());
    let is_anothers = owner(Path::new("/proc/self")).is_some_and(|own| owner(path) != Some(own));
    let why = match (&foreign, is_anothers) {
        (Some(name), _) => format!("holds what is not bodrelay's ({name})"),
        (None, true) => "belongs to another user".to_owned(),
        (None, false) => return None,
    };
    let shown = path.display();
    Some(format!(
        "other users may enter {shown}, and it {why}: it is left as it is. Name a folder of its own, as in \
         state_dir = \"{}\", which the agent makes; or, if nobody else needs this one, type: chmod 700 '{}'",
        path.join("bodrelay").display(),
        shown.to_string().replace('\'', "'\\''")
    ))
}

/// Makes a folder; its access rights are those that it inherits.
#[cfg(windows)]
pub fn private_folder(path: &Path, _: impl Fn(&str) -> bool) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Not looked at: access lists are no business of a mode.
#[cfg(windows)]
pub fn open_folder(_: &Path, _: impl Fn(&str) -> bool) -> Option<String> {
    None
}

/// Whether users beside the owner may read a file.
#[cfg(unix)]
pub fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// Not looked at: access lists are no business of a mode.
#[cfg(windows)]
pub fn others_may_read(_: &Path) -> bool {
    false
}

/// Whether this user may make files in a folder (or write a file that is there), as far as rights tell.
#[cfg(unix)]
pub fn may_write(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let access = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

/// As the read-only mark says; access lists are no business of a mode.
#[cfg(windows)]
pub fn may_write(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.permissions().readonly())
}

/// The owner of a folder and this user, where they differ and this user may not change its rights for that.
#[cfg(unix)]
pub fn other_owner(path: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(path).ok()?.uid();
    let own = rustix::process::geteuid();
    (!own.is_root() && own.as_raw() != owner).then(|| (owner, own.as_raw()))
}

/// Rights are inherited there: the owner does not matter.
#[cfg(windows)]
pub fn other_owner(_: &Path) -> Option<(u32, u32)> {
    None
}

/// Puts `bytes` in the place of a file: written beside it and renamed, so that a reader never sees half a file; nobody but
/// the owner ever may open it.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A left-over of a run that was killed; create_new would refuse it.
    let _ = std::fs::remove_file(&beside);
    let mut file = options.open(&beside)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// What started this process and wants to know how it goes: systemd with `Type=notify`, by datagrams to the socket in
/// `NOTIFY_SOCKET` (sd_notify(3)). Nobody, on Windows and where the variable is not set.
#[derive(Debug, Default)]
pub struct ServiceManager {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    /// A sign of life is expected this often.
    watchdog: Option<std::time::Duration>,
}

impl ServiceManager {
    /// As the environment names it.
    ///
    /// # Errors
    /// It is named and cannot be reached: it would wait for a word that never comes.
    #[cfg(unix)]
    pub fn from_environment() -> io::Result<Self> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match name.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', abstract_name @ ..] => {
                <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(abstract_name)?
            }
            _ => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| is_ours && *microseconds > 0);
        Ok(Self { socket: Some(socket), watchdog: watchdog.map(std::time::Duration::from_micros) })
    }

    /// There is none on this system.
    #[cfg(not(unix))]
    pub fn from_environment() -> io::Result<Self> {
        Ok(Self::default())
    }

    /// The longest silence that it bears.
    pub fn watchdog(&self) -> Option<std::time::Duration> {
        self.watchdog
    }

    /// Tells it assignments, a line each, as in `READY=1`. Not waited for: where its queue is full, the next word counts.
    #[cfg(unix)]
    pub fn tell(&self, state: &str) -> io::Result<()> {
        match self.socket.as_ref().map(|socket| socket.send(state.as_bytes())) {
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Nobody listens.
    #[cfg(not(unix))]
    pub fn tell(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
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
