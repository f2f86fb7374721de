use super::*;
use crate::suite::{Overrides, Point, Suite, BUILT_IN};

fn points(axes: &str) -> Vec<Point> {
    let text = format!(
        "schema = 1\nname = \"s\"\nabout = \"\"\nseed = 1\n[[benchmark]]\nname = \"b\"\nmodel = \"signal-decay\"\nabout = \"\"\n\
         contenders = [\"spc/reference\"]\n[benchmark.axes]\n{axes}"
    );
    Suite::parse(&text, "s.toml", &Overrides::default()).unwrap().benchmarks.remove(0).points
}

/// An axis like one of the table that was added after records had been made.
fn later(axis: &Axis) -> Axis {
    Axis { always: false, ..axis.clone() }
}

#[test]
fn every_default_is_a_value_within_limits() {
    for axis in AXES {
        let value = axis.canonical(&axis.default).unwrap();
        let within = match (&axis.values, &value) {
            (Values::Sizes(limits), Value::Size(size)) => limits.contains(size),
            (Values::Numbers(limits), Value::Number(number)) => limits.contains(number),
            (Values::Steps(_), Value::Word(_)) => true,
            (Values::Words(words), Value::Word(word)) => words().contains(&&**word),
            _ => false,
        };
        assert!(within, "{}: {value}", axis.name);
        assert_eq!(axis.canonical(&value).unwrap(), value, "{}", axis.name);
        if let Values::Words(words) = axis.values {
            words().into_iter().for_each(|word| drop(axis.canonical(&Value::word(word)).unwrap()));
        }
    }
}

/// The text that records and baselines are joined by.
#[test]
fn ids_are_what_they_were() {
    let ids: Vec<String> = points("width = [8, 16]\ndepth = [2, 3]\nsteps = [\"2L\"]\nstep_size = [0.25]\n")
        .into_iter()
        .map(|point| point.id)
        .collect();
    let id = |width: usize, depth: usize| {
        format!(
            "b@activation=tanh,batch=64,depth={depth},device=cpu,dtype=f32,parameterisation=sp-uniform,step_size=0.25,steps=2L,\
             width={width}"
        )
    };
    assert_eq!(ids, [id(8, 2), id(8, 3), id(16, 2), id(16, 3)]);
}

/// The last axis of the table varies fastest, the first one slowest.
#[test]
fn points_are_the_product_in_the_order_of_the_table() {
    let text = "depth = [5, 1]\nsteps = [1, \"L\"]\nbatch = [3, 2, 4]\ndtype = [\"f64\", \"f32\"]\n";
    let found: Vec<(String, usize, String, usize)> = points(text)
        .iter()
        .map(|p| (p.dtype.as_str().to_owned(), p.batch, p.steps.to_string(), p.depth))
        .collect();
    let mut expected = Vec::new();
    for dtype in ["f64", "f32"] {
        for batch in [3, 2, 4] {
            for steps in ["1", "L"] {
                expected.extend([5, 1].map(|depth| (dtype.to_owned(), batch, steps.to_owned(), depth)));
            }
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn ids_hold_the_values_of_their_points() {
    let mut count = 0;
    for (name, _) in BUILT_IN {
        let suite = Suite::load(name, &Overrides::default()).unwrap();
        for point in suite.benchmarks.iter().flat_map(|b| &b.points) {
            for axis in AXES {
                assert_eq!(axis.of_id(&point.id), axis.of(point), "{} of {}", axis.name, point.id);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

/// Points that do not use an axis keep the ids that they had before there was such an axis.
#[test]
fn an_axis_added_later_is_in_ids_where_it_is_used() {
    for axis in AXES {
        let default = axis.canonical(&axis.default).unwrap();
        let other = match &default {
            Value::Size(size) => Value::Size(size + 1),
            Value::Number(number) => Value::Number(number + 1.0),
            Value::Word(_) => Value::word("other"),
        };
        assert!((axis.tells(&default) || !axis.always) && axis.tells(&other), "{}", axis.name);
        let later = later(axis);
        assert!(!later.tells(&default) && later.tells(&other), "{}", axis.name);
        assert_eq!(later.of_id("b@another=1"), default);
        assert_eq!(later.of_id(&format!("b@another=1,{}={other}", axis.name)), other);
    }
}

/// What the hash of a definition is of.
#[test]
fn definitions_list_every_axis_by_name() {
    let written = toml::to_string(&AxesWire::default()).unwrap();
    assert_eq!(
        written,
        "activation = [\"tanh\"]\nbatch = [64]\ndepth = [4]\ndevice = [\"cpu\"]\ndtype = [\"f32\"]\n\
         parameterisation = [\"sp\"]\nstep_size = [0.1]\nsteps = [\"L\"]\nwidth = [64]\n"
    );
    let read: AxesWire =
        toml::from_str("depth = [2, 3]\nsteps = [7, \"L/2\"]\nstep_size = [1, 0.5]\n").unwrap();
    assert_eq!(read.of(&DEPTH), [Value::Size(2), Value::Size(3)]);
    assert_eq!(read.of(&STEPS), [Value::Size(7), Value::word("L/2")]);
    assert_eq!(read.of(&STEP_SIZE), [Value::Number(1.0), Value::Number(0.5)]);
    assert_eq!(read.of(&WIDTH), [Value::Size(64)]);
    assert_eq!(toml::from_str::<AxesWire>(&toml::to_string(&read).unwrap()).unwrap(), read);
}

/// A value of another type than that of its axis, as only a program can ask for.
#[test]
fn overrides_of_another_type_are_refused_by_axis() {
    for (axis, value, expected) in [
        (&DEPTH, Value::word("deep"), "`depth`: `deep` is not a whole number"),
        (&STEP_SIZE, Value::word("big"), "`step_size`: `big` is not a number"),
        (&DTYPE, Value::Size(32), "`dtype`: `32` is a number; expected a word"),
        (&STEPS, Value::Number(0.5), "`steps`: `0.5` is a number; expected a word"),
        (&WIDTH, Value::Size(0), "`width`: 0 is out of range"),
    ] {
        let refused =
            Suite::load("quick", &Overrides::default().with(axis, Some(value))).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}
