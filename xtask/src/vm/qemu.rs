//! qemu's command line, and the choice between KVM and emulation. Running it
//! and listening to it is left to `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cmd;
use crate::kernel::Kernel;
use crate::places::Places;

const PROGRAM: &str = "qemu-system-x86_64";

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The processor itself.
    Kvm,
    /// qemu's own translator: slower, works everywhere.
    Tcg,
    /// The same with one processor, whose clock goes on by a nanosecond for each
    /// instruction: times in the guest are numbers of instructions.
    Counted,
}

impl Accelerator {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulation (TCG)",
            Self::Counted => "emulation (TCG) that counts instructions",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            Self::Tcg => &["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
            Self::Counted => &[
                "-accel",
                "tcg,thread=single",
                // The kernel clears pages by `rep movsb` else, of which each byte counts.
                "-cpu",
                "max,erms=off,fsrm=off",
                "-smp",
                "1",
                // Nobody waits for a timer: its time has come as soon as nothing is to be done.
                "-icount",
                "shift=0,sleep=off",
            ],
        }
    }
}

/// What the guest gets.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) accelerator: Accelerator,
    pub(crate) memory_mib: u32,
    pub(crate) append: String,
    /// An image of a disk, which stays as it is.
    pub(crate) disk: Option<PathBuf>,
}

/// The whole command. `dir` holds the initramfs and the sockets that the host
/// listens on, and gets the kernel's messages.
pub(crate) fn command(kernel: &Kernel, machine: &Machine, dir: &Path) -> Command {
    // Killed with us: nobody wants to find qemu running after a Ctrl-C or a
    // time limit of CI.
    let mut qemu = match cmd::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig=KILL", "--", PROGRAM]);
            command
        }
        None => Command::new(PROGRAM),
    };
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ])
    .args(machine.accelerator.arguments())
    .args(["-m", &machine.memory_mib.to_string()])
    .arg("-kernel")
    .arg(&kernel.image)
    .arg("-initrd")
    .arg(dir.join("initramfs"))
    .args(["-append", &kernel_arguments(&machine.append)])
    .args([
        "-chardev",
        &format!("file,id=console,path={}", dir.join("console").display()),
    ]);
    if let Some(disk) = &machine.disk {
        // A comma would begin another option.
        let file = disk.display().to_string().replace(',', ",,");
        qemu.args([
            "-drive",
            &format!("if=virtio,format=raw,snapshot=on,cache=unsafe,file={file}"),
        ]);
    }
    // COM1 and COM3 share an interrupt by tradition, which loses output; ACPI
    // tells the guest's kernel about any other.
    qemu.args(["-device", "isa-serial,chardev=console,iobase=0x3f8,irq=4"]);
    for (name, place) in [
        ("out", "iobase=0x2f8,irq=3"),
        ("err", "iobase=0x3e8,irq=5"),
        ("words", "iobase=0x2e8,irq=7"),
    ] {
        qemu.args([
            "-chardev",
            &format!("socket,id={name},path={}", dir.join(name).display()),
        ])
        .args(["-device", &format!("isa-serial,chardev={name},{place}")]);
    }
    qemu
}

/// A panic ends the machine at once instead of hanging it (and so does an oops,
/// after which nothing that the guest says can be trusted).
fn kernel_arguments(append: &str) -> String {
    format!(
        "console=ttyS0 loglevel=6 panic=-1 oops=panic random.trust_cpu=on 8250.nr_uarts=4 {append}"
    )
    .trim_end()
    .to_owned()
}

/// What an earlier probe of KVM on this boot of the machine found, if any.
/// A device file proves nothing: nested virtualisation may offer one that
/// cannot run a stock kernel.
pub(crate) fn known_kvm(places: &Places, kernel: &Kernel) -> Option<bool> {
    if !Path::new("/dev/kvm").exists() {
        return Some(false);
    }
    let text = fs::read_to_string(places.cache.join("kvm")).ok()?;
    recall(&text, &boot_id(), &kernel.release)
}

/// What is written down for this boot of the machine. A KVM that has failed
/// with one kernel is not tried with the others; one that works may still fail
/// with a newer one.
fn recall(text: &str, boot: &str, release: &str) -> Option<bool> {
    let mut works = None;
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [on, _, "fails"] if on == boot => return Some(false),
            [on, with, "works"] if on == boot && with == release => works = Some(true),
            _ => {}
        }
    }
    works
}

/// Keeps what a probe found.
pub(crate) fn remember_kvm(places: &Places, kernel: &Kernel, works: bool) {
    let path = places.cache.join("kvm");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    let word = if works { "works" } else { "fails" };
    text.push_str(&format!("{} {} {word}\n", boot_id(), kernel.release));
    // Only a saving of time: the next boot probes again if it cannot be kept.
    fs::write(path, text).ok();
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_come_last_so_that_they_win() {
        assert!(kernel_arguments("panic=0").ends_with(" panic=0"));
        assert!(!kernel_arguments("").ends_with(' '));
    }

    #[test]
    fn one_failure_of_kvm_is_enough() {
        let text = "a 6.1 works\na 6.12 fails\nb 6.1 works\n";
        assert_eq!(recall(text, "a", "6.1"), Some(false));
        assert_eq!(recall(text, "b", "6.1"), Some(true));
        assert_eq!(recall(text, "b", "6.12"), None);
        assert_eq!(recall(text, "c", "6.1"), None);
    }

    #[test]
    fn each_port_has_its_own_interrupt() {
        let kernel = Kernel {
            image: "k".into(),
            release: "6.1".into(),
            stands_in: false,
        };
        let machine = Machine {
            accelerator: Accelerator::Tcg,
            memory_mib: 512,
            append: String::new(),
            disk: None,
        };
        let command = command(&kernel, &machine, Path::new("/d"));
        let mut interrupts: Vec<String> = command
            .get_args()
            .filter_map(|argument| {
                argument
                    .to_str()?
                    .split_once("irq=")
                    .map(|(_, irq)| irq.to_owned())
            })
            .collect();
        interrupts.sort();
        interrupts.dedup();
        assert_eq!(interrupts.len(), 4);
    }
}
