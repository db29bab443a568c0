//! `cargo xtask vm`: one command in a guest with one of Debian's kernels.
//! Also the contract for `test`, `demo` and `dist`, which boot too: a `Guest`
//! is prepared once per kernel and booted as often as one likes, two at a time
//! if one likes.
//!
//! `initramfs` makes the files, `guest` the first program, `qemu` the command
//! line, `run` a boot.

mod cpio;
mod disk;
mod engine;
mod guest;
pub(crate) mod initramfs;
pub(crate) mod qemu;
pub(crate) mod run;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Result};

use crate::guest_tools::{self, GuestTools};
use crate::kernel::modules::{self, Modules};
use crate::kernel::{self, Kernel, Series};
use crate::places::Places;
use crate::{labs, setup, ui};
pub(crate) use engine::{Engine, ENGINES};
use initramfs::{Content, OnDisk};
pub(crate) use qemu::Accelerator;
use qemu::Machine;
use run::{Boot, Ending, Sink};

/// A broken KVM hangs; a working one needs two seconds.
const PROBE_LIMIT: Duration = Duration::from_secs(8);

/// Memory of a guest that is nothing but its initramfs.
const MEMORY_MIB: u32 = 1024;

/// The status for "no status": as env(1) and docker use it.
const NO_STATUS: i32 = 125;

/// A kernel, an accelerator and the guest's programs.
pub(crate) struct Guest {
    pub(crate) kernel: Kernel,
    pub(crate) accelerator: Accelerator,
    tools: GuestTools,
    binaries: PathBuf,
    disk: Option<Disk>,
}

/// Which guest is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which {
    /// Absent: the one that goes with the engines.
    pub(crate) kernel: Option<Series>,
    pub(crate) engine: Option<Engine>,
}

/// What a guest with container engines has beside its kernel.
struct Disk {
    engine: Engine,
    image: PathBuf,
    modules: Modules,
    labs: PathBuf,
}

/// What may differ from boot to boot.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) copies: Vec<PathBuf>,
    /// Absent: what this guest needs.
    pub(crate) memory_mib: Option<u32>,
    pub(crate) append: String,
    pub(crate) timeout: Duration,
    /// [`Accelerator::Counted`], whatever else would work.
    pub(crate) icount: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            copies: Vec::new(),
            memory_mib: None,
            append: String::new(),
            timeout: Duration::from_secs(600),
            icount: false,
        }
    }
}

impl Guest {
    /// Gets what is missing, and finds out whether KVM works here.
    pub(crate) fn prepare(places: &Places, series: Series) -> Result<Self> {
        setup::for_vm(places)?;
        let kernel = kernel::get(places, series)?;
        let tools = guest_tools::get(places)?;
        let binaries = places.static_binaries();
        let mut guest = Self {
            kernel,
            accelerator: Accelerator::Tcg,
            tools,
            binaries,
            disk: None,
        };
        if guest.kvm_works(places)? {
            guest.accelerator = Accelerator::Kvm;
        }
        Ok(guest)
    }

    /// The same with a disk that has container engines on it.
    pub(crate) fn with_engine(
        places: &Places,
        engine: Engine,
        kernel: Option<Series>,
    ) -> Result<Self> {
        let series = match kernel {
            Some(series) => series,
            None => engine.kernel().parse().map_err(anyhow::Error::msg)?,
        };
        let mut guest = Self::prepare(places, series)?;
        guest.disk = Some(Disk {
            engine,
            image: disk::get(places, engine)?,
            modules: modules::get(places, series, &guest.kernel)?,
            labs: labs::build(places)?,
        });
        Ok(guest)
    }

    /// Runs a command in a fresh boot.
    pub(crate) fn run(
        &self,
        command: &[String],
        options: &Options,
        out: Sink,
        err: Sink,
    ) -> Result<Boot> {
        let content = Content {
            programs: self.programs(),
            copies: options.copies.clone(),
            command: command.to_vec(),
        };
        let initramfs = match &self.disk {
            None => initramfs::assemble(&self.tools, &content)?,
            Some(disk) => {
                let disk = OnDisk {
                    engine: disk.engine,
                    modules: &disk.modules.files,
                    labs: &disk.labs,
                };
                initramfs::assemble_for_disk(&self.tools, &content, &disk)?
            }
        };
        run::boot(
            &self.kernel,
            &self.machine(options),
            &initramfs,
            options.timeout,
            out,
            err,
        )
    }

    /// Boots an initramfs of the caller's own.
    pub(crate) fn run_alone(&self, initramfs: &[u8], options: &Options) -> Result<Boot> {
        let nowhere = || Box::new(io::sink());
        run::boot(
            &self.kernel,
            &self.machine(options),
            initramfs,
            options.timeout,
            nowhere(),
            nowhere(),
        )
    }

    /// Our own binaries, as far as they are built.
    fn programs(&self) -> Vec<PathBuf> {
        ["sigtrace", "sigtrace-play"]
            .map(|name| self.binaries.join(name))
            .into_iter()
            .filter(|path| path.is_file())
            .collect()
    }

    fn accelerator(&self, options: &Options) -> Accelerator {
        if options.icount {
            Accelerator::Counted
        } else {
            self.accelerator
        }
    }

    fn machine(&self, options: &Options) -> Machine {
        let disk = self.disk.as_ref();
        let memory = disk.map_or(MEMORY_MIB, |disk| disk.engine.memory_mib());
        let append = disk.map_or("", |disk| disk.engine.append());
        Machine {
            accelerator: self.accelerator(options),
            memory_mib: options.memory_mib.unwrap_or(memory),
            append: format!("{append} {}", options.append),
            disk: disk.map(|disk| disk.image.clone()),
        }
    }

    fn kvm_works(&self, places: &Places) -> Result<bool> {
        if let Some(known) = qemu::known_kvm(places, &self.kernel) {
            return Ok(known);
        }
        let why = "/dev/kvm is there, which does not mean that it can run this kernel";
        ui::step(
            &format!("trying KVM with {}", self.kernel.release),
            why,
            || {
                let machine = Machine {
                    accelerator: Accelerator::Kvm,
                    memory_mib: 512,
                    append: String::new(),
                    disk: None,
                };
                let content = Content {
                    command: vec!["true".to_owned()],
                    ..Content::default()
                };
                let initramfs = initramfs::assemble(&self.tools, &content)?;
                let nowhere = || Box::new(io::sink());
                let boot = run::boot(
                    &self.kernel,
                    &machine,
                    &initramfs,
                    PROBE_LIMIT,
                    nowhere(),
                    nowhere(),
                )?;
                let works = boot.ending == Ending::Exit(0);
                ui::note(if works {
                    "it works"
                } else {
                    "it does not; taking emulation, which is slower"
                });
                qemu::remember_kvm(places, &self.kernel, works);
                Ok(works)
            },
        )
    }
}

/// The subcommand: the guest's output is ours, and so is its exit status.
pub(crate) fn command(
    places: &Places,
    which: Which,
    options: &Options,
    command: &[String],
) -> Result<i32> {
    let guest = match (which.engine, which.kernel) {
        (Some(engine), kernel) => Guest::with_engine(places, engine, kernel)?,
        (None, Some(series)) => Guest::prepare(places, series)?,
        (None, None) => bail!("say which kernel (--kernel) or which guest (--engine)"),
    };
    let stands_in = if guest.kernel.stands_in {
        ", the nearest to what was asked for"
    } else {
        ""
    };
    ui::say(&format!(
        "booting {}{stands_in}, with {}",
        guest.kernel.release,
        guest.accelerator(options).name()
    ));
    let begin = std::time::Instant::now();
    let boot = guest.run(
        command,
        options,
        Box::new(io::stdout()),
        Box::new(io::stderr()),
    )?;
    let ready = boot.ready_after.map_or_else(String::new, |time| {
        format!(", {} of it for booting", ui::took(time))
    });
    match boot.ending {
        Ending::Exit(status) => {
            ui::say(&format!(
                "exit status {status} after {}{ready}",
                ui::took(begin.elapsed())
            ));
            Ok(status)
        }
        Ending::Lost(why) | Ending::Late(why) => {
            ui::say(&format!(
                "no exit status after {}{ready}: {why}",
                ui::took(begin.elapsed())
            ));
            Ok(NO_STATUS)
        }
    }
}
