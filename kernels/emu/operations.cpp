// What running threads call: barriers, warp operations, shared memory, flags, late copies.
#include <cstdlib>

#include "launch.h"

namespace emu {

namespace {

bool same(Where a, Where b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

void note(Where where, const char* doing) {
  launch->running->where = where;
  launch->running->doing = doing;
}

// In shuffled order a thread may be preempted wherever others could see its writes so far.
void maybe_give_way() {
  if (launch->order == Order::shuffled && next_random(launch->random) % 4 == 0) give_way();
}

}  // namespace

int barrier(int contribution, Where where, const char* name) {
  Block& at = *launch->running_block;
  Thread& me = *launch->running;
  note(where, name);
  if (at.alive < at.threads.size()) {
    blame(where, std::string(name) + " after a thread of the block has ended");
    give_up();
  }
  if (at.at_barrier > 0 && !(same(at.barrier_where, where) && std::strcmp(at.barrier_name, name) == 0)) {
    blame(where, std::string(name) + " while others of the block wait at " + at.barrier_name + " in " +
                     line_of(at.barrier_where));
    give_up();
  }
  at.barrier_where = where;
  at.barrier_name = name;
  at.sum += contribution;
  if (++at.at_barrier < at.threads.size()) {
    me.state = State::waiting;
    give_way();
    return at.result;
  }
  at.result = at.sum;
  at.sum = 0;
  at.at_barrier = 0;
  ++launch->progress;
  for (auto& thread : at.threads) thread.state = State::ready;
  return at.result;
}

unsigned lane() { return launch->running->index % 32; }

void warp(uint32_t mask, void* contribution, Combine combine, Where where, const char* name) {
  Block& at = *launch->running_block;
  Thread& me = *launch->running;
  const unsigned warp_index = me.index / 32, my_lane = me.index % 32;
  const size_t lanes = std::min<size_t>(32, at.threads.size() - size_t(warp_index) * 32);
  if (lanes < 32) mask &= (1u << lanes) - 1;
  note(where, name);
  if (!(mask >> my_lane & 1)) {
    blame(where, std::string(name) + " by a lane that its mask leaves out");
    give_up();
  }
  auto& pending = at.warps[warp_index];
  Pending* mine = nullptr;
  for (auto& other : pending) {
    if (!(other.mask & mask)) continue;
    if (other.mask != mask || !same(other.where, where) || std::strcmp(other.name, name) != 0) {
      blame(where, std::string(name) + " while lanes of its mask wait in " + other.name + " at " +
                       line_of(other.where) + ", or with another mask");
      give_up();
    }
    mine = &other;
  }
  if (!mine) {
    pending.push_back({mask, 0, combine, where, name, {}});
    mine = &pending.back();
  }
  mine->arrived |= 1u << my_lane;
  mine->lanes[my_lane] = contribution;
  if (mine->arrived != mask) {
    me.state = State::waiting;
    give_way();
    return;
  }
  // The contributions are on the stacks of the lanes, which do not change until the lanes continue.
  combine(mine->lanes, mask);
  ++launch->progress;
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) at.threads[warp_index * 32 + l].state = State::ready;
  pending.erase(pending.begin() + (mine - pending.data()));
}

void shuffle(uint32_t mask, Shuffle& mine, Where where, const char* name) {
  warp(
      mask, &mine,
      [](void* const lanes[32], uint32_t mask) {
        uint64_t values[32] = {};
        for (unsigned l = 0; l < 32; ++l)
          if (mask >> l & 1) values[l] = static_cast<Shuffle*>(lanes[l])->value;
        for (unsigned l = 0; l < 32; ++l)
          if (mask >> l & 1) {
            auto& at = *static_cast<Shuffle*>(lanes[l]);
            at.outside = !(mask >> at.source & 1);
            at.value = values[at.source];
          }
      },
      where, name);
  if (mine.outside) {
    blame(where, std::string(name) + " reads a lane that does not take part");
    give_up();
  }
}

uint32_t ballot(uint32_t mask, bool predicate, Where where, const char* name) {
  uint32_t mine = predicate;
  warp(
      mask, &mine,
      [](void* const lanes[32], uint32_t mask) {
        uint32_t votes = 0;
        for (unsigned l = 0; l < 32; ++l)
          if ((mask >> l & 1) && *static_cast<uint32_t*>(lanes[l])) votes |= 1u << l;
        for (unsigned l = 0; l < 32; ++l)
          if (mask >> l & 1) *static_cast<uint32_t*>(lanes[l]) = votes;
      },
      where, name);
  return mine;
}

void* shared(const void* key, size_t bytes, Where where) {
  Block& at = *launch->running_block;
  auto [found, fresh] = at.shared.try_emplace(key, SharedArray{nullptr, bytes});
  if (fresh) {
    size_t all = launch->dynamic_bytes;
    for (const auto& [other, array] : at.shared) all += array.bytes;
    if (all > MOST_SHARED) fail(where, "a block has more shared memory than any GPU");
    // Not rounded up, so that AddressSanitizer's red zone begins where the array ends.
    void* got = nullptr;
    if (posix_memalign(&got, 128, bytes) != 0) fail(where, "no memory for shared memory");
    std::memset(got, 0xff, bytes);
    found->second.at = got;
  }
  return found->second.at;
}

void* dynamic_shared(size_t alignment, Where where) {
  if (!launch->running_block->dynamic) fail(where, "dynamic shared memory in a launch that was given none");
  if (alignment > 128) fail(where, "dynamic shared memory is aligned to at most 128 bytes");
  return launch->running_block->dynamic;
}

void about_to_poll(const void* address, uint64_t value, Where where) {
  Thread& me = *launch->running;
  note(where, "waiting for a flag");
  const bool again = me.polled == address && me.seen == value;
  me.polled = address;
  me.seen = value;
  if (again) {
    give_way();
  } else {
    ++launch->progress;
    maybe_give_way();
  }
}

uint64_t clock_ns() { return launch->clock_ns; }

void published(Where where) {
  note(where, "published");
  ++launch->progress;
  // A waiting thread sees the flag before this thread continues, so a write that should have come first is missing.
  if (launch->order == Order::shuffled)
    maybe_give_way();
  else if (launch->cooperative)
    give_way();
}

void check_aligned(const void* address, size_t bytes, Where where) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) {
    blame(where, "an access of " + std::to_string(bytes) + " bytes at an address that is no multiple of it");
    give_up();
  }
}

void copy_async(void* target, const void* source, unsigned bytes, unsigned valid, Where where) {
  if (bytes != 4 && bytes != 8 && bytes != 16) fail(where, "cp.async moves 4, 8 or 16 bytes");
  if (valid > bytes) fail(where, "cp.async reads at most as many bytes as it writes");
  check_aligned(target, bytes, where);
  check_aligned(source, bytes, where);
  std::memset(target, 0xff, bytes);
  launch->running->copies.push_back({target, source, bytes, valid, launch->running->copy_group});
  note(where, "copying");
}

void copy_async_commit(Where where) {
  note(where, "copying");
  ++launch->running->copy_group;
}

void copy_async_wait(unsigned groups_left, Where where) {
  Thread& me = *launch->running;
  note(where, "copying");
  auto& copies = me.copies;
  size_t kept = 0;
  for (const Copy& copy : copies) {
    // committed, and not among the newest groups
    if (copy.group < me.copy_group && copy.group + groups_left < me.copy_group) {
      std::memset(copy.target, 0, copy.bytes);
      std::memcpy(copy.target, copy.source, copy.valid);
    } else {
      copies[kept++] = copy;
    }
  }
  copies.resize(kept, Copy{});
}

}  // namespace emu
