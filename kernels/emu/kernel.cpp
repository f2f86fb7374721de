// Compiles one source of kernels as one variant. In a namespace without a name, so that variants with other
// definitions of the same functions can live in one program.
#include "cuda_emu.h"

namespace {
#include PCNBENCH_EMU_SOURCE
}
