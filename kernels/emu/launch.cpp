// The scheduler: which fiber runs next, and when a launch is over or stuck.
#include "launch.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>

namespace emu {

thread_local Launch* launch = nullptr;
thread_local const Self* self = nullptr;

namespace {

#if EMU_ASAN
constexpr size_t STACK = 256 * 1024;  // red zones and unmerged locals
#else
constexpr size_t STACK = 64 * 1024;
#endif
// At the far end of every stack; a kernel that changes it has overflowed its stack.
constexpr uint64_t CANARY = 0x7063'6e62'656e'6368;
// Sweeps in which threads only polled, and saw nothing new, before a launch counts as stuck. More than one,
// because a loop may poll a few times and then stop.
constexpr int PATIENCE = 256;
// The simulated time of such a sweep; on a GPU waiting threads would poll for that long.
constexpr uint64_t IDLE_NS = 1'000'000'000;
constexpr size_t MOST_THREADS = 1024;  // in a block, on every GPU

struct Stacks {
  unsigned char* at;
  size_t bytes;
  explicit Stacks(size_t count) : bytes(count * STACK) {
    void* got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    at = got == MAP_FAILED ? nullptr : static_cast<unsigned char*>(got);
  }
  ~Stacks() {
    if (at) munmap(at, bytes);
  }
};

[[noreturn]] void enter() {
  arrived(launch->scheduler);
  launch->entry->body(launch->params);
  if (!launch->running->copies.empty())
    fail(launch->running->where, "ended without waiting for its asynchronous copies");
  launch->running->state = State::ended;
  jump(launch->running->context, launch->scheduler, true);
  std::abort();
}

std::string name_of(uint3 at) {
  return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + "," + std::to_string(at.z) + ")";
}

std::string thread_name(const Thread& thread) {
  return "thread " + name_of(thread.self.thread) + " of block " + name_of(thread.self.block);
}

}  // namespace

uint64_t next_random(uint64_t& state) {
  // splitmix64
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string line_of(Where where) {
  std::string file = where.file;
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(where.line);
}

void give_way() { jump(launch->running->context, launch->scheduler); }

void blame(Where where, const std::string& what) {
  launch->error = line_of(where) + ": " + thread_name(*launch->running) + ": " + what;
}

void give_up() {
  give_way();
  std::abort();  // a launch that has failed runs nothing more
}

void fail(Where where, const char* what) {
  blame(where, what);
  give_up();
}

void Launch::arrange(std::vector<uint32_t>& order, size_t count) {
  order.resize(count);
  std::iota(order.begin(), order.end(), 0);
  if (this->order == Order::reverse) std::reverse(order.begin(), order.end());
  if (this->order == Order::shuffled)
    for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[next_random(random) % i]);
}

void Launch::start(Block& at, uint64_t index) {
  at.id = {unsigned(index % grid.x), unsigned(index / grid.x % grid.y), unsigned(index / (uint64_t(grid.x) * grid.y))};
  at.live = true;
  at.alive = unsigned(at.threads.size());
  at.at_barrier = 0;
  at.sum = at.result = 0;
  for (auto& warp : at.warps) warp.clear();
  if (dynamic_bytes > 0) {
    // Not rounded up, so that AddressSanitizer's red zone begins where it ends.
    if (posix_memalign(&at.dynamic, 128, dynamic_bytes) != 0) std::abort();
    std::memset(at.dynamic, 0xff, dynamic_bytes);
  }
  for (auto& thread : at.threads) {
    const unsigned i = thread.index;
    thread.self.thread = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
    thread.self.block = at.id;
    thread.self.block_dim = block;
    thread.self.grid_dim = grid;
    thread.state = State::ready;
    thread.where = {"", 0};
    thread.doing = "start";
    thread.polled = nullptr;
    thread.copies.clear();
    thread.copy_group = 0;
    std::memcpy(thread.stack, &CANARY, sizeof CANARY);
    prepare(thread.context, thread.stack + sizeof CANARY, STACK - sizeof CANARY, enter);
  }
}

void Launch::finish(Block& at) {
  for (auto& [key, array] : at.shared) std::free(array.at);
  at.shared.clear();
  std::free(at.dynamic);
  at.dynamic = nullptr;
  at.live = false;
}

void Launch::step(Block& at, Thread& thread) {
  running_block = &at;
  running = &thread;
  self = &thread.self;
  jump(scheduler, thread.context);
  self = nullptr;
  if (std::memcmp(thread.stack, &CANARY, sizeof CANARY) != 0) {
    error = thread_name(thread) + ": used more than its stack of " + std::to_string(STACK) + " bytes";
    return;
  }
  if (thread.state != State::ended || !error.empty()) return;
  ++progress;
  --at.alive;
  if (at.at_barrier > 0)
    error = line_of(at.barrier_where) + ": " + thread_name(thread) + " has ended while " +
            std::to_string(at.at_barrier) + " of its block wait at " + at.barrier_name;
}

std::string Launch::stuck() const {
  std::string text = "deadlock: ";
  size_t named = 0, waiting = 0;
  for (const auto& at : blocks)
    for (const auto& thread : at.threads) {
      if (!at.live || thread.state == State::ended) continue;
      ++waiting;
      // the first of every block, as long as the sentence stays readable
      const bool first = &thread == &at.threads[0] || waiting == 1;
      if (!first || named == 4) continue;
      text += (named++ ? "; " : "") + thread_name(thread) + " at " + line_of(thread.where) + " (" + thread.doing + ")";
    }
  text += "; " + std::to_string(waiting) + " threads wait for one another";
  if (!cooperative && grid.x * grid.y * grid.z > 1)
    text += ", or for a block that only a cooperative launch runs beside this one";
  return text;
}

void Launch::sweep_until_done() {
  std::vector<uint32_t> block_order, thread_order;
  int idle = 0;
  for (;;) {
    const uint64_t before = progress;
    bool any_live = false, any_ran = false;
    arrange(block_order, blocks.size());
    for (const uint32_t b : block_order) {
      Block& at = blocks[b];
      if (!at.live) continue;
      any_live = true;
      arrange(thread_order, at.threads.size());
      for (const uint32_t t : thread_order) {
        Thread& thread = at.threads[t];
        if (thread.state != State::ready) continue;
        any_ran = true;
        step(at, thread);
        if (!error.empty()) return;
      }
      if (at.alive == 0) finish(at);
    }
    if (!any_live) return;
    idle = progress == before ? idle + 1 : 0;
    if (idle > 0) clock_ns += IDLE_NS;
    if (!any_ran || idle == PATIENCE) {
      error = stuck();
      return;
    }
  }
}

void Launch::run() {
  const size_t per_block = size_t(block.x) * block.y * block.z;
  const uint64_t count = uint64_t(grid.x) * grid.y * grid.z;
  if (per_block == 0 || per_block > entry->most_threads || per_block > MOST_THREADS || count == 0) {
    error = "blocks of " + std::to_string(per_block) + " threads in a grid of " + std::to_string(count) +
            "; expected 1 to " + std::to_string(entry->most_threads) + " threads, as the kernel declares, and a block";
    return;
  }
  if (dynamic_bytes > MOST_SHARED) {
    error = std::to_string(dynamic_bytes) + " bytes of dynamic shared memory; no GPU gives a block more than " +
            std::to_string(MOST_SHARED);
    return;
  }
  blocks.resize(cooperative ? count : 1);
  Stacks stacks(per_block * blocks.size());
  if (!stacks.at) {
    error = "no memory for " + std::to_string(blocks.size()) + " blocks at once";
    return;
  }
  auto* stack = stacks.at;
  for (auto& at : blocks) {
    at.threads.resize(per_block);
    at.warps.resize((per_block + 31) / 32);
    for (size_t i = 0; i < per_block; ++i, stack += STACK) {
      at.threads[i].index = unsigned(i);
      at.threads[i].stack = stack;
    }
  }
  Launch* outer = std::exchange(launch, this);
  if (cooperative) {
    for (uint64_t i = 0; i < count; ++i) start(blocks[i], i);
    sweep_until_done();
  } else {
    std::vector<uint32_t> sequence;
    arrange(sequence, count);
    for (uint64_t i = 0; i < count && error.empty(); ++i) {
      start(blocks[0], sequence[i]);
      sweep_until_done();
    }
  }
  for (auto& at : blocks)
    if (at.live) finish(at);
  launch = outer;
}

}  // namespace emu
