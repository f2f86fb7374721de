//! The emulator itself: it must report the errors of `emu/faults.cu`, with block, thread and line.

use std::process::Command;

use pcnbench_kernels::emu::{Emulator, Order, Shape, ASAN};

#[repr(C)]
#[derive(Clone, Copy)]
struct FaultParams {
    data: u64,
    flags: u64,
}

fn launch(
    kernel: &str,
    shape: &Shape,
    order: Order,
    data: &mut [f32],
    flags: &mut [u32],
) -> Result<(), String> {
    let params = FaultParams { data: data.as_mut_ptr() as u64, flags: flags.as_mut_ptr() as u64 };
    // SAFETY: both buffers are borrowed until this returns, and longer than the kernels of emu/faults.cu reach, but for
    // those that a process of its own runs to its end under AddressSanitizer.
    unsafe { Emulator::new(order).launch(kernel, shape, &params) }.map_err(|error| error.to_string())
}

/// The line of `emu/faults.cu` on which `text` first stands after the beginning of `kernel`.
fn line(kernel: &str, text: &str) -> String {
    let source = include_str!("../../emu/faults.cu");
    let start = source.find(&format!("KERNEL({kernel},")).unwrap();
    let at = start + source[start..].find(text).unwrap();
    format!("faults.cu:{}", source[..at].matches('\n').count() + 1)
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let one = |threads| Shape::new(1, threads);
    let cases = [
        ("fault_barrier_of_some", one(64), "__syncthreads", "__syncthreads"),
        ("fault_flag_never_set", one(64), "wait_at_least", "deadlock"),
        ("fault_needs_cooperation", Shape::new(3, 32), "wait_at_least", "cooperative"),
        ("fault_lane_left_out", one(32), "__shfl_xor_sync", "deadlock"),
        ("fault_masks_disagree", one(32), "__shfl_sync", "__shfl_sync"),
        ("fault_reads_outside_mask", one(32), "__shfl_sync", "does not take part"),
        ("fault_misaligned", one(32), "load4", "16 bytes"),
        ("fault_copy_not_awaited", one(32), "copy_async_commit", "without waiting"),
    ];
    for (kernel, shape, text, said) in cases {
        for order in Order::ALL {
            let wrong = launch(kernel, &shape, order, &mut [0.0; 256], &mut [0; 8]).expect_err(kernel);
            let line = line(kernel, text);
            assert!(wrong.contains(said) && wrong.contains(&line), "{kernel}, {order:?}, {line}: {wrong}");
            assert!(
                wrong.contains("thread (") && wrong.contains("of block (") && !wrong.contains('\n'),
                "{wrong}"
            );
        }
    }
    for order in Order::ALL {
        let wrong = launch("fault_two_barriers", &one(64), order, &mut [0.0; 64], &mut []).unwrap_err();
        assert!(wrong.contains("while others of the block wait at __syncthreads in faults.cu:"), "{wrong}");
    }
}

#[test]
fn blocks_that_need_each_other_run_together() {
    for order in Order::ALL {
        let shape = Shape { cooperative: true, ..Shape::new(3, 32) };
        launch("fault_needs_cooperation", &shape, order, &mut [], &mut [0; 3]).unwrap();
    }
}

#[test]
fn shared_memory_is_poison_in_every_block() {
    for order in Order::ALL {
        for cooperative in [false, true] {
            let mut data = [1.0; 64];
            let shape = Shape { shared: 128, cooperative, ..Shape::new(2, 32) };
            launch("fault_reads_poison", &shape, order, &mut data, &mut []).unwrap();
            assert!(data.iter().all(|x| x.is_nan()), "{order:?}: {data:?}");
        }
    }
}

#[test]
fn a_launch_that_cannot_be_is_refused() {
    let mut none = [];
    let unknown = launch("missing", &Shape::new(1, 1), Order::Forward, &mut none, &mut []).unwrap_err();
    assert!(unknown.contains("no kernel `missing` in variant `clean`"), "{unknown}");
    for (blocks, threads) in [(1, 0), (1, 33), (0, 32), (1, 4096)] {
        let refused =
            launch("fault_past_global", &Shape::new(blocks, threads), Order::Forward, &mut none, &mut []);
        assert!(refused.unwrap_err().contains("expected 1 to 32 threads"));
    }
    let greedy = Shape { shared: 228 * 1024, ..Shape::new(1, 32) };
    let refused = launch("fault_past_given", &greedy, Order::Forward, &mut none, &mut []).unwrap_err();
    assert!(refused.contains("233472 bytes of dynamic shared memory"), "{refused}");
    let both = Shape { shared: 227 * 1024, ..Shape::new(1, 32) };
    let refused = launch("fault_reads_poison", &both, Order::Forward, &mut [0.0; 64], &mut []).unwrap_err();
    assert!(refused.contains("more shared memory than any GPU"), "{refused}");
    // SAFETY: a kernel that takes other parameters than these is not started.
    let wrong =
        unsafe { Emulator::new(Order::Forward).launch("fault_past_global", &Shape::new(1, 1), &1u32) };
    assert!(wrong.unwrap_err().to_string().contains("takes 16 bytes of parameters, not 4"));
    let given = launch("fault_past_given", &Shape::new(1, 32), Order::Forward, &mut [0.0; 32], &mut [0]);
    assert!(given.unwrap_err().contains("dynamic shared memory in a launch that was given none"));
}

/// Recursion of 66 × 1 KiB in a stack of 64 KiB (256 KiB under AddressSanitizer, where frames are larger).
#[test]
fn a_stack_that_is_too_small_is_noticed() {
    if ASAN {
        return;
    }
    let wrong =
        launch("fault_deep_recursion", &Shape::new(1, 32), Order::Forward, &mut [0.0], &mut []).unwrap_err();
    assert!(wrong.contains("used more than its stack"), "{wrong}");
}

const PAST: [&str; 3] = ["fault_past_fixed", "fault_past_given", "fault_past_global"];

/// Run in a process of its own, which AddressSanitizer ends.
#[test]
#[ignore = "what `one_float_too_far_is_found` starts"]
fn child_reaches_too_far() {
    let (kernel, far) = (std::env::var("PCNBENCH_FAULT").unwrap(), std::env::var("PCNBENCH_FAR").unwrap());
    let shape = Shape { shared: 128, ..Shape::new(1, 32) };
    let mut data = vec![0.0; 32];
    launch(&kernel, &shape, Order::Forward, &mut data, &mut [far.parse().unwrap()]).unwrap();
}

#[test]
fn one_float_too_far_is_found() {
    if !ASAN {
        return;
    }
    for kernel in PAST {
        for (far, fine) in [("0", true), ("1", false)] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--ignored", "--exact", "faults::child_reaches_too_far", "--nocapture"]);
            let output = child.env("PCNBENCH_FAULT", kernel).env("PCNBENCH_FAR", far).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), fine, "{kernel}, {far} too far: {said}");
            assert!(fine || said.contains("AddressSanitizer: heap-buffer-overflow"), "{kernel}: {said}");
        }
    }
}
