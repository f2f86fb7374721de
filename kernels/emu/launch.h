// What a launch is made of; shared by the scheduler and the operations that threads call.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cuda_emu.h"
#include "fiber.h"

namespace emu {

struct Entry {
  unsigned most_threads;
  size_t params_bytes;
  void (*body)(const void*);
};
// Kernels by "variant/name".
std::map<std::string, Entry>& kernels();

enum class State { ready, waiting, ended };

struct Copy {
  void* target;
  const void* source;
  unsigned bytes, valid, group;
};

struct Thread {
  Self self{};
  Context context;
  unsigned char* stack = nullptr;
  unsigned index = 0;  // within its block
  State state = State::ready;
  // Where it waits, polls or published, and in what; for messages.
  Where where{"", 0};
  const char* doing = "start";
  // What it last polled, and saw there.
  const void* polled = nullptr;
  uint64_t seen = 0;
  std::vector<Copy> copies;
  unsigned copy_group = 0;
};

// A warp operation that some of its lanes have reached.
struct Pending {
  uint32_t mask, arrived;
  Combine combine;
  Where where;
  const char* name;
  void* lanes[32];
};

// The most that a block can have on any GPU the kernels are built for, both kinds together.
constexpr size_t MOST_SHARED = 227 * 1024;

struct SharedArray {
  void* at;
  size_t bytes;
};

struct Block {
  uint3 id{};
  bool live = false;
  unsigned alive = 0, at_barrier = 0;
  int sum = 0, result = 0;
  Where barrier_where{"", 0};
  const char* barrier_name = "";
  std::vector<Thread> threads;
  std::vector<std::vector<Pending>> warps;
  std::map<const void*, SharedArray> shared;
  void* dynamic = nullptr;
};

enum class Order : uint32_t { forward, reverse, shuffled };

struct Launch {
  const Entry* entry = nullptr;
  const void* params = nullptr;
  dim3 grid, block;
  size_t dynamic_bytes = 0;
  Order order = Order::forward;
  uint64_t random = 0;
  bool cooperative = false;

  std::vector<Block> blocks;  // those that are live together
  Context scheduler;
  Block* running_block = nullptr;
  Thread* running = nullptr;
  uint64_t progress = 0;  // counts what can let a waiting thread go on
  uint64_t clock_ns = 0;  // simulated clock of a GPU; stands still while there is progress
  std::string error;

  void run();

 private:
  void start(Block& block, uint64_t index);
  void finish(Block& block);
  void sweep_until_done();
  void step(Block& block, Thread& thread);
  void arrange(std::vector<uint32_t>& order, size_t count);
  std::string stuck() const;
};

extern thread_local Launch* launch;

// Lets others run; the caller stays ready, or is waiting if it said so before.
void give_way();
uint64_t next_random(uint64_t& state);
std::string line_of(Where where);

}  // namespace emu
