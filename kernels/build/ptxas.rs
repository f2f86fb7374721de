//! Reads the report of `ptxas -v` on registers and local memory.

use crate::sources::Spill;

/// The usage of one kernel on one compute capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The kernel.
    pub kernel: String,
    /// The compute capability, such as `sm_90`.
    pub target: String,
    /// Registers per thread.
    pub registers: u32,
    /// Bytes of local memory per thread.
    pub frame: u32,
    /// Bytes stored to and loaded from local memory because registers ran out.
    pub spilled: u32,
}

/// Every kernel in a report, in its order.
///
/// # Errors
/// If a kernel is named and one of its numbers is missing: then the format has changed, and missing numbers would look
/// like kernels without spills.
pub fn read(report: &str) -> Result<Vec<Usage>, String> {
    let mut found = Vec::new();
    let mut lines = report.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((_, rest)) = line.split_once("Compiling entry function '") else { continue };
        let mut parts = rest.split('\'');
        let (Some(kernel), Some(target)) = (parts.next(), parts.nth(1)) else {
            return Err(format!("ptxas names a kernel in a way that is not understood: {line}"));
        };
        let (mut frame, mut spilled, mut registers) = (None, None, None);
        while let Some(line) = lines.next_if(|line| !line.contains("Compiling entry function '")) {
            // A function that is called has a frame of its own; its callers' frames do not count it.
            if line.contains("bytes stack frame") {
                let stores = number_before(line, " bytes spill stores");
                let loads = number_before(line, " bytes spill loads");
                frame = add(frame, number_before(line, " bytes stack frame"));
                spilled = add(add(spilled, stores), loads);
            }
            if let Some((_, used)) = line.split_once("Used ") {
                registers = number_before(used, " registers");
            }
        }
        let (Some(frame), Some(spilled), Some(registers)) = (frame, spilled, registers) else {
            return Err(format!("ptxas says nothing about local memory or registers of kernel `{kernel}`"));
        };
        found.push(Usage { kernel: kernel.to_owned(), target: target.to_owned(), registers, frame, spilled });
    }
    Ok(found)
}

/// Checks a report against the expected kernels and the allowed local memory.
///
/// # Errors
/// One sentence per line: a kernel that uses local memory and is not allowed to, or one that should be there and is
/// not.
pub fn judge(found: &[Usage], kernels: &[&str], targets: &[String], allowed: &[Spill]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for usage in found {
        let limit = allowed.iter().find(|spill| spill.kernel == usage.kernel);
        let (frame, spilled) = limit.map_or((0, 0), |spill| (spill.frame, spill.spilled));
        if usage.frame > frame || usage.spilled > spilled {
            wrong.push(format!(
                "kernel `{}` uses {} bytes of stack frame and spills {} bytes of registers on {}, where {frame} and \
                 {spilled} are allowed; make it smaller, or allow it with a reason in SPILLS of kernels/sources.rs",
                usage.kernel, usage.frame, usage.spilled, usage.target
            ));
        }
        if !kernels.contains(&usage.kernel.as_str()) {
            wrong.push(format!("kernel `{}` is not listed in kernels/sources.rs; add it", usage.kernel));
        }
    }
    for kernel in kernels {
        for target in targets {
            if !found.iter().any(|usage| usage.kernel == *kernel && usage.target == *target) {
                wrong.push(format!(
                    "kernel `{kernel}` is listed in kernels/sources.rs but not built for {target}"
                ));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

fn add(total: Option<u32>, more: Option<u32>) -> Option<u32> {
    more.map(|more| total.unwrap_or(0) + more)
}

/// The number that ends where `unit` begins.
fn number_before(line: &str, unit: &str) -> Option<u32> {
    let (before, _) = line.split_once(unit)?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
