//! Oracle: addresses, and the table of rules.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};

use super::Fused;
use crate::engine::EngineKind;
use crate::net::{Activation, Dense};
use crate::rule::Rule;

/// Where the first element lies.
fn address(t: &Tensor) -> usize {
    let (storage, layout) = t.storage_and_layout();
    let at = layout.start_offset();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => values[at..].as_ptr() as usize,
        Storage::Cpu(CpuStorage::F64(values)) => values[at..].as_ptr() as usize,
        _ => panic!("a tensor of floats on the CPU"),
    }
}

#[test]
fn packed_parameters_start_on_a_cache_line_wherever_the_allocator_puts_them() {
    for (dtype, inputs) in [(DType::F32, 3), (DType::F64, 3), (DType::F32, 61), (DType::F64, 400)] {
        let dense = |inputs, outputs| Dense {
            inputs,
            outputs,
            act_in: Activation::Tanh,
            act_out: Activation::Identity,
            scale: 1.0,
            skip: false,
            bias: true,
        };
        let layers = vec![dense(inputs, 5), dense(5, 2)];
        let engine = Fused::new(layers, EngineKind::Fused, Some(1)).unwrap();
        let numbers = |count: usize, shape: &[usize]| {
            Tensor::arange(0.0, count as f64, &Device::Cpu)
                .unwrap()
                .to_dtype(dtype)
                .unwrap()
                .reshape(shape)
                .unwrap()
        };
        let params =
            vec![numbers(5 * inputs, &[5, inputs]), numbers(5, &[5]), numbers(10, &[2, 5]), numbers(2, &[2])];
        let held: Vec<Tensor> = (0..8).map(|_| engine.pack(&params, 7).unwrap()).collect();
        for theta in held {
            assert_eq!(address(&theta) % 64, 0, "{dtype:?}, {inputs} inputs");
            let values =
                |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            let expected: Vec<f64> = params.iter().flat_map(values).chain([0.0; 7]).collect();
            assert_eq!(values(&theta), expected);
            // what a reader of the parameters sees is that memory, not a copy
            assert_eq!(address(&engine.unpack(&theta).unwrap()[0]), address(&theta));
        }
    }
}

/// The kernels have the schedules that the table of rules says, and no others.
#[test]
fn kernels_have_the_schedules_that_the_table_says() {
    for info in crate::rule::Rule::VARIANTS.iter().copied().flatten() {
        let rule = Rule::from_name(info.name, crate::rule::Steps::constant(3, 0.1)).unwrap();
        let schedule = super::schedule(&rule, false);
        assert_eq!(schedule.is_ok(), info.fused, "{}", info.name);
        // a GPU has plain descent alone
        let plain = schedule.is_ok_and(|schedule| schedule.carried().is_none());
        assert_eq!(plain, info.on_gpu, "{}", info.name);
    }
}
