//! The guest's file system: busybox, the programs under test, the files that
//! were asked for, and the first program. Of a guest with a disk it is only the
//! way there. `guest` writes that program, `cpio` the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use super::cpio::Archive;
use super::{guest, Engine};
use crate::cmd;
use crate::guest_tools::GuestTools;
use crate::stress_ng;

/// What one boot brings in.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Programs for the guest's PATH, if they have been built.
    pub(crate) programs: Vec<PathBuf>,
    /// Files and folders for the working folder.
    pub(crate) copies: Vec<PathBuf>,
    /// What to run.
    pub(crate) command: Vec<String>,
}

/// What a guest with a disk has beside that.
pub(crate) struct OnDisk<'a> {
    pub(crate) engine: Engine,
    /// In the order in which they are loaded.
    pub(crate) modules: &'a [PathBuf],
    /// The lessons' folders.
    pub(crate) labs: &'a Path,
}

const FOLDERS: [&str; 17] = [
    "bin",
    "dev",
    "etc",
    "lib",
    "lib/x86_64-linux-gnu",
    "lib64",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/sbin",
    "usr/local",
    "var",
];

/// The whole archive.
pub(crate) fn assemble(tools: &GuestTools, content: &Content) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.directory(folder);
    }
    // The kernel opens it for the first program, before devtmpfs is mounted.
    archive.character_device("dev/console", 5, 1);
    let busybox = tools.busybox();
    archive.file("bin/busybox", 0o755, &read(&busybox)?);
    for applet in applets(&busybox)? {
        archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    for (name, file) in tools.programs() {
        archive.file(&format!("usr/bin/{name}"), 0o755, &read(&file)?);
    }
    let libraries = tools.libraries();
    let others = stress_ng::files()?;
    let others = others.iter().map(|(place, file)| (place.as_str(), file));
    let mut files: BTreeMap<&str, &PathBuf> = others.collect();
    files.extend(libraries.iter().map(|(place, file)| (*place, file)));
    for (place, file) in files {
        archive.file(place, 0o755, &read(file)?);
    }
    archive.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    );
    archive.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n");
    for program in &content.programs {
        archive.file(
            &format!("usr/bin/{}", name_of(program)?),
            0o755,
            &read(program)?,
        );
    }
    let folder = guest::WORKING_FOLDER.trim_start_matches('/');
    archive.directory(folder);
    for file in &content.copies {
        copy(&mut archive, file, &format!("{folder}/{}", name_of(file)?))?;
    }
    archive.file(
        "command",
        0o755,
        guest::command_script(&content.command).as_bytes(),
    );
    archive.file("init", 0o755, guest::INIT.as_bytes());
    Ok(archive.finish())
}

/// The archive of a guest with a disk: what it takes to find the disk, and the
/// files that go there, below `files`.
pub(crate) fn assemble_for_disk(
    tools: &GuestTools,
    content: &Content,
    disk: &OnDisk<'_>,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "disk", "modules", "proc", "sys"] {
        archive.directory(folder);
    }
    archive.character_device("dev/console", 5, 1);
    let busybox = tools.busybox();
    archive.file("bin/busybox", 0o755, &read(&busybox)?);
    for applet in applets(&busybox)? {
        archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    let mut order = String::new();
    for module in disk.modules {
        let name = name_of(module)?;
        archive.file(&format!("modules/{name}"), 0o644, &read(module)?);
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    let mut files = Files::default();
    for (place, permissions, text) in disk.engine.files() {
        files.file(place, permissions, text.into_bytes());
    }
    files.file(
        "first-program",
        0o644,
        disk.engine.first_program().as_bytes().to_vec(),
    );
    for program in &content.programs {
        let place = format!("usr/local/bin/{}", name_of(program)?);
        files.file(&place, 0o755, read(program)?);
    }
    let command = guest::command_script(&content.command);
    files.file("command", 0o755, command.into_bytes());
    files.write(&mut archive);
    archive.directory("files/opt");
    copy(&mut archive, disk.labs, "files/opt/labs")?;
    let folder = format!("files{}", guest::WORKING_FOLDER);
    archive.directory(&folder);
    for file in &content.copies {
        copy(&mut archive, file, &format!("{folder}/{}", name_of(file)?))?;
    }
    archive.file("init", 0o755, guest::DISK_INIT.as_bytes());
    Ok(archive.finish())
}

/// Files with the folders above them, each of which has to come once.
#[derive(Default)]
struct Files(BTreeMap<String, (u32, Vec<u8>)>);

impl Files {
    fn file(&mut self, place: &str, permissions: u32, content: Vec<u8>) {
        self.0.insert(place.to_owned(), (permissions, content));
    }

    fn write(self, archive: &mut Archive) {
        let mut folders = BTreeSet::from(["files".to_owned()]);
        for place in self.0.keys() {
            for (at, _) in place.match_indices('/') {
                folders.insert(format!("files/{}", &place[..at]));
            }
        }
        for folder in folders {
            archive.directory(&folder);
        }
        for (place, (permissions, content)) in self.0 {
            archive.file(&format!("files/{place}"), permissions, &content);
        }
    }
}

/// An archive that holds one program and nothing else, started as PID 1.
pub(crate) fn program_alone(program: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.directory("dev");
    archive.character_device("dev/console", 5, 1);
    archive.file("init", 0o755, &read(program)?);
    Ok(archive.finish())
}

fn copy(archive: &mut Archive, from: &Path, to: &str) -> Result<()> {
    let data = fs::metadata(from)
        .with_context(|| format!("cannot copy {} into the guest", from.display()))?;
    if data.is_dir() {
        archive.directory(to);
        let mut entries: Vec<PathBuf> = fs::read_dir(from)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        for entry in entries {
            copy(archive, &entry, &format!("{to}/{}", name_of(&entry)?))?;
        }
    } else {
        archive.file(to, data.permissions().mode(), &read(from)?);
    }
    Ok(())
}

/// The names that this busybox answers to. It is static and of this machine's
/// architecture, so it can be asked here.
fn applets(busybox: &Path) -> Result<Vec<String>> {
    let list = cmd::capture(Command::new(busybox).arg("--list"))?;
    let names: Vec<String> = list
        .lines()
        .map(str::to_owned)
        .filter(|name| name != "busybox")
        .collect();
    if !names.iter().any(|name| name == "sh") {
        bail!(
            "{} has no shell; remove the cache's folder `guest` and run `cargo xtask setup`",
            busybox.display()
        );
    }
    Ok(names)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn name_of(path: &Path) -> Result<String> {
    // `--copy .` has no name of its own.
    let whole = fs::canonicalize(path)
        .with_context(|| format!("cannot copy {} into the guest", path.display()))?;
    let name = path.file_name().or_else(|| whole.file_name());
    Ok(name
        .with_context(|| format!("{} has no name", path.display()))?
        .to_string_lossy()
        .into_owned())
}
