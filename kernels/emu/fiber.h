// Fibers: stacks that run alternately on one operating-system thread.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define EMU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_ASAN 1
#endif
#endif

// A few registers, against two system calls per switch: a launch makes millions of switches. EMU_UCONTEXT takes the
// portable way where it need not be taken, to try it.
#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
#define EMU_SWITCH_X86 1
#else
#include <ucontext.h>
#endif

namespace emu {

// Either a fiber or the scheduler that all fibers return to.
struct Context {
#if EMU_SWITCH_X86
  void* stack_pointer = nullptr;
#else
  ucontext_t state;
#endif
  const void* bottom = nullptr;  // of its stack, and the size; found out for the scheduler's
  size_t size = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

// Makes `context` one that will run `entry`, which must not return, on the given stack.
void prepare(Context& context, void* bottom, size_t size, void (*entry)());
// Stops in `from` and goes on in `to`. Whatever comes from here next continues after the call.
void jump(Context& from, Context& to, bool from_ends = false);
// The first thing to call in an `entry`.
void arrived(Context& scheduler);

}  // namespace emu
