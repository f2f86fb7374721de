//! The subjects of a point: contenders, and the second copies of those that ratios are to.

use crate::contender::ContenderSpec;
use crate::{Error, Result};

/// A subject of the sampler.
pub(super) struct Named<'a> {
    pub(super) id: String,
    pub(super) spec: &'a ContenderSpec,
    pub(super) role: Role,
}

/// What its samples are for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// The contender of this row.
    Row(usize),
    /// The second copy of the contender that is this subject.
    Control(usize),
}

/// Values with the numbers of their subjects.
pub(super) type Numbered<T> = Vec<(usize, T)>;

/// Contenders that were built, without any that lacks its control or the other way round: the worth of a ratio to it would
/// be unknown, so memory that holds one of the two only is too little.
pub(super) fn whole_pairs<T>(
    made: Vec<(usize, Result<T>)>,
    roles: &[Role],
) -> (Numbered<T>, Numbered<Error>) {
    let (mut built, mut broken) = (vec![], vec![]);
    for (i, outcome) in made {
        match outcome {
            Ok(subject) => built.push((i, subject)),
            Err(e) => broken.push((i, e)),
        }
    }
    for i in 0..broken.len() {
        let (failed, e) = &broken[i];
        let (other, problem) = match roles[*failed] {
            Role::Control(of) => (of, format!("no second copy of it could be made for control: {e}")),
            Role::Row(_) => match roles.get(failed + 1) {
                Some(Role::Control(of)) if of == failed => {
                    (failed + 1, "it has nothing to control".to_owned())
                }
                _ => continue,
            },
        };
        if let Some(at) = built.iter().position(|(i, _)| *i == other) {
            built.remove(at);
            broken.push((other, Error::Invalid(problem)));
        }
    }
    (built, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is built in this order in memory for `room` subjects, and why the others are not. A contender with its control,
    /// and one without.
    fn built(order: [usize; 3], room: usize) -> (Vec<usize>, Vec<(usize, String)>) {
        let roles = [Role::Row(0), Role::Control(0), Role::Row(1)];
        let full = || Error::Candle(candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into()));
        let made = order.iter().enumerate().map(|(n, &i)| (i, if n < room { Ok(()) } else { Err(full()) }));
        let (built, broken) = whole_pairs(made.collect(), &roles);
        let broken = broken.into_iter().map(|(i, e)| (i, e.to_string())).collect();
        (built.into_iter().map(|(i, ())| i).collect(), broken)
    }

    #[test]
    fn a_contender_whose_control_cannot_be_made_fails_and_says_so() {
        assert_eq!(built([2, 1, 0], 3).0, [2, 1, 0]);
        // the control is what finds no memory
        let (left, broken) = built([2, 0, 1], 2);
        assert_eq!(left, [2]);
        let said = &broken.iter().find(|(i, _)| *i == 0).unwrap().1;
        assert!(said.contains("control") && said.contains("OUT_OF_MEMORY"), "{said}");
        // the contender is, and its control goes
        let (left, broken) = built([1, 2, 0], 2);
        assert_eq!(left, [2]);
        let said = &broken.iter().find(|(i, _)| *i == 0).unwrap().1;
        assert!(!said.contains("control") && said.contains("OUT_OF_MEMORY"), "{said}");
        let (left, broken) = built([0, 1, 2], 0);
        assert!(left.is_empty() && broken.len() == 3);
        let (left, broken) = built([0, 1, 2], 2);
        assert_eq!((left, broken.len()), (vec![0, 1], 1));
    }
}
