//! Inference queued several times in one call, which is how benches measure what it costs.

use candle_core::{Device, Tensor};
use pcnbench_kernels::launch::Task;
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{Fused, Rule};

use crate::call_cases::{case, RULES};

/// The results are those of one inference, or the call is refused.
#[test]
fn inference_queued_again_leaves_the_same_bits() {
    let Some(device) = crate::gpu().map(Device::Cuda) else { return };
    let learn = Task::Learn { traces: false };
    for (i, rule) in RULES.into_iter().enumerate() {
        let case = case(9000 + i as u64, &[9, 33, 33, 33, 4], 17, rule, 3, learn);
        let start = case.start();
        let tensor = |numbers: &[f64], shape: &[usize]| {
            let numbers: Vec<f32> = numbers.iter().map(|n| *n as f32).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap().to_device(&device).unwrap()
        };
        let theta = tensor(&start.theta, &[start.theta.len()]);
        let (x, y) = (tensor(&start.x, &[17, 9]), tensor(&start.y, &[17, 4]));
        let engine = Fused::new(case.stack.clone(), 1).unwrap();
        for strategy in Strategy::ALL {
            engine.set_strategy(Some(strategy));
            let bits = |times: usize| {
                engine.infer_again(times);
                let learned = engine.learn(&case.schedule, case.loss, &theta, (&x, &y), false)?;
                engine.settled()?;
                let theta = learned.theta.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
                Ok::<_, pcnbench_kernels::Error>(theta.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            };
            let once = match bits(0) {
                Ok(once) => once,
                Err(error) => {
                    let said = error.to_string();
                    assert!(
                        strategy == Strategy::Persistent && said.contains("does not take this call"),
                        "{said}"
                    );
                    continue;
                }
            };
            match bits(3) {
                Ok(again) => assert_eq!(again, once, "{rule:?} on {strategy:?}"),
                Err(error) => {
                    assert!(matches!(rule, Rule::Ipc { .. }), "{rule:?} on {strategy:?}: {error}");
                    assert!(error.to_string().contains("cannot be queued again"), "{error}");
                }
            }
        }
    }
}
