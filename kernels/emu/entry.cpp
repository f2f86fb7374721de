// The way in from Rust.
#include <cstdio>
#include <cstdlib>

#include "launch.h"

namespace emu {

std::map<std::string, Entry>& kernels() {
  static std::map<std::string, Entry> all;
  return all;
}

Kernel::Kernel(const char* variant, const char* name, unsigned most_threads, size_t params_bytes,
               void (*body)(const void*)) {
  kernels()[std::string(variant) + "/" + name] = {most_threads, params_bytes, body};
}

}  // namespace emu

// Must stay as `Config` in src/emu.rs.
struct EmuConfig {
  uint32_t grid[3], block[3];
  uint64_t dynamic_bytes, seed;
  uint32_t order, cooperative;
};
static_assert(sizeof(EmuConfig) == 48 && offsetof(EmuConfig, seed) == 32, "as in src/emu.rs");

// 0, or 1 with a sentence in `message`.
extern "C" int32_t pcnbench_emu_launch(const char* variant, const char* kernel, const EmuConfig* config,
                                       const void* params, uint64_t params_bytes, char* message,
                                       uint64_t message_bytes) {
  emu::Launch launch;
  const auto found = emu::kernels().find(std::string(variant) + "/" + kernel);
  if (found == emu::kernels().end()) {
    launch.error = std::string("there is no kernel `") + kernel + "` in variant `" + variant + "`; there are:";
    for (const auto& [name, entry] : emu::kernels()) launch.error += " " + name;
  } else if (found->second.params_bytes != params_bytes) {
    launch.error = std::string("kernel `") + kernel + "` takes " + std::to_string(found->second.params_bytes) +
                   " bytes of parameters, not " + std::to_string(params_bytes);
  } else {
    launch.entry = &found->second;
    launch.params = params;
    launch.grid = {config->grid[0], config->grid[1], config->grid[2]};
    launch.block = {config->block[0], config->block[1], config->block[2]};
    launch.dynamic_bytes = config->dynamic_bytes;
    launch.order = emu::Order(config->order);
    launch.random = config->seed;
    launch.cooperative = config->cooperative != 0;
    launch.run();
  }
  if (launch.error.empty()) return 0;
  std::snprintf(message, message_bytes, "%s", launch.error.c_str());
  return 1;
}
