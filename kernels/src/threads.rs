//! The number of threads that Candle uses for a product: it reads an environment variable at every product.
//!
//! Candle divides a product into as many parts as [`VARIABLE`] says, in any pool. A smaller pool
//! (`ThreadPool::install`) would compute the same parts on fewer threads, after handing the call over to one of them,
//! which takes another time than a product of fewer parts. So the variable must change.

use std::env;
use std::ffi::OsStr;

/// The variable that Candle and rayon read.
pub const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Sets [`VARIABLE`] for this process and those that it starts from now on; `None` removes it.
///
/// Do not call it while another thread may read or write the environment other than through [`mod@std::env`], as C code
/// does with `getenv`. Nothing that this project runs on threads of its own calls such code, and calls into the
/// libraries of a GPU are made by the thread that calls this. On Windows there is no such condition.
pub fn set(value: Option<&OsStr>) {
    // SAFETY: the standard library holds a lock while it reads or writes the environment, and everything that this
    // project and Candle read of it they read through the standard library. That no C code reads it at the same moment
    // is the condition above.
    unsafe {
        match value {
            Some(value) => env::set_var(VARIABLE, value),
            None => env::remove_var(VARIABLE),
        }
    }
}
